import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { serveCommand } from "../../bench/start-server.js";
import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { randomValues } from "../helpers/random.js";
import { openRawClient, type RawUpload } from "../helpers/rpc-client.js";
import { toChunk, toDigest, toFooter, toHeader } from "../helpers/rpc-messages.js";
import { until } from "../helpers/until.js";
import { makeExampleFolder } from "./run-cli.js";

let cwd = "";
test.before(async () => {
  cwd = await makeExampleFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

const layer = new Uint8Array(randomValues(64 * 64, 1).buffer);

interface BusyServer {
  readonly server: ChildProcess;
  /** Signals the server and all its processes: by default as a terminal does on Ctrl-C. */
  interrupt(name?: NodeJS.Signals): void;
  /** Has sent half a layer. */
  readonly upload: RawUpload;
  /** Sends the other half. */
  finish(): Promise<void>;
}

/** Starts two processes on a port, in a process group of their own, with an open upload in one of them. */
async function startBusyServer(t: ExecutionContext, grace: string): Promise<BusyServer> {
  const { program, args } = serveCommand({
    experts: join(cwd, "experts"),
    extra: ["--processes", "2", "--workers", "1", "--grace", grace, "--backend", "onnx"],
  });
  const server = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const group = -(server.pid ?? 0);
  t.teardown(() => {
    if (isAlive(group)) process.kill(group, "SIGKILL");
  });
  const [banner] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  const client = openRawClient(/^listening on (\S+)/.exec(banner)?.[1] ?? "");
  t.teardown(() => client.close());
  const plan = await client.planOne({
    tensors: [{ name: "lm.blocks.1.attn.to_out.weight", dtype: Dtype.F32, shape: [64n, 64n] }],
  });
  const upload = client.openUpload();
  await upload.write(toHeader(plan));
  await upload.write(toChunk(0, 0, layer.subarray(0, 8192)));
  // Its answer says that the upload, begun before it on the same connection, has arrived.
  await client.serverInfo();
  const finish = async (): Promise<void> => {
    await upload.write(toChunk(0, 8192, layer.subarray(8192)));
    await upload.write(toFooter(layer.byteLength, toDigest([layer])));
    upload.end();
  };
  return { server, interrupt: (name = "SIGINT") => process.kill(group, name), upload, finish };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

for (const name of ["SIGINT", "SIGTERM"] as const) {
  test(`${name} to all processes of a server lets their streams finish`, async (t) => {
    const { server, interrupt, upload, finish } = await startBusyServer(t, "20s");
    const ended = once(server, "exit");
    interrupt(name);
    await sleep(500);
    await finish();
    const { response, failure } = await upload.answer;
    t.is(failure, undefined);
    t.is(response?.results[0]?.outcome.case, "embedding");
    t.deepEqual(await ended, [0, null]);
  });
}

test("a second Ctrl-C ends all processes at once", async (t) => {
  const { server, interrupt, upload } = await startBusyServer(t, "100s");
  const ended = once(server, "exit");
  interrupt();
  await sleep(500);
  t.false(upload.isAnswered);
  interrupt();
  t.deepEqual(await ended, [null, "SIGINT"]);
  await until(() => !isAlive(-(server.pid ?? 0)), "no process is left");
  t.truthy((await upload.answer).failure);
});
