import { toProbestreamError } from "../errors/plain-error.js";
import type { ProbestreamError } from "../errors/probestream-error.js";

/** What a conversion gives, or why it cannot: an error of one model or query, which others survive. */
export function tryTo<T>(convert: () => T): T | ProbestreamError {
  try {
    return convert();
  } catch (error) {
    return toProbestreamError(error);
  }
}
