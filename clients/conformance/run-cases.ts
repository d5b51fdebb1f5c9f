import { setTimeout as sleep } from "node:timers/promises";
import type { CaseServers } from "./case-servers.js";
import { type ConformanceCase, fillIn, type Json, type JsonObject } from "./conformance-case.js";
import type { Driver } from "./drivers.js";
import { findMismatch } from "./match-pattern.js";
import { toShortHash, type World } from "./world.js";

/** What came of one case in one language. */
export interface CaseVerdict {
  readonly name: string;
  readonly language: string;
  readonly verdict: "passed" | "failed" | "left out" | "not offered";
  /** Why, of anything but a pass. */
  readonly why: string;
  readonly ms: number;
}

/** How long the server may take to let go of what a client left, in milliseconds. */
const afterMs = 5000;

/** Runs one case with one driver. */
export async function runCase(
  test: ConformanceCase,
  driver: Driver,
  world: World,
  servers: CaseServers,
): Promise<CaseVerdict> {
  const started = performance.now();
  const { name } = test;
  const tell = (verdict: CaseVerdict["verdict"], why = ""): CaseVerdict => ({
    name,
    language: driver.language,
    verdict,
    why,
    ms: performance.now() - started,
  });
  if (test.languages?.includes(driver.language) === false) return tell("not offered");
  const absent = servers.whyMissing(test.server ?? "main");
  if (absent !== undefined) return tell("left out", absent);
  if (driver.missing !== undefined) return tell("left out", driver.missing);
  const server = await servers.open(test.server ?? "main", driver.language);
  try {
    const extra = new Map<string, Json>([
      ["target", server.target],
      ["http", servers.fileOrigin],
    ]);
    if (JSON.stringify(test).includes("{large}")) {
      extra.set("large", await world.nameLarge(toShortHash(`${driver.language} ${name}`)));
    }
    const fill = (template: Json): Json => fillIn(template, (key) => extra.get(key) ?? world.valueOf(key));
    const connect = { target: server.target, ...(fill(test.connect ?? {}) as JsonObject) };
    const outcome = await driver.run({ name, connect, steps: fill(test.steps as unknown as Json) });
    if ("unsupported" in outcome) return tell("left out", outcome.unsupported);
    const problem = findMismatch(fill(test.expect as Json), outcome.outcomes) ?? (await checkAfter(test, servers));
    return problem === undefined ? tell("passed") : tell("failed", problem);
  } catch (error) {
    return tell("failed", error instanceof Error ? error.message : String(error));
  } finally {
    await server.stop();
  }
}

async function checkAfter({ after }: ConformanceCase, servers: CaseServers): Promise<string | undefined> {
  if (after?.open_streams === undefined) return undefined;
  const deadline = performance.now() + afterMs;
  for (;;) {
    const open = await servers.countOpenStreams();
    if (open === after.open_streams) return undefined;
    if (performance.now() > deadline)
      return `${open} streams are open ${afterMs / 1000} s later, not ${after.open_streams}`;
    await sleep(50);
  }
}
