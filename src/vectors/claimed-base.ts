/**
 * Claims that name the model that a file was made from, the most telling first: what PEFT and Hugging Face write (a
 * repository), what the kohya scripts write (a file's name), and kinds of models, which many have in common.
 */
const baseClaims = [
  "base_model",
  "base_model_name_or_path",
  "ss_sd_model_name",
  "ss_base_model_version",
  "modelspec.architecture",
] as const;

/** Longest base that is kept, in UTF-16 units. */
const maxBaseUnits = 1024;

/** What a file claims to be made from: the first of the claims that says anything; empty if none does. */
export function toClaimedBase(claims: Readonly<Record<string, string>>): string {
  for (const name of baseClaims) {
    const value = Object.hasOwn(claims, name) ? claims[name]?.trim() : undefined;
    // Some tools write what their language has for nothing.
    if (value === undefined || value === "" || /^(?:none|null|undefined)$/i.test(value)) continue;
    if (value.length <= maxBaseUnits) return value;
  }
  return "";
}
