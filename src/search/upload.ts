import { createHash, randomUUID } from "node:crypto";
import type { ProbestreamError } from "../errors/probestream-error.js";
import { segmentBytes } from "../projection/segments.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import type { ModelFile } from "../weights/model-file.js";
import type { ProgressCounter } from "./embed-files-progress.js";
import type { ModelPlan, PlanRequest, PortResult } from "./embed-port.js";
import { toModelId, toSentMetadata } from "./plan-request.js";

/** One model on its way: its plan, how far it got, and how it ended. */
export class Upload {
  readonly model: ModelFile;
  /** What the other side calls it: the end of its location. */
  readonly modelId: string;
  /** What is to be known of it in the catalogue; absent if it is not to be indexed. */
  readonly facts: IndexFacts | undefined;
  #experts: readonly string[];
  readonly #progress: ProgressCounter;
  readonly #onEnd: (outcome: PortResult | ProbestreamError) => void;
  #id: string;
  #plan: ModelPlan | undefined;
  #wantedBytes = 0;
  #doneBytes = 0;
  #reachedBytes = 0;
  #isRestarted = false;
  #isRerouted = false;
  #isSettled = false;

  /** Its id follows from the file and the experts, so that a later process goes on with it. */
  constructor(
    model: ModelFile,
    experts: readonly string[],
    progress: ProgressCounter,
    onEnd: (outcome: PortResult | ProbestreamError) => void,
    facts?: IndexFacts,
  ) {
    this.model = model;
    this.facts = facts;
    this.modelId = toModelId(model.location);
    this.#experts = experts;
    this.#progress = progress;
    this.#onEnd = onEnd;
    const identity = JSON.stringify([model.identity, experts]);
    this.#id = createHash("sha256").update(identity).digest("hex").slice(0, 40);
  }

  /** Absent until it is asked for, and again when it may be out of date. */
  get plan(): ModelPlan | undefined {
    return this.#plan;
  }

  /** Bytes that the other side had at the last plan: what failures in between are measured against. */
  get reachedBytes(): number {
    return this.#reachedBytes;
  }

  /** Whether it has a result or an error. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** What to ask for a plan. */
  toPlanRequest(): PlanRequest {
    const { model, modelId } = this;
    const metadata = toSentMetadata(model.metadata);
    return { modelId, uploadId: this.#id, tensors: model.tensors, metadata, experts: this.#experts };
  }

  /** Takes a plan over. One too small to be resumed gets an id of its own: two runs must not push each other out. */
  begin(plan: ModelPlan): void {
    const wanted = wantedBytes(plan);
    this.#plan = wanted < segmentBytes ? { ...plan, uploadId: randomUUID() } : plan;
    const done = startBytes(plan);
    this.#reachedBytes = done;
    this.#progress.add({ bytesWanted: wanted - this.#wantedBytes, bytesDone: done - this.#doneBytes });
    this.#wantedBytes = wanted;
    this.#doneBytes = done;
  }

  /** Counts bytes that were sent. */
  count(bytes: number): void {
    this.#doneBytes += bytes;
    this.#progress.add({ bytesDone: bytes, bytesSent: bytes });
  }

  /** Where the other side has got to is unknown: only another plan can tell. */
  forgetPlan(): void {
    this.#plan = undefined;
  }

  /** Begins anew under another id; false if that has been tried already. */
  restart(): boolean {
    if (this.#isRestarted) return false;
    this.#isRestarted = true;
    this.#id = randomUUID();
    this.#plan = undefined;
    return true;
  }

  /** Begins anew under the same id, for this expert; false if that has been done already. */
  reroute(spaceId: string): boolean {
    if (this.#isRerouted) return false;
    this.#isRerouted = true;
    this.#experts = [spaceId];
    this.#plan = undefined;
    return true;
  }

  /** Ends it. Only the first call counts. */
  settle(outcome: PortResult | ProbestreamError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#progress.add({ bytesDone: this.#wantedBytes - this.#doneBytes });
    this.#onEnd(outcome);
  }
}

/** Bytes of all ranges of a plan. */
export function wantedBytes({ tensors }: ModelPlan): number {
  return tensors.reduce((sum, { beginByte, endByte }) => sum + endByte - beginByte, 0);
}

/** Bytes of a plan that need not be sent. */
export function startBytes({ starts }: ModelPlan): number {
  return starts.reduce((sum, { offset }) => sum + offset, 0);
}
