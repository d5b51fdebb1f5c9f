/** What a conversion gives, or why it cannot: an error of one model, which others survive. */
export function tryTo<T>(convert: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: convert() };
  } catch (error) {
    return { error };
  }
}
