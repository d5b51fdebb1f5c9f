import fc from "fast-check";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import { randomValues } from "./random.js";
import { toDigest } from "./rpc-messages.js";

/** A model that sequences upload: what its plan wants. */
export interface SequenceModel {
  readonly name: string;
  /** Names and bytes of the planned tensors; all of float32. */
  readonly tensors: readonly { readonly name: string; readonly byteLength: number }[];
}

/** What of a header is spoiled. */
export type HeaderFault = "none" | "no-space-ids" | "short-upload-id" | "other-range" | "reversed" | "start-offset";

/** One message of a sequence. */
export type Step =
  | { readonly kind: "header"; readonly model: number; readonly fault: HeaderFault }
  | { readonly kind: "chunk"; readonly tensor: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "footer"; readonly total: number; readonly digest: Uint8Array }
  | { readonly kind: "empty" };

/** What becomes of a sequence: the call fails, or each model has a result or a reason. */
export type Expected =
  | { readonly call: ErrorReason }
  | { readonly models: readonly (ErrorReason | Uploaded)[]; readonly stoppedEarly: boolean };

/** A model that arrived whole. */
export interface Uploaded {
  readonly model: number;
  /** Bytes per tensor as they arrived. */
  readonly ranges: readonly Uint8Array[];
}

/** Limits that sequences run into. */
export interface SequenceLimits {
  readonly maxChunkBytes: number;
  readonly maxDiscardBytes: number;
  readonly maxStreamModels: number;
}

/** One thing that goes wrong; numbers are taken modulo what there is. */
type Mutation = readonly [what: (typeof mutations)[number], at: number, amount: number];

const mutations = [
  "drop",
  "repeat",
  "swap",
  "offset",
  "tensor",
  "shorten",
  "lengthen",
  "empty-chunk",
  "flip",
  "nan",
  "total",
  "digest",
  "short-digest",
  "no-digest",
  "empty",
  "header",
  "cut",
] as const;

const headerFaults: readonly HeaderFault[] = [
  "no-space-ids",
  "short-upload-id",
  "other-range",
  "reversed",
  "start-offset",
];

/** Sequences of one to four models, cut at random, with up to three faults. */
export function anySequence(models: readonly SequenceModel[]): fc.Arbitrary<readonly Step[]> {
  const one = fc.record({
    model: fc.nat(models.length - 1),
    seed: fc.nat(),
    cuts: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 6 }),
  });
  const fault: fc.Arbitrary<Mutation> = fc.tuple(fc.constantFrom(...mutations), fc.nat(1000), fc.nat(1000));
  return fc
    .tuple(fc.array(one, { minLength: 1, maxLength: 4 }), fc.array(fault, { maxLength: 3 }))
    .map(([picked, faults]) => {
      const steps = picked.flatMap(({ model, seed, cuts }) => toSteps(models, model, seed, cuts));
      return faults.reduce(mutate, steps);
    });
}

function toSteps(models: readonly SequenceModel[], model: number, seed: number, cuts: readonly number[]): Step[] {
  const { tensors } = models[model] as SequenceModel;
  const ranges = tensors.map(({ byteLength }, t) => new Uint8Array(randomValues(byteLength / 4, seed + t).buffer));
  const steps: Step[] = [{ kind: "header", model, fault: "none" }];
  let cut = 0;
  for (const [tensor, range] of ranges.entries()) {
    for (let offset = 0; offset < range.byteLength; ) {
      const bytes = range.slice(offset, offset + (cuts[cut++ % cuts.length] ?? 1));
      steps.push({ kind: "chunk", tensor, offset, bytes });
      offset += bytes.byteLength;
    }
  }
  const total = ranges.reduce((sum, range) => sum + range.byteLength, 0);
  steps.push({ kind: "footer", total, digest: toDigest(ranges) });
  return steps;
}

function mutate(steps: readonly Step[], [what, at, amount]: Mutation): readonly Step[] {
  if (steps.length === 0) return steps;
  const index = at % steps.length;
  const step = steps[index] as Step;
  const replace = (...by: readonly Step[]): readonly Step[] => steps.toSpliced(index, 1, ...by);
  switch (what) {
    case "drop":
      return replace();
    case "repeat":
      return replace(step, step);
    case "swap": {
      const next = steps[index + 1];
      return next === undefined ? steps : steps.toSpliced(index, 2, next, step);
    }
    case "empty":
      return replace({ kind: "empty" }, step);
    case "cut":
      return steps.slice(0, index);
    default:
      return replace(spoil(step, what, amount));
  }
}

function spoil(step: Step, what: Mutation[0], amount: number): Step {
  if (step.kind === "header") {
    return what === "header" ? { ...step, fault: headerFaults[amount % headerFaults.length] ?? "none" } : step;
  }
  if (step.kind === "chunk") return spoilChunk(step, what, amount);
  if (step.kind === "empty") return step;
  switch (what) {
    case "total":
      return { ...step, total: step.total + (amount % 7) - 3 };
    case "digest":
      return { ...step, digest: step.digest.map((byte, i) => (i === amount % 32 ? byte ^ 1 : byte)) };
    case "short-digest":
      return { ...step, digest: step.digest.subarray(0, amount % 40) };
    case "no-digest":
      return { ...step, digest: new Uint8Array(0) };
    default:
      return step;
  }
}

