import { homedir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { CommandContext } from "../../src/cli/command-context.js";
import { readHubEnvironment } from "../../src/cli/environment.js";
import { findEncoderFolder } from "../../src/cli/find-encoder-folder.js";
import { openEncoderByName } from "../../src/cli/open-encoder-by-name.js";
import { toTextRemarks } from "../../src/cli/text-remarks.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { readClipCases, readClipTokenizer, readClipTower, writeClipEncoder } from "../helpers/golden-clip.js";
import { hubCommit, startHub } from "../helpers/hub-server.js";
import { relativeError } from "../helpers/oracle.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

type Context = Pick<CommandContext, "terminal" | "environment" | "signal">;

/** A context whose Hub is at an address, and what is remarked in it. */
function createContext(endpoint: string, cacheFolder: string): { context: Context; remarks: string[] } {
  const remarks: string[] = [];
  const context: Context = {
    terminal: {
      print: async () => {},
      remark: (line) => remarks.push(line),
      showStatus: () => {},
      hasStatus: false,
      columns: 80,
    },
    environment: {
      server: "",
      serverToken: undefined,
      hubToken: undefined,
      hub: { endpoint, cacheFolder, isOffline: false },
      probesFolder: cacheFolder,
      useColor: false,
    },
    signal: new AbortController().signal,
  };
  return { context, remarks };
}

async function startClipHub(t: ExecutionContext) {
  const hub = await startHub({
    "me/clip": {
      "onnx/text_model.onnx": await readClipTower(),
      "onnx/model.onnx": "pictures too",
      "tokenizer.json": JSON.stringify(await readClipTokenizer()),
      "config.json": JSON.stringify({ model_type: "clip" }),
    },
    "me/torch": { "model.safetensors": "weights", "tokenizer.json": "{}" },
  });
  t.teardown(() => hub.close());
  const cacheFolder = join(await createTemporaryFolder(t), "hub");
  return { hub, cacheFolder, ...createContext(hub.endpoint, cacheFolder) };
}

test("an encoder is opened by its id on the Hub", async (t) => {
  const { hub, cacheFolder, context, remarks } = await startClipHub(t);
  const encoder = await openEncoderByName("me/clip", context);
  t.teardown(() => encoder.dispose());
  const cases = (await readClipCases()).slice(0, 3);
  const { values } = await encoder.encode(cases.map(({ text }) => text));
  t.true(
    relativeError(
      values,
      cases.flatMap(({ text_embeds: embeds }) => embeds),
    ) < 1e-5,
  );
  t.regex(remarks.join("\n"), /^fetching me\/clip, 3\.\d MB, to .*hub$/);
  t.false(hub.requests.some(({ path }) => path.endsWith("onnx/model.onnx")));
  await hub.close();
  t.is(await findEncoderFolder("me/clip", context), join(cacheFolder, "models--me--clip/snapshots", hubCommit));
});

test("a folder goes before an id, and what is neither is refused", async (t) => {
  const { hub, context, remarks } = await startClipHub(t);
  const folder = await createTemporaryFolder(t);
  await writeClipEncoder(folder);
  t.is(await findEncoderFolder(folder, context), folder);
  t.is(hub.requests.length, 0);
  await assertRefused(t, () => findEncoderFolder("./me/clip", context), {
    reason: "FILE_NOT_FOUND",
    message:
      'There is no folder "./me/clip"; a text encoder is a folder with an ONNX model and tokenizer.json, or a model of the Hugging Face Hub by its id, such as Xenova/clip-vit-base-patch32',
  });
  await assertRefused(t, () => findEncoderFolder("me/torch", context), {
    reason: "FILE_NOT_FOUND",
    message: `me/torch has no file text_model.onnx or model.onnx or onnx/text_model.onnx or onnx/model.onnx on ${hub.endpoint}; choose a model that has it, or export this one (\`optimum-cli export onnx --model ID FOLDER\`) and give the folder`,
  });
  t.deepEqual(remarks, [
    'there is no folder "me/torch" here, so that it was taken for a model of the Hugging Face Hub',
  ]);
});

test("texts that were cut, or say nothing, are remarked on", (t) => {
  const texts = ["a", "b".repeat(100), "\u001b[31mzebra"];
  const vectors = { rows: 3, columns: 1, values: new Float32Array(3) };
  t.deepEqual(toTextRemarks({ ...vectors, truncated: [], unknown: [] }, texts), []);
  const encoded = { ...vectors, truncated: [{ index: 1, tokenCount: 102, maxTokens: 77 }], unknown: [2] };
  t.deepEqual(toTextRemarks(encoded, texts), [
    `1 of 3 texts are longer than the 77 tokens that the text encoder takes and were cut, such as "${"b".repeat(60)}…" (102 tokens)`,
    '1 of 3 texts have no word that the text encoder knows, such as "�[31mzebra": nothing can be told of them',
  ]);
});

test.serial("the Hub's variables are read as its own tools read them", (t) => {
  const names = ["HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"];
  const before = names.map((name) => [name, process.env[name]] as const);
  t.teardown(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  const read = (values: Readonly<Record<string, string>>) => {
    for (const name of names) delete process.env[name];
    Object.assign(process.env, values);
    return readHubEnvironment();
  };
  const usual = { endpoint: undefined, cacheFolder: join(homedir(), ".cache/huggingface/hub"), isOffline: false };
  t.deepEqual(read({}), usual);
  t.deepEqual(read({ HF_HUB_OFFLINE: "0", HF_HOME: "", HF_ENDPOINT: "" }), usual);
  t.is(read({ XDG_CACHE_HOME: "/x" }).cacheFolder, "/x/huggingface/hub");
  t.is(read({ XDG_CACHE_HOME: "/x", HF_HOME: "~/hf" }).cacheFolder, join(homedir(), "hf/hub"));
  t.is(read({ HF_HOME: "/hf", HF_HUB_CACHE: "/c" }).cacheFolder, "/c");
  t.deepEqual(read({ HF_ENDPOINT: "https://mirror", HF_HUB_OFFLINE: "TRUE" }), {
    ...usual,
    endpoint: "https://mirror",
    isOffline: true,
  });
});
