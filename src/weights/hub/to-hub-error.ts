import { AccessDeniedError, NotFoundError } from "../../errors/probestream-error.js";
import { toStatusError } from "../http-request.js";
import type { HubModel } from "./hub-model.js";

/**
 * The error that a refusal of the Hub means; it says why in the header `X-Error-Code`, and tells those without a token
 * nothing of what is there.
 */
export function toHubError(response: Response, { name, revision }: HubModel, host: string, url: string): Error {
  const { status } = response;
  const code = response.headers.get("x-error-code");
  const facts = { url, status };
  if (code === "GatedRepo") {
    const message = `${name} is for those who have accepted its terms: accept them on ${host}/${name}, and set HF_TOKEN to a token that may read it`;
    return new AccessDeniedError("ACCESS_DENIED", message, facts);
  }
  if (code === "RevisionNotFound") {
    const message = `${name} on ${host} has no revision "${revision}"; check its name`;
    return new NotFoundError("FILE_NOT_FOUND", message, facts);
  }
  if (status === 401 || status === 403) {
    const message = `${host} has no model ${name} that may be read here (HTTP ${status}): check its name, and if it is private set HF_TOKEN to a token that may read it`;
    return new AccessDeniedError("ACCESS_DENIED", message, facts);
  }
  if (code === "RepoNotFound") {
    return new NotFoundError("FILE_NOT_FOUND", `${host} has no model ${name} (HTTP ${status}); check its name`, facts);
  }
  return toStatusError(response, url);
}
