import { isHttpUrl, parseHttpUrl, toDisplayUrl } from "./http-url.js";

/** Where a model lies, for messages: without the query of a URL, which may hold a token. Never throws. */
export function toDisplayLocation(location: string): string {
  if (!isHttpUrl(location)) return location;
  try {
    return toDisplayUrl(parseHttpUrl(location).url);
  } catch {
    return "a URL that cannot be read";
  }
}
