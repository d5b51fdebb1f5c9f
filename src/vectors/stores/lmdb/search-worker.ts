import { setImmediate } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import { InternalError } from "../../../errors/probestream-error.js";
import { assertQueries } from "../../assert-queries.js";
import { readChanges, readSequence } from "./change-log.js";
import { openDatabase } from "./database.js";
import { findNearest } from "./find-nearest.js";
import type { PackedHits, SearchRequest } from "./messages.js";
import { type NearestGraph, openNearestGraph } from "./nearest-graph.js";
import { packHits } from "./pack-hits.js";
import { type ResidentSpace, readResidentSpace } from "./resident-space.js";
import { type CallServer, serveCalls } from "./serve-calls.js";
import { readSpaces, requireSpace, type StoredSpace } from "./space-table.js";
import { toStoreError } from "./to-store-error.js";

/** Numbers of the queries of different callers that are answered in one go: 256 queries at a width of 512. */
const numbersTogether = 131_072;

/** A caller who waits. */
interface Waiting {
  readonly request: SearchRequest;
  readonly resolve: (hits: PackedHits) => void;
  readonly reject: (error: unknown) => void;
}

/** Keeps the spaces of one folder in memory and searches them. */
await serveCalls(async (): Promise<CallServer> => {
  const { folder, threads } = workerData as { readonly folder: string; readonly threads: number };
  const { root, tables } = openDatabase(folder);
  const residents = new Map<number, ResidentSpace>();
  const waiting: Waiting[] = [];
  let graph: Promise<NearestGraph> | undefined;
  let applied = -1;
  let running: Promise<void> | undefined;

  const openGraph = (): Promise<NearestGraph> => {
    graph ??= openNearestGraph(threads);
    return graph;
  };

  /** Follows what was written since: by this process or another one. What is read after it is of the same moment. */
  const follow = (): void => {
    root.resetReadTxn();
    const last = readSequence(tables);
    if (last === applied) return;
    const changes = residents.size === 0 ? undefined : readChanges(tables, applied);
    const spaces = new Map(readSpaces(tables).map((space) => [space.number, space]));
    for (const [number, resident] of residents) {
      const space = spaces.get(number);
      const slots = changes?.get(number);
      // Without a log that reaches back the space is read anew when it is searched.
      if (space === undefined || changes === undefined) residents.delete(number);
      else if (slots !== undefined) resident.follow(space, slots);
    }
    applied = last;
  };

  const open = (space: StoredSpace): ResidentSpace => {
    const resident = residents.get(space.number) ?? readResidentSpace(tables, space);
    residents.set(space.number, resident);
    return resident;
  };

  const search = async (together: readonly Waiting[]): Promise<void> => {
    const valid: (Waiting & { readonly count: number })[] = [];
    follow();
    const { spaceId, filter } = (together[0] as Waiting).request;
    const resident = open(requireSpace(tables, spaceId));
    for (const one of together) {
      try {
        valid.push({ ...one, count: assertQueries(one.request, resident.width, resident.fields()) });
      } catch (error) {
        one.reject(error);
      }
    }
    if (valid.length === 0) return;
    const isGone = (): boolean => valid.every(({ request }) => Atomics.load(request.gone, 0) !== 0);
    const candidates = await resident.candidates(filter, isGone);
    const question = {
      vectors: concatenate(valid.map(({ request }) => request.vectors)),
      k: Math.max(...valid.map(({ request }) => request.k)),
      minCosine: Math.min(...valid.map(({ request }) => request.minCosine ?? Number.NEGATIVE_INFINITY)),
      isGone,
    };
    const hits = candidates && (await findNearest(await openGraph(), resident, candidates, question));
    let at = 0;
    for (const { request, count, resolve } of valid) {
      resolve(packHits(hits?.slice(at, at + count) ?? [], request));
      at += count;
    }
  };

  /** Answers one group of callers after another: what is in memory must not change under a search. */
  const run = async (): Promise<void> => {
    for (;;) {
      // Calls that came while the last group was answered are heard only now.
      await setImmediate();
      const together = takeAlike(waiting);
      if (together.length === 0) return;
      try {
        await search(together);
      } catch (error) {
        for (const { reject } of together) reject(toStoreError(error, folder));
      }
    }
  };
  const start = (): void => {
    running ??= run().finally(() => {
      running = undefined;
      if (waiting.length > 0) start();
    });
  };

  const warm = async (): Promise<null> => {
    await running;
    follow();
    for (const space of readSpaces(tables)) if (space.state === "serving" && space.count > 0) open(space);
    await openGraph();
    return null;
  };

  return {
    handle: (name, request) => {
      if (name === "warm") return warm();
      if (name !== "search") throw new InternalError("INTERNAL", `there is no call ${name}`);
      return new Promise<PackedHits>((resolve, reject) => {
        waiting.push({ request: request as SearchRequest, resolve, reject });
        start();
      });
    },
    close: async () => {
      await running;
      await (await graph?.catch(() => undefined))?.dispose();
      await root.close();
    },
  };
});

/** Takes the first caller and others who ask about the same rows, so that one product answers them. */
function takeAlike(waiting: Waiting[]): Waiting[] {
  const here = waiting.splice(0).filter(({ request, resolve }) => {
    const isHere = Atomics.load(request.gone, 0) === 0;
    if (!isHere) resolve(packHits([], request));
    return isHere;
  });
  const [first] = here;
  if (first === undefined) return [];
  const alike: Waiting[] = [];
  let numbers = 0;
  const key = toKey(first);
  for (const one of here) {
    const { length } = one.request.vectors;
    const fits = one === first || (toKey(one) === key && numbers + length <= numbersTogether);
    if (fits) numbers += length;
    (fits ? alike : waiting).push(one);
  }
  return alike;
}

function toKey({ request }: Waiting): string {
  // Callers who want many hits are answered by themselves, lest all others pay for them.
  return JSON.stringify([request.spaceId, request.filter, request.k > 100 ? request.k : 0]);
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
