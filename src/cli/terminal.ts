import { once } from "node:events";
import type { Writable } from "node:stream";

/** What a command writes: results to standard output, everything else to standard error. */
export interface Terminal {
  /** Writes a line of results. Waits while the reader is slow. */
  print(line: string): Promise<void>;
  /** Writes a line of remarks. */
  remark(line: string): void;
  /** Shows a line below everything, in place of the one before; an empty one takes it away. Only on a terminal. */
  showStatus(line: string): void;
  readonly hasStatus: boolean;
  /** Columns of standard error. */
  readonly columns: number;
}

const clearLine = "\r\u001b[2K";

/**
 * Takes hold of standard output and standard error.
 *
 * @param onClosed is called when nobody reads the output any more (`probestream … | head`): there is no use going on.
 */
export function openTerminal(onClosed: () => void): Terminal {
  const { stdout, stderr } = process;
  const hasStatus = stderr.isTTY === true;
  let status = "";
  let closed = false;
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    closed = true;
    if (error.code !== "EPIPE") throw error;
    onClosed();
  });
  // Nobody to tell, and nothing lost.
  stderr.on("error", () => {});

  const around = (write: () => void): void => {
    if (status !== "") stderr.write(clearLine);
    write();
    if (status !== "") stderr.write(status);
  };
  return {
    print: async (line) => {
      if (closed) return;
      let isTaken = true;
      around(() => {
        isTaken = stdout.write(`${line}\n`);
      });
      if (!isTaken) await drained(stdout);
    },
    remark: (line) => around(() => stderr.write(`${line}\n`)),
    showStatus: (line) => {
      if (!hasStatus || line === status) return;
      stderr.write(`${clearLine}${line}`);
      status = line;
    },
    hasStatus,
    columns: stderr.columns || 80,
  };
}

async function drained(stream: Writable): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  // A closed pipe drains no more.
  await Promise.race([once(stream, "drain", { signal }), once(stream, "close", { signal })]).catch(() => {});
  controller.abort();
}
