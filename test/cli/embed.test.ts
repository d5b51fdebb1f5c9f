import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import test, { type ExecutionContext } from "ava";
import { mainScript } from "../../bench/repository-root.js";
import { serveCommand, startServer } from "../../bench/start-server.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { until } from "../helpers/until.js";
import { makeExampleFolder, parseLines, runCli } from "./run-cli.js";

interface Line {
  readonly file: string;
  readonly spaceId?: string;
  readonly expert?: string;
  readonly representation?: readonly number[];
  readonly labels?: readonly { readonly label: string; readonly cosine: number }[];
  readonly bytes?: { readonly received: number; readonly total: number };
  readonly timings?: Readonly<Record<string, number>>;
  readonly error?: { readonly reason: string; readonly message: string };
}

let cwd = "";
const local = ["--local", "--experts", "experts"];
const texts = ["--texts", "texts.safetensors"];

test.before(async () => {
  cwd = await makeExampleFolder();
  await mkdir(join(cwd, "mixed", "deeper"), { recursive: true });
  for (const name of ["birds-lora-1", "chess-lora-2"]) {
    await copyFile(join(cwd, "models", `${name}.safetensors`), join(cwd, "mixed", "deeper", `${name}.safetensors`));
  }
  const whole = await readFile(join(cwd, "models", "birds-full.safetensors"));
  await writeFile(join(cwd, "mixed", "a-cut.safetensors"), whole.subarray(0, 1000));
  await writeFile(join(cwd, "mixed", "m-nonsense.safetensors"), "nothing of the kind");
  await writeFile(join(cwd, "mixed", "z-pickle.safetensors"), Buffer.from("\x80\x02}q\x00.", "latin1"));
  await mkdir(join(cwd, "empty"));
  await mkdir(join(cwd, "foreign", "deeper"), { recursive: true });
  for (const name of ["a.bin", "deeper/b.bin", "c.gguf", "d.txt"]) await writeFile(join(cwd, "foreign", name), "");
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

test("a folder of models is embedded without a server, and each label is the one planted", async (t) => {
  const { code, stdout, stderr } = await runCli(["embed", "models", ...local, ...texts, "--json"], { cwd });
  t.is(code, 0, stderr);
  const lines = parseLines<Line>(stdout);
  t.is(lines.length, (await readdir(join(cwd, "models"))).length);
  for (const { file, labels = [], representation = [], spaceId, bytes, timings } of lines) {
    t.is(labels[0]?.label, basename(file).split("-")[0]);
    t.true((labels[0]?.cosine ?? 0) > 0.9);
    t.is(labels.length, 8);
    t.is(representation.length, 16);
    t.regex(spaceId ?? "", /^[0-9a-f]{64}$/);
    t.true((bytes?.total ?? 0) > 0);
    t.true((timings?.["total"] ?? 0) > 0);
  }
  t.regex(stderr, /26 of 26 models embedded in /);
});

test("a server and this process give the same result", async (t) => {
  // Which backend is the fastest may differ from process to process, and their last digits do.
  const backend = ["--backend", "wasm"];
  const server = await startServer(serveCommand({ experts: join(cwd, "experts"), extra: backend }));
  try {
    const words = ["embed", "models", ...texts, "--json"];
    const [here, there, byVariable] = await Promise.all([
      runCli([...words, ...local, ...backend], { cwd }),
      runCli([...words, "--server", server.target], { cwd }),
      runCli([...words, "--quiet"], { cwd, env: { PROBESTREAM_SERVER: server.target } }),
    ]);
    const results = [here, there, byVariable].map(({ stdout }) =>
      parseLines<Line>(stdout)
        .map(({ file, spaceId, representation, labels }) => ({ file, spaceId, representation, labels }))
        .sort((a, b) => (a.file < b.file ? -1 : 1)),
    );
    t.is(results[0]?.length, 26);
    t.deepEqual(results[1], results[0]);
    t.deepEqual(results[2], results[0]);
    t.is(byVariable.stderr, "");
  } finally {
    await server.stop();
  }
});

test("an expert that a server does not have is told of once, with those it has", async (t) => {
  const server = await startServer(serveCommand({ experts: join(cwd, "experts") }));
  try {
    const words = ["embed", "models", "--server", server.target, "--expert"];
    const { code, stdout, stderr } = await runCli([...words, "nosuch"], { cwd });
    t.is(code, 3);
    t.is(stdout, "");
    const has = "it has concepts-dense, concepts-lora";
    t.is(stderr, `probestream: no expert "nosuch" on the server ${server.target}; ${has}\n`);
    const known = await runCli([...words, "concepts-lora"], { cwd });
    t.is(known.code, 1, "the dense model does not fit");
  } finally {
    await server.stop();
  }
});

test("broken files among good ones are named at the end, and the exit code says so", async (t) => {
  const { code, stdout, stderr } = await runCli(["embed", "mixed", "nowhere.safetensors", ...local, "--json"], { cwd });
  t.is(code, 1);
  const lines = parseLines<Line>(stdout);
  const failed = lines.flatMap(({ file, error }) => (error === undefined ? [] : [[basename(file), error.reason]]));
  t.deepEqual(failed.sort(), [
    ["a-cut.safetensors", "HEADER_MALFORMED"],
    ["m-nonsense.safetensors", "LIMIT_EXCEEDED"],
    ["nowhere.safetensors", "FILE_NOT_FOUND"],
    ["z-pickle.safetensors", "FORMAT_REFUSED"],
  ]);
  t.is(lines.filter(({ representation }) => representation?.length === 16).length, 2);
  t.regex(stderr, /2 of 5 models embedded in /);
  t.regex(stderr, /\n3 models failed:\n/);
  t.regex(stderr, /\n {2}HEADER_MALFORMED: .*"mixed\/a-cut\.safetensors"/);
  t.regex(stderr, /\n1 path could not be read:\n {2}FILE_NOT_FOUND: .*"nowhere\.safetensors"/);
});

test("where every model fails there is no empty table, and no file of --out", async (t) => {
  const words = ["embed", "mixed/a-cut.safetensors", ...local, "--out", "none.safetensors"];
  const { code, stdout, stderr } = await runCli(words, { cwd });
  t.is(code, 3);
  t.is(stdout, "");
  t.regex(
    stderr,
    /^0 of 1 model embedded\n1 model failed:\n {2}[^\n]+"mixed\/a-cut\.safetensors"[^\n]+\n--out: no model/,
  );
  t.false((await readdir(cwd)).includes("none.safetensors"));
});

test("an address in PROBESTREAM_SERVER is checked like --server", async (t) => {
  const { code, stderr } = await runCli(["embed", "models"], { cwd, env: { PROBESTREAM_SERVER: "here" } });
  t.is(code, 2);
  t.regex(stderr, /^probestream: PROBESTREAM_SERVER is "here"\. An address is HOST:PORT/);
});

test("a URL of another scheme is no file that is missing", async (t) => {
  const { code, stderr } = await runCli(["embed", "ftp://x/m.safetensors", ...local], { cwd });
  t.is(code, 3);
  t.regex(stderr, /only http\(s\) URLs and paths are read/);
});

test("a path that is not there is told of without a server", async (t) => {
  const { code, stderr } = await runCli(["embed", "nowhere", "--server", "127.0.0.1:1"], { cwd });
  t.is(code, 3);
  t.is(
    stderr,
    'no model was found\n1 path could not be read:\n  FILE_NOT_FOUND: There is no file "nowhere"; check the path.\n',
  );
});

test("the table shows file, expert and the best labels", async (t) => {
  const files = ["models/jazz-lora-1.safetensors", "models/birds-full.safetensors"];
  const { code, stdout } = await runCli(["embed", ...files, ...local, ...texts, "--top", "1"], { cwd });
  t.is(code, 0);
  t.regex(stdout, /^file +expert +ms +labels \(cosine\)\n-+ /);
  t.regex(stdout, /models\/jazz-lora-1\.safetensors +concepts-lora +[\d.]+ {2}jazz 0\.99\d\n/);
  t.regex(stdout, /models\/birds-full\.safetensors +concepts-dense +[\d.]+ {2}birds 0\.99\d\n/);
});

test("--out writes representations in the order of the files", async (t) => {
  const files = ["models/jazz-lora-1.safetensors", "models/birds-lora-2.safetensors"];
  const out = join(cwd, "out.safetensors");
  const words = ["embed", ...files, "--local", "--expert", "experts/concepts-lora", ...texts, "--out", out, "--json"];
  const { code, stdout, stderr } = await runCli(words, { cwd });
  t.is(code, 0, stderr);
  const { tensors, metadata } = await readTensors(out);
  t.deepEqual(JSON.parse(metadata.get("files") ?? ""), files);
  t.is(metadata.get("expert"), "concepts-lora");
  t.regex(metadata.get("space_id") ?? "", /^[0-9a-f]{64}$/);
  const representations = tensors.get("representations");
  t.deepEqual(representations?.shape, [2, 16]);
  t.deepEqual(tensors.get("scores")?.shape, [2, 8]);
  const bytes = representations?.bytes ?? new Uint8Array(0);
  const rows = Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, 32));
  for (const { file, representation } of parseLines<Line>(stdout)) {
    const at = files.indexOf(file) * 16;
    t.deepEqual(rows.slice(at, at + 16), representation);
  }
});

