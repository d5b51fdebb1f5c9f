import { isHttpUrl, parseHttpUrl, toDisplayUrl } from "../weights/http-url.js";

/** Where a model lies, for messages: without the query of a URL, which may hold a token. */
export function toDisplayLocation(location: string): string {
  if (!isHttpUrl(location)) return location;
  return URL.canParse(location) ? toDisplayUrl(parseHttpUrl(location).url) : "a URL that cannot be read";
}
