import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import test from "ava";
import { openChannel } from "../../../src/compute/gpu/gpu-channel.js";
import { UnavailableError } from "../../../src/errors/probestream-error.js";

const program = fileURLToPath(new URL("../../fixtures/slow-process.js", import.meta.url));

function start(delay: string): ChildProcess {
  return fork(program, [delay], { serialization: "advanced" });
}

test("a GPU process that gives no answer is killed, and all that wait are told", async (t) => {
  const child = start("never");
  const exit = once(child, "exit");
  const { call, end } = openChannel(child, 300);
  const lost = { instanceOf: UnavailableError, message: /the GPU process did not answer within 300 ms/ };
  const calls = [call({ op: "read", sum: 1 }), call({ op: "close", sum: 1 })];
  for (const waiting of calls) await t.throwsAsync(waiting, lost);
  t.deepEqual(await exit, [null, "SIGKILL"]);
  await t.throwsAsync(call({ op: "read", sum: 1 }), lost);
  await end();
});

test("a GPU process that is slow and answers is left to work, however much waits", async (t) => {
  const child = start("400");
  const { call, end } = openChannel(child, 1500);
  const answers = await Promise.all([0, 1, 2, 3, 4].map((sum) => call({ op: "read", sum })));
  t.deepEqual(answers, [0, 1, 2, 3, 4]);
  await end();
});