// Alone, as it waits for a process: with all others at once that takes longer than anybody would wait.
test.serial("--out holds what was embedded before Ctrl-C, and says so", async (t) => {
  const silent = await startSilentServer(t);
  const out = join(cwd, "part.safetensors");
  const models = ["models/jazz-lora-1.safetensors", "models/birds-lora-2.safetensors"];
  const words = ["embed", silent.url, ...models, ...local, ...texts, "--out", out, "--json", "--quiet"];
  const child = spawn(process.execPath, [mainScript, ...words], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const output = collectText(child.stdout);
  const remarks = collectText(child.stderr);
  await until(() => output().split("\n").length > 2, "two models are embedded");
  child.kill("SIGINT");
  const [code] = await once(child, "close");
  t.is(code, 130);
  t.is(
    remarks(),
    `--out: 2 of 3 models were embedded before the end; ${out} holds them\nprobestream: stopped by SIGINT\n`,
  );
  const { tensors, metadata } = await readTensors(out);
  t.is(metadata.get("partial"), "2 of 3 models");
  t.deepEqual(JSON.parse(metadata.get("files") ?? ""), models);
  t.deepEqual(tensors.get("representations")?.shape, [2, 16]);
});

test("--out leaves a file alone when nothing was embedded before Ctrl-C, and says so", async (t) => {
  const silent = await startSilentServer(t);
  const out = join(cwd, "kept.safetensors");
  await writeFile(out, "earlier");
  const words = ["embed", silent.url, ...local, "--out", out, "--quiet"];
  const child = spawn(process.execPath, [mainScript, ...words], { cwd, stdio: ["ignore", "ignore", "pipe"] });
  const remarks = collectText(child.stderr);
  await silent.asked;
  child.kill("SIGINT");
  const [code] = await once(child, "close");
  t.is(code, 130);
  t.is(
    remarks(),
    `--out: none of 1 model was embedded before the end; ${out} was not written\nprobestream: stopped by SIGINT\n`,
  );
  t.is(await readFile(out, "utf8"), "earlier");
});

test.serial(
  "a server that is gone ends the run with one sentence and exit code 3, and --out holds what there is",
  async (t) => {
    const server = await startServer(serveCommand({ experts: join(cwd, "experts") }));
    const file = await readFile(join(cwd, "models", "chess-lora-1.safetensors"));
    let open: () => void = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const http = createServer((request, response) => void opened.then(() => answerRange(file, request, response)));
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    t.teardown(() => http.close());
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/m.safetensors`;
    const out = join(cwd, "gone.safetensors");
    const words = ["embed", "models/jazz-lora-1.safetensors", "mixed/a-cut.safetensors", url, "--out", out, "--json"];
    const child = spawn(process.execPath, [mainScript, ...words, "--server", server.target, "--quiet"], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = collectText(child.stdout);
    const remarks = collectText(child.stderr);
    await until(() => output().split("\n").length > 2, "one model is embedded and one has failed");
    await server.stop();
    open();
    const [code] = await once(child, "close");
    t.is(code, 3);
    t.regex(
      remarks(),
      /^1 model failed:\n {2}[^\n]+"mixed\/a-cut\.safetensors"[^\n]+\n--out: 1 of 3 models was embedded/,
    );
    t.true(
      remarks().endsWith(
        `\nprobestream: the server ${server.target} is gone: 1 of 3 models embedded; start it and give the command again\n`,
      ),
      remarks(),
    );
    t.is((await readTensors(out)).metadata.get("partial"), "1 of 3 models");
  },
);

test("a model behind a URL is read by ranges, with the headers given", async (t) => {
  const file = await readFile(join(cwd, "models", "chess-lora-1.safetensors"));
  const asked: (string | undefined)[] = [];
  const http = createServer((request, response) => {
    asked.push(request.headers["x-key"]?.toString());
    answerRange(file, request, response);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/m.safetensors`;
  try {
    const words = ["embed", `${url}?signature=secret`, ...local, ...texts, "--json", "--header", "X-Key: 7"];
    const { code, stdout, stderr } = await runCli(words, { cwd });
    t.is(code, 0, stderr);
    const [line] = parseLines<Line>(stdout);
    t.is(line?.file, url);
    t.is(line?.labels?.[0]?.label, "chess");
    t.true(asked.length > 0 && asked.every((key) => key === "7"));
  } finally {
    http.close();
  }
});

const refusals: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["no argument", ["embed"], 2, /missing required argument 'model'/],
  ["an unknown option", ["embed", "models", "--bogus"], 2, /unknown option '--bogus'/],
  ["a number that is none", ["embed", "models", "--top", "0"], 2, /whole number from 1/],
  ["a header that is none", ["embed", "models", "--header", "x"], 2, /Name: value/],
  [
    "a backend that is none",
    ["embed", "models", "--local", "--backend", "abacus"],
    2,
    /gpu, onnx, onnx-cuda, onnx-webgpu, wasm, plain/,
  ],
  ["--local with --server", ["embed", "models", "--local", "--server", "localhost:1"], 2, /cannot be used with/],
  ["--experts without --local", ["embed", "models", "--experts", "experts"], 2, /with --local/],
  [
    "texts that are none",
    ["embed", "models", ...local, "--texts", "models/chess-lora-1.safetensors"],
    2,
    /text_embeds/,
  ],
  ["an --out nowhere", ["embed", "models", ...local, "--out", "no/where"], 2, /no folder that can be written/],
  ["an --out that is a folder", ["embed", "models", ...local, "--out", "empty"], 2, /empty is a folder; name a file/],
  ["a certificate without key", ["embed", "models", "--tls-cert", "x"], 2, /belong together/],
  [
    "a server that is not there",
    ["embed", "models", "--server", "127.0.0.1:1"],
    3,
    /cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:1; is/,
  ],
  [
    "a folder without models",
    ["embed", "empty", ...local],
    3,
    /no \.safetensors file and no PyTorch checkpoint in empty/,
  ],
  [
    "a folder of other formats",
    ["embed", "foreign", ...local],
    3,
    /no \.safetensors file and no PyTorch checkpoint in foreign, but 2 \.bin files, 1 \.gguf file; `inspect FILE` says how to convert one/,
  ],
  ["a folder without experts", ["embed", "models", "--local", "--experts", "empty"], 3, /no usable expert/],
  [
    "an expert that is not there",
    ["embed", "models", ...local, "--expert", "nobody"],
    3,
    /no expert "nobody" .* concepts-lora/,
  ],
];
for (const [what, words, expected, pattern] of refusals) {
  test(`${what} is refused in one line with exit code ${expected}`, async (t) => {
    const { code, stdout, stderr } = await runCli(words, { cwd });
    t.is(code, expected);
    t.is(stdout, "");
    t.regex(stderr, /^probestream: [^\n]+\n$/);
    t.regex(stderr, pattern);
  });
}

