import { setTimeout as sleep } from "node:timers/promises";
import { type Child, type Command, startChild } from "./child-process.js";
import { mainScript } from "./repository-root.js";

/** A server in a process of its own. */
export interface RunningServer {
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  readonly pid: number;
  /** Its first line. */
  readonly banner: string;
  /** Ends it (SIGTERM; after 10 s SIGKILL) and waits for that. */
  stop(): Promise<void>;
  /** Kills it (SIGKILL) and waits for its end. */
  kill(): Promise<void>;
}

/** What the benches vary of `probestream serve`. */
export interface ServeOptions {
  readonly experts: string;
  /** Default 127.0.0.1:0. */
  readonly listen?: string;
  readonly stateDir?: string;
  /** Further arguments. */
  readonly extra?: readonly string[];
}

const STOP_MS = 10_000;

/** The command `probestream serve`. */
export function serveCommand({ experts, listen = "127.0.0.1:0", stateDir, extra = [] }: ServeOptions): Command {
  const state = stateDir === undefined ? [] : ["--state-dir", stateDir];
  const args = [mainScript, "serve", "--experts", experts, "--listen", listen, ...state, ...extra];
  return { program: process.execPath, args };
}

/** Starts a server whose first line is `listening on HOST:PORT …`, and waits at most `timeoutMs` for that line. */
export async function startServer(command: Command, timeoutMs = 60_000): Promise<RunningServer> {
  const child = await startChild(command);
  try {
    const banner = await readFirstLine(child, timeoutMs);
    const target = /^listening on (\S+)/.exec(banner)?.[1];
    if (target === undefined) throw new Error(`the server's first line is: ${banner}`);
    return {
      target,
      pid: child.pid,
      banner,
      async stop() {
        child.signal("SIGTERM");
        const force = new AbortController();
        const killLater = sleep(STOP_MS, undefined, { signal: force.signal }).then(
          () => child.signal("SIGKILL"),
          () => undefined,
        );
        await child.ended;
        force.abort();
        await killLater;
      },
      async kill() {
        child.signal("SIGKILL");
        await child.ended;
      },
    };
  } catch (error) {
    child.signal("SIGKILL");
    throw error;
  }
}

/** Waits for the first line; later ones are read and dropped, so that the server never blocks on its output. */
function readFirstLine(child: Child, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the server did not listen within ${timeoutMs} ms: ${child.errorText()}`));
    }, timeoutMs);
    const readLines = async (): Promise<void> => {
      for await (const line of child.lines) {
        clearTimeout(timer);
        resolve(line);
      }
      await child.ended;
      clearTimeout(timer);
      reject(new Error(`the server ended before it listened: ${child.errorText()}`));
    };
    readLines().catch(reject);
  });
}
