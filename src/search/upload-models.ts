import type { Matrix } from "../compute/compute-backend.js";
import { toProbestreamError } from "../errors/plain-error.js";
import { AbortedError, InternalError, ProbestreamError } from "../errors/probestream-error.js";
import type { EmbedPort, PortAnswer, PortStream } from "./embed-port.js";
import type { Upload } from "./upload.js";
import { checkStart, SourceFailure, sendModel } from "./upload-model.js";
import { pauseBeforeRetry, toRemedy } from "./upload-retry.js";

/** What all uploads of a run share. */
export interface UploadContext {
  readonly port: EmbedPort;
  readonly texts: Matrix | undefined;
  /** Further attempts after one that failed, as long as none of them gets on. */
  readonly retries: number;
  readonly signal: AbortSignal;
  /** Counts what the other side answered to anybody: whether it is there at all. */
  readonly answers: { count: number };
}

/**
 * Plans uploads; those that get no plan are settled with the reason.
 *
 * @throws the signal's reason, and UnauthenticatedError, UnavailableError and AbortedError as {@link uploadModels} does.
 */
export function planUploads(uploads: readonly Upload[], context: UploadContext): Promise<void> {
  return untilDone(uploads, context, async (pending) => {
    await planMissing(pending, context);
    return undefined;
  });
}

/**
 * Sends models until each is settled, through as many streams as it takes: one that broke is followed by another,
 * which goes on where the other side had got to. Nearly all that goes wrong ends up with a model.
 *
 * @throws the signal's reason, UnauthenticatedError where the other side takes no calls from here, UnavailableError once all
 * retries failed and nobody has heard from it meanwhile, and AbortedError `STREAM_IDLE` at the first attempt that waited in
 * vain for a side that never answered anybody: then it is gone. Other models need not find out for themselves.
 */
export async function uploadModels(uploads: readonly Upload[], context: UploadContext): Promise<void> {
  for (let pending = uploads; pending.length > 0; pending = pending.filter(isOpen)) {
    await untilDone(pending, context, async (open) => {
      await planMissing(open, context);
      return streamOnce(open.filter(isOpen), context);
    });
  }
}

/**
 * Makes an attempt, again after failures that may pass. An attempt that fails for good is made for each half of the
 * models, lest one of them stop the others.
 *
 * @param attempt returns what kept it from getting on with some models, if anything did.
 */
async function untilDone(
  uploads: readonly Upload[],
  context: UploadContext,
  attempt: (pending: readonly Upload[]) => Promise<ProbestreamError | undefined>,
): Promise<void> {
  let pending = uploads;
  let reached = 0;
  let answersBefore = context.answers.count;
  for (let failures = 0; ; failures++) {
    let isBroken = false;
    const failure = await attempt(pending).catch((thrown: unknown) => {
      context.signal.throwIfAborted();
      isBroken = true;
      return toProbestreamError(thrown);
    });
    pending = pending.filter(isOpen);
    if (failure === undefined || pending.length === 0) return;
    // An upload of hours may meet any number of failures, as long as it gets on between them.
    const start = pending.reduce((sum, { reachedBytes }) => sum + reachedBytes, 0);
    if (start > reached) failures = 0;
    reached = Math.max(reached, start);
    // Whoever takes connections and never says a word was waited for long enough: seven deadlines are seven minutes.
    if (isBroken && failure.reason === "STREAM_IDLE" && context.answers.count === 0) throw failure;
    if (toRemedy(failure) !== "resume") return settleOrSplit(pending, failure, context, attempt);
    if (failures === context.retries) {
      if (isBroken && failure.kind === "unavailable" && context.answers.count === answersBefore) throw failure;
      return settleAll(pending, failure);
    }
    answersBefore = context.answers.count;
    for (const upload of pending) upload.forgetPlan();
    await pauseBeforeRetry(failures + 1, context.signal);
  }
}

async function settleOrSplit(
  pending: readonly Upload[],
  failure: ProbestreamError,
  context: UploadContext,
  attempt: (pending: readonly Upload[]) => Promise<ProbestreamError | undefined>,
): Promise<void> {
  // A token that is not taken for these models is taken for none.
  if (failure.kind === "unauthenticated") throw failure;
  // Whoever may not call at all, or has nobody to call, need not find out model by model.
  const concernsAll = failure.kind === "access-denied" || failure.kind === "unavailable";
  if (pending.length === 1 || concernsAll) return settleAll(pending, failure);
  const middle = Math.ceil(pending.length / 2);
  for (const half of [pending.slice(0, middle), pending.slice(middle)]) {
    for (const upload of half) upload.forgetPlan();
    await untilDone(half, context, attempt);
  }
}

