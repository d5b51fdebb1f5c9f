/** Why a command was stopped from outside. */
export class Interruption extends Error {
  readonly exitCode: number;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`stopped by ${signal}`);
    // The shell's convention: 128 and the signal's number.
    this.exitCode = signal === "SIGINT" ? 130 : 143;
  }
}

/**
 * Makes Ctrl-C and SIGTERM abort a signal instead of ending the process, so that streams end in order. A second one
 * ends it at once.
 */
export function abortOnInterrupt(controller: AbortController): () => void {
  const handle = (name: NodeJS.Signals): void => {
    const interruption = new Interruption(name === "SIGINT" ? "SIGINT" : "SIGTERM");
    if (controller.signal.aborted) process.exit(interruption.exitCode);
    controller.abort(interruption);
  };
  process.on("SIGINT", handle).on("SIGTERM", handle);
  return () => {
    process.off("SIGINT", handle).off("SIGTERM", handle);
  };
}
