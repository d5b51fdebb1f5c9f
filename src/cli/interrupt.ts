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
  const release = listen((name) => {
    if (!controller.signal.aborted) return controller.abort(new Interruption(name));
    // The system's own way of ending it: process.exit would wait for worker threads, and onnxruntime aborts in them.
    release();
    process.kill(process.pid, name);
  });
  return release;
}

/**
 * The same for a process that another one started and stops: SIGTERM aborts, Ctrl-C is left to the other. A terminal
 * sends it to both, and a service manager may send SIGTERM to both; then the other's own SIGTERM is the second here,
 * and not meant to end streams. What ends this process at once is the end of the other one (`endWithParent`).
 */
export function abortOnParentsWord(controller: AbortController): () => void {
  return listen((name) => {
    if (name === "SIGTERM") controller.abort(new Interruption(name));
  });
}

function listen(handle: (name: "SIGINT" | "SIGTERM") => void): () => void {
  const onInt = (): void => handle("SIGINT");
  const onTerm = (): void => handle("SIGTERM");
  process.on("SIGINT", onInt).on("SIGTERM", onTerm);
  return () => {
    process.off("SIGINT", onInt).off("SIGTERM", onTerm);
  };
}