function settleAll(pending: readonly Upload[], failure: ProbestreamError): void {
  for (const upload of pending) upload.settle(failure);
}

function isOpen({ isSettled }: Upload): boolean {
  return !isSettled;
}

/** Asks for the plans that are missing. */
async function planMissing(uploads: readonly Upload[], context: UploadContext): Promise<void> {
  const missing = uploads.filter(({ plan, isSettled }) => plan === undefined && !isSettled);
  if (missing.length === 0) return;
  const requests = missing.map((upload) => upload.toPlanRequest());
  const answers = await context.port.plan(requests, context.signal);
  context.answers.count++;
  if (answers.length !== missing.length) {
    throw new InternalError("INTERNAL", `${answers.length} plans came for ${missing.length} models`);
  }
  for (const [index, upload] of missing.entries()) {
    const answer = answers[index];
    if (answer instanceof ProbestreamError) settleOrRestart(upload, answer);
    else if (answer !== undefined) upload.begin(answer);
  }
  if (missing.some(({ plan, isSettled }) => plan === undefined && !isSettled)) await planMissing(missing, context);
}

function settleOrRestart(upload: Upload, error: ProbestreamError): void {
  const remedy = toRemedy(error);
  const isBegunAnew =
    (remedy === "restart" && upload.restart()) ||
    (remedy === "reroute" && upload.reroute(String(error.facts["spaceId"] ?? "")));
  if (!isBegunAnew) upload.settle(error);
}

/**
 * Sends planned models through one stream, in order, and settles those it gets an outcome for.
 *
 * @returns what kept it from settling any, or an error of single models that may pass.
 */
async function streamOnce(uploads: readonly Upload[], context: UploadContext): Promise<ProbestreamError | undefined> {
  const ready: Upload[] = [];
  for (const upload of uploads) if (await hasSoundStart(upload, context)) ready.push(upload);
  if (ready.length === 0) return undefined;
  const { sent, broken, answer } = await sendAll(ready, context);
  let setback: ProbestreamError | undefined;
  let settledOne = broken !== undefined;
  for (const [index, upload] of sent.entries()) {
    // Of a model that broke off, the other side can only tell that it did.
    if (upload === broken?.upload) upload.settle(broken.error);
    const outcome = answer.results[index]?.outcome;
    if (upload.isSettled || outcome === undefined) continue;
    settledOne = true;
    if (!(outcome instanceof ProbestreamError)) upload.settle(outcome);
    else if (toRemedy(outcome) === "resume") {
      upload.forgetPlan();
      setback = outcome;
    } else settleOrRestart(upload, outcome);
  }
  if (settledOne) return setback;
  return new AbortedError("FOOTER_MISSING", "a stream was answered without a word on any of its models");
}

interface Sent {
  /** Models whose header was sent. */
  readonly sent: readonly Upload[];
  /** The last of them, if it could not be read to its end. */
  readonly broken: { readonly upload: Upload; readonly error: ProbestreamError } | undefined;
  readonly answer: PortAnswer;
}

async function sendAll(uploads: readonly Upload[], context: UploadContext): Promise<Sent> {
  const { port, texts, signal, answers } = context;
  const sent: Upload[] = [];
  let broken: Sent["broken"];
  const stream: PortStream = await port.open(signal);
  try {
    for (const upload of uploads.slice(0, port.maxModels)) {
      if (stream.answered || broken !== undefined || upload.plan === undefined) break;
      const options = { texts: sent.length === 0 ? texts : undefined, signal, onSent: (n: number) => upload.count(n) };
      sent.push(upload);
      await sendModel(stream, upload, upload.plan, options).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!(error instanceof SourceFailure)) throw error;
        // Without its footer no header may follow: the stream ends here, and the rest takes another.
        broken = { upload, error: toProbestreamError(error.cause) };
      });
    }
    const answer = await stream.finish();
    answers.count++;
    return { sent, broken, answer };
  } catch (error) {
    stream.abort();
    throw error;
  }
}

/** Whether what an earlier upload brought can stay; if not, the upload begins anew, or ends where it cannot be read. */
async function hasSoundStart(upload: Upload, { signal }: UploadContext): Promise<boolean> {
  if (upload.plan === undefined) return false;
  try {
    await checkStart(upload, upload.plan, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SourceFailure)) throw error;
    settleOrRestart(upload, toProbestreamError(error.cause));
    return false;
  }
}
