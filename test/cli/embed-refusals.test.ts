import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { local, makeMixedFolder } from "./embed-rig.js";
import { oneBackend, runCli } from "./run-cli.js";
import { runInFolder, serveInProcess } from "./run-in-process.js";

let cwd = "";
test.before(async () => {
  cwd = await makeMixedFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

test("an expert that a server does not have is told of once, with those it has", async (t) => {
  const server = await serveInProcess(["--experts", join(cwd, "experts"), ...oneBackend]);
  try {
    const words = ["embed", "./models", "--server", server.target, "--expert"];
    const { code, stdout, stderr } = await runInFolder(cwd, [...words, "nosuch"]);
    t.is(code, 3);
    t.is(stdout, "");
    const has = "it has concepts-dense, concepts-lora";
    t.is(stderr, `probestream: no expert "nosuch" on the server ${server.target}; ${has}\n`);
    const known = await runInFolder(cwd, [...words, "concepts-lora"]);
    t.is(known.code, 1, "the dense model does not fit");
  } finally {
    await server.stop();
  }
});

test("where every model fails there is no empty table, and no file of --out", async (t) => {
  const words = ["embed", "./mixed/a-cut.safetensors", ...local, "--out", "./none.safetensors"];
  const { code, stdout, stderr } = await runInFolder(cwd, words);
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
  const { code, stderr } = await runInFolder(cwd, ["embed", "ftp://x/m.safetensors", ...local]);
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

const refusals: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ["no argument", ["embed"], 2, /missing required argument 'model'/],
  ["an unknown option", ["embed", "./models", "--bogus"], 2, /unknown option '--bogus'/],
  ["a number that is none", ["embed", "./models", "--top", "0"], 2, /whole number from 1/],
  ["a header that is none", ["embed", "./models", "--header", "x"], 2, /Name: value/],
  [
    "a backend that is none",
    ["embed", "./models", "--local", "--backend", "abacus"],
    2,
    /gpu, onnx, onnx-cuda, onnx-webgpu, wasm, plain/,
  ],
  ["--local with --server", ["embed", "./models", "--local", "--server", "localhost:1"], 2, /cannot be used with/],
  ["--experts without --local", ["embed", "./models", "--experts", "./experts"], 2, /with --local/],
  [
    "texts that are none",
    ["embed", "./models", ...local, "--texts", "./models/chess-lora-1.safetensors"],
    2,
    /text_embeds/,
  ],
  ["an --out nowhere", ["embed", "./models", ...local, "--out", "./no/where"], 2, /no folder that can be written/],
  [
    "an --out that is a folder",
    ["embed", "./models", ...local, "--out", "./empty"],
    2,
    /empty is a folder; name a file/,
  ],
  ["a certificate without key", ["embed", "./models", "--tls-cert", "x"], 2, /belong together/],
  [
    "a server that is not there",
    ["embed", "./models", "--server", "127.0.0.1:1"],
    3,
    /cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:1; is/,
  ],
  [
    "a folder without models",
    ["embed", "./empty", ...local],
    3,
    /no \.safetensors file and no PyTorch checkpoint in empty/,
  ],
  [
    "a folder of other formats",
    ["embed", "./foreign", ...local],
    3,
    /no \.safetensors file and no PyTorch checkpoint in foreign, but 2 \.bin files, 1 \.gguf file; `inspect FILE` says how to convert one/,
  ],
  ["a folder without experts", ["embed", "./models", "--local", "--experts", "./empty"], 3, /no usable expert/],
  [
    "an expert that is not there",
    ["embed", "./models", ...local, "--expert", "nobody"],
    3,
    /no expert "nobody" .* concepts-lora/,
  ],
];
for (const [what, words, expected, pattern] of refusals) {
  test(`${what} is refused in one line with exit code ${expected}`, async (t) => {
    const { code, stdout, stderr } = await runInFolder(cwd, words);
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