function spoilChunk(step: Extract<Step, { kind: "chunk" }>, what: Mutation[0], amount: number): Step {
  const { bytes, offset } = step;
  switch (what) {
    case "offset": {
      // Mostly near, at times far away, up to what 64 bits hold.
      const far = [2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63][amount % 16];
      return { ...step, offset: far ?? Math.max(0, offset + (amount % 21) - 10) };
    }
    case "tensor":
      return { ...step, tensor: [0, 1, 2, 2 ** 32 - 1][amount % 4] ?? 0 };
    case "shorten":
      return { ...step, bytes: bytes.subarray(0, Math.max(1, bytes.byteLength - 1 - (amount % 8))) };
    case "lengthen":
      return { ...step, bytes: Uint8Array.from([...bytes, ...new Uint8Array(1 + (amount % 200))]) };
    case "empty-chunk":
      return { ...step, bytes: new Uint8Array(0) };
    case "flip":
      return {
        ...step,
        bytes: bytes.map((byte, i) => (i === amount % bytes.byteLength ? byte ^ (1 << (amount % 8)) : byte)),
      };
    case "nan":
      return { ...step, bytes: bytes.map(() => 0xff) };
    default:
      return step;
  }
}

/** What must become of a sequence: the contract, message by message, in as few words as there are rules. */
export function toExpected(
  steps: readonly Step[],
  models: readonly SequenceModel[],
  { maxChunkBytes, maxDiscardBytes, maxStreamModels }: SequenceLimits,
): Expected {
  const results: (ErrorReason | Uploaded)[] = [];
  let open: { model: number; failed: ErrorReason | undefined; ranges: Uint8Array[]; remaining: number } | undefined;
  for (const step of steps) {
    if (step.kind === "empty") return { call: "STREAM_ORDER" };
    if (step.kind === "header") {
      if (open !== undefined) return { call: "STREAM_ORDER" };
      if (results.length >= maxStreamModels) return { models: results, stoppedEarly: true };
      const { tensors } = models[step.model] as SequenceModel;
      const sizes = tensors.map(({ byteLength }, t) => byteLength - (t === 0 && step.fault === "other-range" ? 4 : 0));
      const skipped = step.fault === "start-offset" ? (tensors[0]?.byteLength ?? 0) : 0;
      open = {
        model: step.model,
        failed: toHeaderReason(step.fault, tensors.length),
        ranges: [],
        remaining: sizes.reduce((sum, size) => sum + size, 0) - skipped,
      };
    } else if (step.kind === "chunk") {
      if (open === undefined) return { call: "STREAM_ORDER" };
      if (step.offset > Number.MAX_SAFE_INTEGER) {
        open.failed ??= "FIELD_INVALID";
      } else {
        open.remaining -= step.bytes.byteLength;
        if (step.bytes.byteLength > maxChunkBytes) open.failed ??= "LIMIT_EXCEEDED";
        open.failed ??= takeChunk(open.ranges, step, (models[open.model] as SequenceModel).tensors);
      }
    } else {
      if (open === undefined) return { call: "STREAM_ORDER" };
      const { model, ranges, failed } = open;
      const reason = failed ?? toFooterReason(ranges, step, (models[model] as SequenceModel).tensors);
      results.push(reason ?? { model, ranges });
      open = undefined;
    }
    if (open?.failed !== undefined && open.remaining > maxDiscardBytes) {
      return { models: [...results, open.failed], stoppedEarly: true };
    }
  }
  if (open !== undefined) {
    // What arrived is projected before the model is given up, so NaN in a complete tensor shows first.
    const { tensors } = models[open.model] as SequenceModel;
    const complete = open.ranges.filter((range, t) => range.byteLength === tensors[t]?.byteLength);
    results.push(open.failed ?? (complete.every(isFinite32) ? "FOOTER_MISSING" : "NON_FINITE"));
  }
  return { models: results, stoppedEarly: false };
}

function toHeaderReason(fault: HeaderFault, tensorCount: number): ErrorReason | undefined {
  if (fault === "no-space-ids" || fault === "short-upload-id") return "FIELD_INVALID";
  if (fault === "other-range" || (fault === "reversed" && tensorCount > 1)) return "PLAN_STALE";
  return fault === "start-offset" ? "UPLOAD_MISMATCH" : undefined;
}

function takeChunk(
  ranges: Uint8Array[],
  { tensor, offset, bytes }: Extract<Step, { kind: "chunk" }>,
  tensors: SequenceModel["tensors"],
): ErrorReason | undefined {
  const length = tensors[tensor]?.byteLength;
  if (length === undefined || bytes.byteLength === 0) return "FIELD_INVALID";
  const have = ranges[tensor]?.byteLength ?? 0;
  if (have === length || offset + bytes.byteLength > length) return "TENSOR_OVERRUN";
  const current = tensors.findIndex(({ byteLength }, t) => (ranges[t]?.byteLength ?? 0) < byteLength);
  if (tensor !== current || offset !== have) return "OFFSET_MISMATCH";
  ranges[tensor] = Uint8Array.from([...(ranges[tensor] ?? []), ...bytes]);
  return undefined;
}

function toFooterReason(
  ranges: readonly Uint8Array[],
  { total, digest }: Extract<Step, { kind: "footer" }>,
  tensors: SequenceModel["tensors"],
): ErrorReason | undefined {
  if (digest.byteLength !== 0 && digest.byteLength !== 32) return "FIELD_INVALID";
  if (tensors.some(({ byteLength }, t) => (ranges[t]?.byteLength ?? 0) !== byteLength)) return "TENSOR_INCOMPLETE";
  if (total !== tensors.reduce((sum, { byteLength }) => sum + byteLength, 0)) return "TENSOR_INCOMPLETE";
  if (!ranges.every(isFinite32)) return "NON_FINITE";
  return digest.byteLength === 0 || Buffer.from(digest).equals(toDigest(ranges)) ? undefined : "DIGEST_MISMATCH";
}

function isFinite32(range: Uint8Array): boolean {
  return toNumbers(range).every(Number.isFinite);
}

/** The numbers of a range of float32. */
export function toNumbers(range: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(range).buffer);
}
