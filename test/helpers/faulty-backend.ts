/** A compute module with a fault; see `fixtures/faulty-backend.ts`. */
export function faultyBackend(
  how: "none" | "throw" | "exit" | "uncaught" | "start" | "start-exit" | "exit-first" | "dispose",
  options: { readonly after?: number; readonly delayMs?: number; readonly lock?: string } = {},
): URL {
  const url = new URL("../fixtures/faulty-backend.js", import.meta.url);
  url.searchParams.set("how", how);
  for (const [key, value] of Object.entries(options)) url.searchParams.set(key, String(value));
  return url;
}