test("--debug shows the stack and its causes, without what could move the cursor", async (t) => {
  const words = ["embed", "models", "--local", "--experts", "no\u001b[2Jwhere", "--debug"];
  const { code, stderr } = await runCli(words, { cwd });
  t.is(code, 3);
  t.regex(stderr, /\n {4}at /);
  t.regex(stderr, /\ncaused by: Error: ENOENT/);
  t.true(stderr.includes("no\ufffd[2Jwhere"));
  t.false(stderr.includes("\u001b"));
});

test("Ctrl-C ends it in order with exit code 130", async (t) => {
  const silent = await startSilentServer(t);
  const child = spawn(process.execPath, [mainScript, "embed", silent.url, ...local], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const remarks = collectText(child.stderr);
  await silent.asked;
  child.kill("SIGINT");
  const [code] = await once(child, "close");
  t.is(code, 130);
  t.is(remarks(), "probestream: stopped by SIGINT\n");
});

test("a reader that goes away is no crash", async (t) => {
  const child = spawn(process.execPath, [mainScript, "embed", "models", ...local, "--json"], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdout.destroy();
  const [code] = await once(child, "close");
  t.is(code, 0);
  t.notRegex(stderr, /EPIPE|\bat /);
});

/** A server that takes calls and never answers: something to interrupt. */
async function startSilentServer(
  t: ExecutionContext,
): Promise<{ readonly url: string; readonly asked: Promise<void> }> {
  const http = createServer(() => {});
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.teardown(() => {
    http.closeAllConnections();
    http.close();
  });
  const asked = once(http, "request").then(() => {});
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/m.safetensors`, asked };
}

/** Answers with the part of a file that is asked for. */
function answerRange(file: Buffer, { headers }: IncomingMessage, response: ServerResponse): void {
  const [, from = "0", to = ""] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  const part = file.subarray(Number(from), to === "" ? file.length : Number(to) + 1);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${file.length}`;
  response.writeHead(206, { "content-range": range, "content-length": part.length, etag: '"1"' }).end(part);
}

/** What a stream has brought so far. */
function collectText(stream: Readable): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return () => text;
}
