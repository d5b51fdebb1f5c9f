import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { relativeError } from "../helpers/oracle.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { toModel } from "../helpers/rpc-messages.js";
import { startTestServer } from "../helpers/rpc-server.js";
import { layerColumns, layerExpert, layerRows, layerValues, sameResult } from "./layer.js";

/** Debian's interpreter, which has Debian's grpcio; another may come first in PATH. */
const python = "/usr/bin/python3";

/** What is missing for a Python client, if anything. */
function findMissing(): string | undefined {
  try {
    execFileSync(python, ["-c", "import grpc, google.protobuf"], { stdio: "pipe" });
  } catch {
    return "python3-grpcio or python3-protobuf is not installed";
  }
  try {
    execFileSync("sh", ["-c", "command -v protoc && command -v grpc_python_plugin"], { stdio: "pipe" });
  } catch {
    return "protobuf-compiler or protobuf-compiler-grpc is not installed";
  }
  return undefined;
}

const missing = findMissing();
const withPython = missing === undefined ? test : test.skip;
const reason = missing === undefined ? "" : ` (skipped: ${missing})`;

function embedWithPython(target: string, chunkBytes: number, bytes: Uint8Array): Promise<number[]> {
  const script = join(repositoryRoot, "test/e2e/python/embed.py");
  const args = [script, target, "layer.weight", `${layerRows}`, `${layerColumns}`, `${chunkBytes}`];
  const child = spawn(python, args);
  let out = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  child.stdin.end(bytes);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(out) as number[]);
      else reject(new Error(`embed.py ended with ${code}: ${error}`));
    });
  });
}

withPython(`Debian's Python grpcio embeds a layer with the same result as the client here${reason}`, async (t) => {
  const server = await startTestServer([layerExpert]);
  const client = openRawClient(server.target);
  try {
    const bytes = float32Bytes(layerValues);
    const shape = [BigInt(layerRows), BigInt(layerColumns)];
    const planned = await client.planOne({ tensors: [{ name: "layer.weight", dtype: 2, shape }] });
    const { response } = await client.upload(toModel(planned, [bytes]));
    const outcome = response?.results[0]?.outcome;
    const own = outcome?.case === "embedding" ? outcome.value.embeddings[0]?.representation : undefined;
    const expected = new Float32Array(new Uint8Array(own ?? []).buffer);
    t.true(expected.length > 0);
    for (const chunkBytes of [7, 1024 * 1024]) {
      const error = relativeError(await embedWithPython(server.target, chunkBytes, bytes), expected);
      t.true(error <= sameResult, `${error} in chunks of ${chunkBytes}`);
    }
  } finally {
    client.close();
    await server.close();
  }
});
