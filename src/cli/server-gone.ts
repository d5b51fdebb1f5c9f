import type { UnavailableError } from "../errors/probestream-error.js";
import { CommandError, exitCodes } from "./exit-codes.js";

/** The error for a server that was lost on the way. `done` says how far it was: `3 of 10 models embedded`. */
export function serverGone(cause: UnavailableError, done: string): CommandError {
  const { target } = cause.facts;
  const server = target === undefined ? "the server" : `the server ${target}`;
  const message = `${server} is gone: ${done}; start it and give the command again`;
  return new CommandError(message, exitCodes.unusable, { cause });
}
