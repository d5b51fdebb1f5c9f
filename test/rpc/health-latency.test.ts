import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import test from "ava";
import { type Child, startChild } from "../../bench/child-process.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { writeTestExpert } from "../helpers/rpc-experts.js";
import { until } from "../helpers/until.js";

/** 256 MiB of 4096 columns at 128 probes, as in the acceptance of the ingest rate. */
const shape = [16_384, 4096] as const;
const checks = 250;
const limitMs = 50;
const rounds = 6;

test("health checks answer within 50 ms at the 99th percentile while four clients stream at full speed", async (t) => {
  t.timeout(100_000);
  const catalogue = await mkdtemp(join(tmpdir(), "probestream-health-"));
  const children: Child[] = [];
  t.teardown(async () => {
    for (const child of children) child.signal("SIGKILL");
    await rm(catalogue, { recursive: true, force: true });
  });
  await writeTestExpert(catalogue, { name: "large", module: "large", shape, probeCount: 128, projectionWidth: 128 });
  const run = async (script: string, ...args: readonly string[]): Promise<{ child: Child; line: string }> => {
    const program = fileURLToPath(new URL(`../helpers/${script}`, import.meta.url));
    const child = await startChild({ program: process.execPath, args: [program, ...args] });
    children.push(child);
    for await (const line of child.lines) return { child, line };
    throw new Error(`the child said nothing: ${child.errorText()}`);
  };
  const { line: port } = await run("rpc-child-server.js", catalogue);
  const target = `127.0.0.1:${port}`;
  // Each says a line when its first MiB is sent.
  await Promise.all(
    Array.from({ length: 4 }, () => run("rpc-child-client.js", target, String(shape[0]), String(shape[1]))),
  );
  const client = openRawClient(target);
  t.teardown(() => client.close());
  // A client may have sent before the server, busy with the others, has met its stream.
  await until(async () => (await client.serverInfo()).memoryPlan?.openStreams === 4, "four open streams");

  // The machine may have other work: what counts is that the server can, so the best of a few rounds is taken.
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds && best > limitMs; round++) {
    const times: number[] = [];
    for (let i = 0; i < checks; i++) {
      const started = performance.now();
      t.is(await client.health(), "SERVING");
      times.push(performance.now() - started);
      await sleep(10);
    }
    times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.ceil(share * times.length) - 1] ?? Number.POSITIVE_INFINITY;
    best = Math.min(best, at(0.99));
    t.log(
      `${checks} checks: median ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, max ${at(1).toFixed(1)} ms`,
    );
  }
  t.true((await client.serverInfo()).memoryPlan?.openStreams !== 0, "the clients had stopped");
  t.true(best <= limitMs, `${best} ms`);
});
