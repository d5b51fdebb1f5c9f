import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import test, { type ExecutionContext } from "ava";
import { mainScript } from "../../bench/repository-root.js";
import { Interruption } from "../../src/cli/interrupt.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { answerRange, local, makeMixedFolder, serveModel, texts } from "./embed-rig.js";
import { oneBackend } from "./run-cli.js";
import { runInFolder, serveInProcess } from "./run-in-process.js";

let cwd = "";
test.before(async () => {
  cwd = await makeMixedFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

test("--out holds what was embedded before Ctrl-C, and says so", async (t) => {
  const silent = await startSilentServer(t);
  const out = join(cwd, "part.safetensors");
  const models = ["jazz-lora-1", "birds-lora-2"].map((name) => join(cwd, "models", `${name}.safetensors`));
  const words = ["embed", silent.url, ...models, ...local, ...texts, "--out", out, "--json", "--quiet"];
  const controller = new AbortController();
  let lines = 0;
  const { code, stderr } = await runInFolder(cwd, words, controller, () => {
    if (++lines === models.length) controller.abort(new Interruption("SIGINT"));
  });
  t.is(code, 130);
  t.is(
    stderr,
    "--out: 2 of 3 models were embedded before the end; part.safetensors holds them\nprobestream: stopped by SIGINT\n",
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
  const controller = new AbortController();
  const ended = runInFolder(cwd, words, controller);
  await silent.asked;
  controller.abort(new Interruption("SIGINT"));
  const { code, stderr } = await ended;
  t.is(code, 130);
  t.is(
    stderr,
    "--out: none of 1 model was embedded before the end; kept.safetensors was not written\nprobestream: stopped by SIGINT\n",
  );
  t.is(await readFile(out, "utf8"), "earlier");
});

test("a server that is gone ends the run with one sentence and exit code 3, and --out holds what there is", async (t) => {
  const server = await serveInProcess(["--experts", join(cwd, "experts"), "--grace", "100ms", ...oneBackend]);
  const file = await readFile(join(cwd, "models", "chess-lora-1.safetensors"));
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const url = await serveModel(t, (request, response) => void opened.then(() => answerRange(file, request, response)));
  const out = join(cwd, "gone.safetensors");
  const words = ["embed", "./models/jazz-lora-1.safetensors", "./mixed/a-cut.safetensors", url, "--out", out, "--json"];
  let lines = 0;
  let hear: () => void = () => {};
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const ended = runInFolder(cwd, [...words, "--server", server.target, "--quiet"], undefined, () => {
    // One model is embedded and one has failed.
    if (++lines === 2) hear();
  });
  await Promise.race([heard, ended]);
  await server.stop();
  open();
  const { code, stderr } = await ended;
  t.is(code, 3);
  t.regex(stderr, /^1 model failed:\n {2}[^\n]+"mixed\/a-cut\.safetensors"[^\n]+\n--out: 1 of 3 models was embedded/);
  t.true(
    stderr.endsWith(
      `\nprobestream: the server ${server.target} is gone: 1 of 3 models embedded; start it and give the command again\n`,
    ),
    stderr,
  );
  t.is((await readTensors(out)).metadata.get("partial"), "1 of 3 models");
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
  let hear: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    hear = resolve;
  });
  return { url: await serveModel(t, () => hear()), asked };
}

/** What a stream has brought so far. */
function collectText(stream: Readable): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return () => text;
}
