import { InvalidInputError } from "../../errors/probestream-error.js";

/** A model repository of the Hugging Face Hub at some state. */
export interface HubModel {
  /** `OWNER/NAME`. */
  readonly name: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** One part of a repository's name, by the Hub's rules; two dots or hyphens in a row are not allowed there either. */
const part = `[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?`;
const pattern = new RegExp(`^(${part}/${part})(?:@(.+))?$`);

/** Letters, digits and what branches and tags are made of; no part may begin with a dot, and so lead elsewhere as a path. */
const revisionPattern = /^[A-Za-z0-9_][A-Za-z0-9._+-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$/;

/** Whether a text may be a model's id, `OWNER/NAME` or `OWNER/NAME@REVISION`. */
export function isHubModel(text: string): boolean {
  const name = pattern.exec(text)?.[1];
  return name !== undefined && !/--|\.\./.test(name);
}

/**
 * Parses a model's id, `OWNER/NAME` or `OWNER/NAME@REVISION`; without a revision it is the branch `main`.
 *
 * @throws InvalidInputError `FIELD_INVALID` for what is no id.
 */
export function parseHubModel(text: string): HubModel {
  const [, name = "", revision = "main"] = pattern.exec(text) ?? [];
  if (!isHubModel(text) || !revisionPattern.test(revision)) {
    const message = `"${text}" is no model id; one is OWNER/NAME, or OWNER/NAME@REVISION with a branch, tag or commit`;
    throw new InvalidInputError("FIELD_INVALID", message);
  }
  return { name, revision };
}
