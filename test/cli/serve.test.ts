import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { serveCommand, startServer } from "../../bench/start-server.js";
import { connect } from "../../src/rpc/client.js";
import { until } from "../helpers/until.js";
import { makeExampleFolder, oneBackend, parseLines, runCli } from "./run-cli.js";
import { runInProcess, serveInProcess } from "./run-in-process.js";

let cwd = "";
test.before(async () => {
  cwd = await makeExampleFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

test("the first line says where it listens, and SIGTERM ends it", async (t) => {
  const server = await startServer(serveCommand({ experts: join(cwd, "experts") }));
  t.regex(server.banner, /^listening on 127\.0\.0\.1:\d+ \(pid \d+, 2 experts, backend (onnx|wasm): .+\)$/);
  const before = performance.now();
  await server.stop();
  t.true(performance.now() - before < 8000);
});

test("experts of a server are listed, those added while it runs and unusable ones included", async (t) => {
  const experts = join(cwd, "growing");
  await mkdir(experts);
  await cp(join(cwd, "experts", "concepts-lora"), join(experts, "first"), { recursive: true });
  const server = await serveInProcess(["--experts", experts, ...oneBackend]);
  try {
    await cp(join(cwd, "experts", "concepts-dense"), join(experts, "second"), { recursive: true });
    await mkdir(join(experts, "third"));
    await writeFile(join(experts, "third", "expert.json"), "{}");
    // Looks at the folder are a second apart.
    await sleep(1200);
    const { code, stdout, stderr } = await runCli(["experts", "--server", server.target, "--json"]);
    t.is(code, 1);
    const lines = parseLines<{ name: string; objective: string; layer: { kind: string }; shape: number[] }>(stdout);
    t.deepEqual(
      lines.map(({ name, objective, layer, shape }) => [name, objective, layer.kind, ...shape]),
      [
        ["first", "zeroshot", "lora", 64, 64],
        ["second", "zeroshot", "dense", 64, 64],
      ],
    );
    t.regex(stderr, /1 unusable:\n.*third: .*format/);
    const here = await runInProcess(["experts", "--experts", experts, "--json"]);
    t.is(here.stdout, stdout);
    const table = await runInProcess(["experts", "--experts", join(cwd, "experts")]);
    t.is(table.code, 0);
    t.regex(table.stdout, /concepts-lora +[0-9a-f]{12} +zeroshot +lm\.blocks\.1\.attn\.to_out \(lora\) +64 x 64/);
  } finally {
    await server.stop();
  }
});

test("several processes share a port, one that dies is replaced, and nothing of them stays", async (t) => {
  const tmp = join(cwd, "tmp");
  await mkdir(tmp);
  const { program, args } = serveCommand({
    experts: join(cwd, "experts"),
    extra: ["--processes", "2", "--workers", "1"],
  });
  const server = spawn(program, args, { env: { ...process.env, TMPDIR: tmp }, stdio: ["ignore", "pipe", "pipe"] });
  const remarks: string[] = [];
  createInterface({ input: server.stderr }).on("line", (line) => remarks.push(line));
  try {
    const [banner] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
    t.regex(banner, /, 2 processes\)$/);
    const target = /^listening on (\S+)/.exec(banner)?.[1] ?? "";
    t.is((await listUploads(tmp)).length, 1);
    const embed = () => runInProcess(["embed", join(cwd, "models"), "--server", target, "--json", "--quiet"]);
    t.is(parseLines((await embed()).stdout).length, 26);
    if (process.platform === "linux") {
      // One that dies at once would be taken for one that cannot start.
      await sleep(5000);
      const children = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, "utf8");
      process.kill(Number(children.split(" ")[0]), "SIGKILL");
      await until(
        () => remarks.some((line) => /ended \(SIGKILL\); starting another/.test(line)),
        "a process is missed",
      );
    }
    // Measured once for all: no two runs would give the same rates.
    t.is(remarks.filter((line) => /^backend plain: [\d.]+ GFLOP\/s/.test(line)).length, 1);
    const rates = await Promise.all(Array.from({ length: 8 }, () => ratesOf(target)));
    for (const own of rates) t.deepEqual(own, rates[0]);
    t.true((rates[0]?.get("plain") ?? 0) > 0);
    const after = await embed();
    t.is(parseLines(after.stdout).length, 26, after.stderr);
  } finally {
    server.kill("SIGTERM");
  }
  const [code] = await once(server, "exit");
  t.is(code, 0);
  t.deepEqual(await listUploads(tmp), []);
});

/** Rates of the backends in the table of whichever process takes the connection. */
async function ratesOf(target: string): Promise<ReadonlyMap<string, number>> {
  const client = connect({ target });
  try {
    const { backends } = await client.serverInfo();
    return new Map(backends.map(({ name, gflops }) => [name, gflops]));
  } finally {
    await client.close();
  }
}

/** Folders of uploads in a folder for temporary files, where libraries may leave others. */
async function listUploads(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith("probestream-"));
}

const refusals: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["plaintext beyond loopback", ["--listen", "0.0.0.0:0"], 2, /refusing to serve plaintext on 0\.0\.0\.0/],
  ["the same in several processes", ["--listen", "0.0.0.0:0", "--processes", "2"], 2, /refusing to serve plaintext/],
  ["a folder that is not there", ["--experts", "nowhere"], 3, /nowhere does not exist; give --experts DIR/],
  ["a state folder that is a file", ["--state-dir", "package.json"], 2, /--state-dir: package\.json is no folder/],
  ["a port that there is not", ["--listen", "127.0.0.1:65536"], 2, /The port is 65536; ports are 0 to 65535/],
  ["an address that is none", ["--listen", "here"], 2, /HOST:PORT/],
  ["a window that HTTP/2 has not", ["--receive-window", "1KiB"], 2, /65535 to 2147483647/],
  ["a chunk beyond a message", ["--max-chunk", "8MiB"], 2, /--max-chunk/],
  [
    "a budget for less than a stream",
    ["--memory-budget", "1MiB", "--listen", "127.0.0.1:0", ...oneBackend],
    2,
    /is 1\.0 MB; one stream takes [\d.]+ MB \(/,
  ],
  ["a certificate without its key", ["--tls-cert", "package.json"], 2, /belong together/],
];
for (const [what, words, expected, pattern] of refusals) {
  test(`${what} is refused`, async (t) => {
    const experts = words.includes("--experts") ? [] : ["--experts", join(cwd, "experts")];
    const full = ["serve", ...experts, ...words];
    // What starts processes of its own needs one.
    const isAlone = !words.includes("--processes");
    const controller = new AbortController();
    const { code, stderr } = await (isAlone ? runInProcess(full, controller, () => controller.abort()) : runCli(full));
    t.is(code, expected, stderr);
    t.regex(stderr, /^probestream: [^\n]+\n$/);
    t.regex(stderr, pattern);
  });
}
