/**
 * Measures the TypeScript client: one line of JSON on standard output. `bare` is the generated code with grpc-js alone.
 *
 *   typescript-client.js layer  -target HOST:PORT -expert NAME FILE...
 *   typescript-client.js bare   -target HOST:PORT -expert NAME -tensor NAME FILE
 *   typescript-client.js models -target HOST:PORT -expert NAME -list FILE
 */
import { open, readFile } from "node:fs/promises";
import { connect } from "../src/rpc/client.js";
import { embedFiles } from "../src/search/embed-files.js";
import { openModel } from "../src/weights/model-file.js";
import { openRawClient } from "../test/helpers/rpc-client.js";
import { toChunk, toFooter, toHeader } from "../test/helpers/rpc-messages.js";
import { readProcessCpu, readProcessMemory, resetPeakMemory } from "./process-stats.js";

const chunkBytes = 1024 * 1024 - 4096;

interface Sum {
  bytes: number;
  models: number;
}

const [mode = "", ...rest] = process.argv.slice(2);
const options = new Map<string, string>();
const files: string[] = [];
for (let i = 0; i < rest.length; i++) {
  const word = rest[i] ?? "";
  if (word.startsWith("-")) options.set(word.slice(1), rest[++i] ?? "");
  else files.push(word);
}
const list = options.get("list");
if (list !== undefined) files.push(...(await readFile(list, "utf8")).split(/\s+/).filter((name) => name !== ""));
const target = options.get("target") ?? "";
const expert = options.get("expert") ?? "";

/** Embeds files at once. */
async function embed(locations: readonly string[], sum: Sum): Promise<void> {
  const client = connect({ target });
  try {
    for await (const { outcome } of embedFiles(locations, client, { experts: [expert] })) {
      if (outcome instanceof Error) throw outcome;
      sum.bytes += outcome.bytesTotal;
      sum.models++;
    }
  } finally {
    await client.close();
  }
}

/** What anyone would write with the generated code: read, put into a message, send. No digest. */
async function bare(path: string, name: string, sum: Sum): Promise<void> {
  const model = await openModel(path);
  const tensor = model.tensors.get(name);
  const place = model.files[0]?.tensors.find((each) => each.name === name);
  if (tensor === undefined || place === undefined) throw new Error(`no tensor ${name}`);
  const client = openRawClient(target);
  const file = await open(path);
  try {
    const shape = tensor.shape.map(BigInt);
    const planned = await client.planOne({ modelId: "bare", experts: [expert], tensors: [{ name, dtype: 2, shape }] });
    const upload = client.openUpload({ deadlineMs: 3_600_000 });
    await upload.write(toHeader(planned));
    const length = place.end - place.begin;
    for (let offset = 0; offset < length; offset += chunkBytes) {
      const data = new Uint8Array(Math.min(chunkBytes, length - offset));
      await file.read(data, 0, data.length, place.begin + offset);
      await upload.write(toChunk(0, offset, data));
    }
    await upload.write(toFooter(length));
    upload.end();
    const { response, failure } = await upload.answer;
    const outcome = response?.results[0]?.outcome;
    if (outcome?.case !== "embedding") throw new Error(failure?.message ?? "no embedding");
    sum.bytes += Number(outcome.value.bytesTotal);
    sum.models++;
  } finally {
    await file.close();
    client.close();
    await model.close();
  }
}

const warm = connect({ target });
await warm.serverInfo();
await warm.close();
const sum: Sum = { bytes: 0, models: 0 };
const { residentBytes } = await readProcessMemory(process.pid);
await resetPeakMemory(process.pid);
const before = (await readProcessCpu(process.pid)).totalSeconds;
const begin = performance.now();
if (mode === "bare") await bare(files[0] ?? "", options.get("tensor") ?? "", sum);
else if (mode === "models") await embed(files, sum);
else for (const file of files) await embed([file], sum);
const seconds = (performance.now() - begin) / 1000;
console.log(
  JSON.stringify({
    ...sum,
    seconds,
    cpu_seconds: (await readProcessCpu(process.pid)).totalSeconds - before,
    idle_bytes: residentBytes,
    peak_bytes: (await readProcessMemory(process.pid)).peakBytes,
  }),
);
