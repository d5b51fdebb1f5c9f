import type { Environment } from "./environment.js";
import type { Terminal } from "./terminal.js";

/** What every command gets besides its options. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly environment: Environment;
  /** Stacks are shown. */
  readonly isDebug: boolean;
  /** Aborted by Ctrl-C, SIGTERM, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** Takes the exit code of a command that came to its end. */
  readonly exit: (code: number) => void;
}
