import { existsSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { startChild } from "../../bench/child-process.js";
import { readProcessCpu, readProcessMemory, resetPeakMemory } from "../../bench/process-stats.js";

// The figures come from /proc; elsewhere there is nothing to test.
const linux = existsSync("/proc/self/clear_refs") ? test : test.skip;
const MIB = 1024 ** 2;

linux("work on the main thread counts as its own", async (t) => {
  const pid = await startBusyChild(t, "burn();");
  const { mainThreadSeconds, totalSeconds } = await readProcessCpu(pid);
  t.true(mainThreadSeconds >= 0.2, `${mainThreadSeconds}`);
  // Each is a sum of two times that the system rounds to ticks of 10 ms by itself.
  t.true(totalSeconds >= mainThreadSeconds - 0.02, `${totalSeconds} beside ${mainThreadSeconds}`);
});

linux("work of another thread counts in the total only", async (t) => {
  const worker = "new (require('worker_threads').Worker)('(' + burn + ')()', { eval: true })";
  const pid = await startBusyChild(t, `await new Promise((resolve) => ${worker}.once('exit', resolve));`);
  const { mainThreadSeconds, totalSeconds } = await readProcessCpu(pid);
  t.true(totalSeconds - mainThreadSeconds >= 0.2);
});

linux("the peak keeps what was resident once, until it is reset", async (t) => {
  // A buffer of its own mapping, which the collector gives back to the system.
  const pid = await startBusyChild(t, "Buffer.alloc(64 * 1024 ** 2, 1).fill(2); gc(); await null; gc();");
  const before = await readProcessMemory(pid);
  t.true(before.anonymousBytes > 0 && before.anonymousBytes < before.residentBytes, `${before.anonymousBytes}`);
  t.true(before.peakBytes >= before.residentBytes + 32 * MIB, `${before.peakBytes} beside ${before.residentBytes}`);
  await resetPeakMemory(pid);
  const after = await readProcessMemory(pid);
  t.true(after.peakBytes <= after.residentBytes + 8 * MIB, `${after.peakBytes} beside ${after.residentBytes}`);
});

/**
 * Starts a Node that does some work, says so and then waits; its `burn()` takes 300 ms of processor time. It asks the system
 * how much it has used after some work only: asking takes time of the system, several times what it measures.
 */
async function startBusyChild(t: ExecutionContext, work: string): Promise<number> {
  const spin = "for (let i = 0; i < 1e6; i++);";
  const burn = `function burn() { const from = process.cpuUsage().user; while (process.cpuUsage().user < from + 3e5) ${spin} }`;
  const script = `${burn} (async () => { ${work} console.log('done'); setInterval(() => {}, 1000); })();`;
  const child = await startChild({ program: process.execPath, args: ["--expose-gc", "-e", script] });
  t.teardown(async () => {
    child.signal("SIGKILL");
    await child.ended;
  });
  for await (const line of child.lines) if (line === "done") return child.pid;
  throw new Error(`the child ended: ${child.errorText()}`);
}
