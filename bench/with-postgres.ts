import { spawn } from "node:child_process";
import { startPostgresCluster } from "./postgres-cluster.js";

/**
 * Runs a command beside a PostgreSQL server of its own, which PROBESTREAM_TEST_POSTGRES names to it; its exit code is the
 * command's:
 *
 *   node dist/bench/with-postgres.js COMMAND [ARGUMENT]...
 */
const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  console.error("usage: node dist/bench/with-postgres.js COMMAND [ARGUMENT]...");
  process.exit(2);
}
const cluster = await startPostgresCluster();
try {
  const env = { ...process.env, PROBESTREAM_TEST_POSTGRES: cluster.connectionString };
  const child = spawn(program, args, { stdio: "inherit", env });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
} finally {
  await cluster.remove();
}
