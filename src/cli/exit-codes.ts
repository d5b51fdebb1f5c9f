import { ProbestreamError } from "../errors/probestream-error.js";

/** What the exit code of a command says to a script. */
export const exitCodes = {
  success: 0,
  /** Some models failed; the others have their results. */
  someFailed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** No connection (or lost for good), no such expert, no model that could be embedded: nothing to be done. */
  unusable: 3,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** An error of a command, told to the user in one line. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** An error of the command line itself. */
export function usageError(message: string): CommandError {
  return new CommandError(message, exitCodes.usage);
}

/** The exit code that an error ends a command with. */
export function toExitCode(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  return error instanceof ProbestreamError && error.kind === "invalid-input" ? exitCodes.usage : exitCodes.unusable;
}
