import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { serveCommand } from "../../bench/start-server.js";
import { UnauthenticatedError } from "../../src/errors/probestream-error.js";
import { connect } from "../../src/rpc/client.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { until } from "../helpers/until.js";
import { makeExampleFolder, oneBackend, parseLines, runCli } from "./run-cli.js";
import { runInProcess, serveInProcess } from "./run-in-process.js";

let cwd = "";
test.before(async () => {
  cwd = await makeExampleFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

const [old, next] = ["old-token-0123456789", "new-token-0123456789"];

/** A server with a file of tokens. */
interface Served {
  readonly target: string;
  readonly tokenFile: string;
  /** Lines of standard error. */
  readonly remarks: readonly string[];
}

/** Makes a file with the old token, removed after the test. */
async function writeTokenFile(t: ExecutionContext): Promise<string> {
  const tokenFile = join(await createTemporaryFolder(t), "tokens");
  await replace(tokenFile, old);
  return tokenFile;
}

/** Runs `serve --token-file` with the old token in this process; it ends after the test. */
async function serve(t: ExecutionContext, ...extra: readonly string[]): Promise<Served> {
  const tokenFile = await writeTokenFile(t);
  const experts = join(cwd, "experts");
  const server = await serveInProcess(["--experts", experts, "--token-file", tokenFile, ...oneBackend, ...extra]);
  t.teardown(() => server.stop());
  return { ...server, tokenFile };
}

/** The same in processes of its own, the first of which has the `pid`. */
async function serveFromProcesses(
  t: ExecutionContext,
  ...extra: readonly string[]
): Promise<Served & { readonly pid: number }> {
  const tokenFile = await writeTokenFile(t);
  const { program, args } = serveCommand({
    experts: join(cwd, "experts"),
    extra: ["--token-file", tokenFile, ...oneBackend, ...extra],
  });
  const server = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  t.teardown(async () => {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    await ended;
  });
  const remarks: string[] = [];
  createInterface({ input: server.stderr }).on("line", (line) => remarks.push(line));
  const [banner] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  const port = /^listening on \S+:(\d+) /.exec(banner)?.[1];
  return { target: `127.0.0.1:${port}`, pid: server.pid ?? 0, tokenFile, remarks };
}

/** Puts another file in the place of one, at once. */
async function replace(path: string, ...lines: readonly string[]): Promise<void> {
  await writeFile(`${path}.new`, `${lines.join("\n")}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Whether a server lets a token in. */
async function letsIn({ target }: Served, token: string): Promise<boolean> {
  const client = connect({ target, token });
  try {
    await client.serverInfo();
    return true;
  } catch (error) {
    if (error instanceof UnauthenticatedError) return false;
    throw error;
  } finally {
    await client.close();
  }
}

test("a server with tokens serves commands that bring one, from the environment or a file", async (t) => {
  const server = await serve(t);
  t.deepEqual(
    server.remarks.filter((line) => /token/.test(line)),
    [`calls need the token of ${server.tokenFile}; health does not`],
  );
  const words = ["embed", join(cwd, "models"), "--server", server.target, "--json", "--quiet"];
  const embedded = await runCli(words, { env: { PROBESTREAM_TOKEN: old } });
  t.is(embedded.code, 0, embedded.stderr);
  t.is(parseLines(embedded.stdout).length, 26);
  // As if PROBESTREAM_TOKEN were the other one.
  const withWrong = { environment: { serverToken: next } };
  const run = (...more: readonly string[]) => runInProcess([...words, ...more], undefined, undefined, withWrong);
  const fromFile = await run("--server-token-file", server.tokenFile);
  t.is(fromFile.code, 0, fromFile.stderr);

  const without = await runInProcess(words);
  t.is(without.code, 3);
  t.regex(without.stderr, /^probestream: this server wants a token, and the call brought none; .*PROBESTREAM_TOKEN/);
  const wrong = await run();
  t.is(wrong.code, 3);
  t.regex(wrong.stderr, /^probestream: the token is not one that this server takes;/);
  for (const { stdout, stderr } of [without, wrong]) t.false(`${stdout}${stderr}`.includes(next));
  t.false(server.remarks.some((line) => line.includes(old) || line.includes(next)));
});

test("calls to this machine pass no proxy, which would read the token", async (t) => {
  const server = await serve(t);
  const env = { PROBESTREAM_TOKEN: old, http_proxy: "http://127.0.0.1:1", grpc_proxy: "http://127.0.0.1:1" };
  const { code, stderr } = await runCli(["experts", "--server", server.target], { env });
  t.is(code, 0, stderr);
});

test("tokens are replaced while the server runs, and a file that cannot be used changes nothing", async (t) => {
  const server = await serve(t);
  await replace(server.tokenFile, next, "short");
  const complaint = /^the tokens stay as they were: line 2 of ".*tokens" has 5 characters/;
  await until(() => server.remarks.some((line) => complaint.test(line)), "it is complained of");
  t.deepEqual([await letsIn(server, old), await letsIn(server, next)], [true, false]);
  const read = server.remarks.length;
  await replace(server.tokenFile, old, next);
  await until(() => server.remarks.length > read, "both are read");
  t.is(server.remarks.at(-1), `calls need one of 2 tokens of ${server.tokenFile}; health does not`);
  t.deepEqual([await letsIn(server, old), await letsIn(server, next)], [true, true]);
  await replace(server.tokenFile, next);
  await until(() => server.remarks.length > read + 1, "the new one is read");
  t.deepEqual([await letsIn(server, old), await letsIn(server, next)], [false, true]);
});

test("several processes have the tokens of the first, one that is started later as well", async (t) => {
  const server = await serveFromProcesses(t, "--processes", "2", "--workers", "1");
  t.is(server.remarks.filter((line) => /^calls need the token of/.test(line)).length, 1);
  // Calls of several connections, which either process may get.
  const letIn = async (token: string) =>
    new Set(await Promise.all(Array.from({ length: 8 }, () => letsIn(server, token))));
  t.deepEqual(await letIn(old), new Set([true]));
  t.deepEqual(await letIn(next), new Set([false]));
  await replace(server.tokenFile, next);
  await until(() => server.remarks.filter((line) => /^calls need/.test(line)).length === 2, "the new one is read");
  t.deepEqual(await letIn(next), new Set([true]));
  t.deepEqual(await letIn(old), new Set([false]));
  if (process.platform !== "linux") return;
  await rm(server.tokenFile);
  // One that dies at once would be taken for one that cannot start.
  await sleep(5000);
  const children = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, "utf8");
  for (const child of children.trim().split(" ")) process.kill(Number(child), "SIGKILL");
  await until(
    () => server.remarks.filter((line) => /ended \(SIGKILL\); starting another/.test(line)).length === 2,
    "both are missed",
  );
  await until(() => letsIn(server, next).catch(() => false), "another process serves", 30_000);
  t.deepEqual(await letIn(old), new Set([false]));
});

test("tokens that come as plaintext from beyond this machine are warned of", async (t) => {
  const server = await serve(t, "--listen", "0.0.0.0:0", "--insecure");
  const [warning, ...others] = server.remarks.filter((line) => line.startsWith("warning:"));
  t.regex(
    warning ?? "",
    /^warning: without TLS tokens come to 0\.0\.0\.0 as plaintext, .*; give --tls-cert and --tls-key$/,
  );
  t.deepEqual(others, []);
  t.true(await letsIn(server, old));
});

test("a file of tokens that cannot be used is refused, and what stands in it is not repeated", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [short, open] = [join(folder, "short"), join(folder, "open")];
  await writeFile(short, `# one\nhunter2\n`, { mode: 0o600 });
  await writeFile(open, `${old}\n`, { mode: 0o644 });
  const refusals: readonly (readonly [string, RegExp])[] = [
    [join(folder, "absent"), /There is no file ".*absent"/],
    [short, /line 2 of ".*short" has 7 characters; a token has 16 to 1024/],
    ...(process.platform === "win32" ? [] : [[open, /mode 644\); chmod 600 it/] as const]),
  ];
  for (const [path, pattern] of refusals) {
    for (const [words, option] of [
      [["serve", "--experts", join(cwd, "experts"), "--listen", "127.0.0.1:0"], "--token-file"],
      [["serve", "--experts", join(cwd, "experts"), "--processes", "2"], "--token-file"],
      [["experts", "--server", "127.0.0.1:1"], "--server-token-file"],
    ] as const) {
      const { code, stderr } = await runInProcess([...words, option, path]);
      t.is(code, 2, stderr);
      t.true(stderr.startsWith(`probestream: ${option}: `), stderr);
      t.regex(stderr, pattern);
      t.false(stderr.includes("hunter2"));
    }
  }
});

test("a token of the environment does not leave this machine in plaintext", async (t) => {
  const words = ["experts", "--server", "192.0.2.1:50051"];
  const { code, stderr } = await runCli(words, { env: { PROBESTREAM_TOKEN: old } });
  t.is(code, 2);
  t.regex(stderr, /the token would go to 192\.0\.2\.1:50051 unencrypted, for all to read; connect with tls/);
  t.false(stderr.includes(old));
});
