import type { ModelFile } from "../weights/model-file.js";
import { readRange } from "../weights/read-range.js";
import type { RouteAnswer } from "./route-model.js";

/** Asks where a model belongs, with the beginnings of its tensors. */
export type AskRoute = (prefixes: ReadonlyMap<string, Uint8Array>) => Promise<RouteAnswer>;

/** Where a file belongs, and what that took. */
export interface RoutedFile {
  readonly answer: RouteAnswer;
  /** Bytes of weights that were read. */
  readonly bytesRead: number;
}

/**
 * Routes a model by as little of its layer as it takes: by its header, by a twentieth of the layer, by all of it.
 *
 * Memory: what is read, at most `maxBytes`: of a larger layer so much of its beginning.
 */
export async function routeFile(
  model: ModelFile,
  ask: AskRoute,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal?: AbortSignal | undefined },
): Promise<RoutedFile> {
  let answer = await ask(new Map());
  let bytesRead = 0;
  let sent = 0;
  for (const isWhole of [false, true]) {
    const last = answer.tensors.at(-1);
    if (answer.decision !== "undecided" || last === undefined) break;
    const prefixes = new Map<string, Uint8Array>();
    const lengths = answer.tensors.map(({ beginByte, endByte }) => endByte - beginByte);
    const before = lengths.slice(0, -1).reduce((sum, length) => sum + length, 0);
    const whole = last.endByte - last.beginByte;
    const length = Math.min(isWhole ? whole : answer.prefixBytes, maxBytes - before);
    if (length <= 0 || length <= sent) break;
    lengths[lengths.length - 1] = length;
    sent = length;
    for (const [index, { tensor, beginByte }] of answer.tensors.entries()) {
      prefixes.set(
        tensor.name,
        await readRange(model, tensor.name, beginByte, beginByte + (lengths[index] ?? 0), signal),
      );
    }
    bytesRead += before + length;
    answer = await ask(prefixes);
  }
  return { answer, bytesRead };
}
