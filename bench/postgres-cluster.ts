import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";

/** How a server ends: at once as after a fault (`pg_ctl stop -m immediate`), or killed. */
export type ClusterEnd = "immediate" | "kill";

/** A PostgreSQL server of one's own, with its data in a temporary folder. */
export interface PostgresCluster {
  readonly connectionString: string;
  /** Stops the server without a checkpoint, and starts it again: it recovers from its log. */
  restart(end: ClusterEnd): Promise<void>;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

const startMs = 60_000;
const run = promisify(execFile);
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const server of running) server.kill("SIGQUIT");
});

/**
 * Makes a server of the newest PostgreSQL in /usr/lib/postgresql, where Debian has it, on a free port of 127.0.0.1, with its
 * settings as they come: fsync and synchronous_commit are on. As root it runs as the user `postgres`, for it refuses root.
 *
 * @param settings further settings by name.
 */
export async function startPostgresCluster(settings: Readonly<Record<string, string>> = {}): Promise<PostgresCluster> {
  const programs = await findPrograms();
  const user = await findUser();
  const folder = await mkdtemp(join(tmpdir(), "probestream-postgres-"));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const options = { ...user, cwd: folder };
  const data = join(folder, "data");
  await run(
    join(programs, "initdb"),
    ["-D", data, "-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8"],
    options,
  );
  const port = await findPort();
  const connectionString = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const all = { port: String(port), listen_addresses: "127.0.0.1", unix_socket_directories: "", ...settings };
  const args = ["-D", data, ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])];

  const start = async (): Promise<ChildProcess> => {
    for (let waitedMs = 0; ; waitedMs += 200) {
      const server = spawn(join(programs, "postgres"), args, { ...options, stdio: ["ignore", "ignore", "pipe"] });
      running.add(server);
      let log = "";
      server.stderr?.setEncoding("utf8").on("data", (text: string) => {
        log = (log + text).slice(-4096);
      });
      server.once("exit", () => running.delete(server));
      while (server.exitCode === null && server.signalCode === null && waitedMs < startMs) {
        if (await isReady(connectionString)) return server;
        await sleep(100);
        waitedMs += 100;
      }
      // Right after a kill the processes of the old server may still be there, and the new one gives up.
      if (waitedMs >= startMs) throw new Error(`PostgreSQL did not start: ${log}`);
      await sleep(200);
    }
  };
  const stop = async (server: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    const ended = once(server, "exit");
    server.kill(signal);
    await ended;
  };

  let server = await start();
  return {
    connectionString,
    restart: async (end) => {
      await stop(server, end === "kill" ? "SIGKILL" : "SIGQUIT");
      server = await start();
    },
    remove: async () => {
      await stop(server, "SIGINT");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function findPrograms(): Promise<string> {
  const root = "/usr/lib/postgresql";
  const versions = await readdir(root).catch(() => []);
  const newest = versions.map(Number).sort((a, b) => b - a)[0];
  if (newest === undefined)
    throw new Error(`no PostgreSQL in ${root}; install postgresql-17 and postgresql-17-pgvector`);
  return join(root, String(newest), "bin");
}

async function findUser(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((one) => one.startsWith("postgres:"));
  if (line === undefined) throw new Error("there is no user postgres to run PostgreSQL as");
  const [, , uid, gid] = line.split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

async function findPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function isReady(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 1000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
