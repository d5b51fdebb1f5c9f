import { copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import test from "ava";
import { writeExpert } from "../../bench/fixtures.js";
import { makeExample } from "../../scripts/example.js";
import {
  AbortedError,
  CorruptDataError,
  InvalidInputError,
  ProbestreamError,
  UnavailableError,
} from "../../src/errors/probestream-error.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { Random } from "../../src/linalg/random.js";
import { segmentBytes } from "../../src/projection/segments.js";
import { type EmbedFilesOptions, embedFiles, type FileOutcome } from "../../src/search/embed-files.js";
import type { EmbedPort, ModelPlan, PlanRequest, PortStream } from "../../src/search/embed-port.js";
import { startEmbedder } from "../../src/search/embedder.js";
import { createLocalPort } from "../../src/search/local-port.js";
import { findModels } from "../../src/weights/find-models.js";
import { encodeSafetensors, float32Bytes } from "../../src/weights/safetensors-writer.js";
import { inTime, until } from "../helpers/until.js";

let folder = "";
let port: EmbedPort;
let largePort: EmbedPort;
let large = "";

/** 20 MiB: two whole segments and a part. */
const largeRows = 2560;
const largeColumns = 2048;
const largeBytes = largeRows * largeColumns * 4;

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "probestream-files-"));
  await makeExample(folder);
  const catalogue = openCatalogue(join(folder, "experts"));
  port = createLocalPort(await startEmbedder({ catalogue, backend: "onnx", workerCount: 1 }));
  const experts = join(folder, "large-experts");
  await writeExpert(join(experts, "large"), { rows: largeRows, columns: largeColumns, probes: 8, projection: 8 });
  largePort = createLocalPort(
    await startEmbedder({ catalogue: openCatalogue(experts), backend: "onnx", workerCount: 1 }),
  );
  large = join(folder, "large.safetensors");
  await writeFile(large, createLarge());
});
test.after.always(async () => {
  await port?.close();
  await largePort?.close();
  await rm(folder, { recursive: true, force: true });
});

function createLarge(): Uint8Array {
  const bytes = float32Bytes(new Random(7).spread(largeRows * largeColumns, 0.02));
  return encodeSafetensors([{ name: "layer.weight", dtype: "F32", shape: [largeRows, largeColumns], bytes }]);
}

async function collect(
  locations: Iterable<string> | AsyncIterable<string>,
  through: EmbedPort,
  options: EmbedFilesOptions = {},
): Promise<FileOutcome[]> {
  const outcomes: FileOutcome[] = [];
  for await (const outcome of embedFiles(locations, through, options)) outcomes.push(outcome);
  return outcomes.sort((a, b) => a.index - b.index);
}

function representationOf({ outcome }: FileOutcome): readonly number[] {
  if (outcome instanceof ProbestreamError) throw outcome;
  return Array.from(outcome.embeddings[0]?.representation ?? []);
}

function reasonOf({ outcome }: FileOutcome): string {
  return outcome instanceof ProbestreamError ? outcome.reason : "embedded";
}

/** A port whose streams do something else where `change` says so. */
function withStreams(inner: EmbedPort, change: (stream: PortStream, serial: number) => Partial<PortStream>): EmbedPort {
  let serial = 0;
  return {
    ...inner,
    open: async (signal) => {
      const stream = await inner.open(signal);
      const changed: PortStream = {
        header: stream.header,
        chunk: stream.chunk,
        footer: stream.footer,
        get answered() {
          return stream.answered;
        },
        finish: stream.finish,
        abort: stream.abort,
      };
      return Object.assign(changed, change(stream, serial++));
    },
  };
}

/** A port whose plans pass through `change`. */
function withPlans(
  inner: EmbedPort,
  change: (plan: ModelPlan, request: PlanRequest) => ModelPlan | ProbestreamError,
): EmbedPort {
  return {
    ...inner,
    plan: async (requests, signal) => {
      const plans = await inner.plan(requests, signal);
      return plans.map((plan, index) => {
        const request = requests[index];
        return plan instanceof ProbestreamError || request === undefined ? plan : change(plan, request);
      });
    },
  };
}

/** A stream that breaks off after so many chunks. */
function breakAfter(stream: PortStream, chunks: number): Partial<PortStream> {
  let left = chunks;
  return {
    chunk: async (...words) => {
      if (left-- === 0) throw new UnavailableError("SOURCE_UNAVAILABLE", "the line went dead");
      await stream.chunk(...words);
    },
    // Like a connection that is cut: what arrived is projected and kept.
    abort: () => {
      void stream.finish();
    },
  };
}

test("each file has one outcome, and broken ones among them stop no other", async (t) => {
  const models = join(folder, "with-broken");
  await mkdir(models);
  await copyFile(join(folder, "models", "birds-lora-1.safetensors"), join(models, "b.safetensors"));
  await copyFile(join(folder, "models", "chess-lora-1.safetensors"), join(models, "d.safetensors"));
  await writeFile(join(models, "a.safetensors"), "nonsense, and more of it");
  await writeFile(join(models, "c.safetensors"), encodeSafetensors([]));
  const locations = [join(models, "none.safetensors")];
  for await (const location of findModels([models])) locations.push(location);
  const outcomes = await collect(locations, port);
  t.deepEqual(
    outcomes.map(({ index, location }) => [index, location]),
    locations.map((location, index) => [index, location]),
  );
  t.deepEqual(outcomes.map(reasonOf), ["FILE_NOT_FOUND", "LIMIT_EXCEEDED", "embedded", "LAYER_NOT_FOUND", "embedded"]);
});

test("a URL that cannot even be shown fails alone", async (t) => {
  const sound = join(folder, "models", "birds-lora-1.safetensors");
  const outcomes = await collect(["https://user%:secret@host/m.safetensors", sound], port);
  t.deepEqual(outcomes.map(reasonOf), ["FIELD_INVALID", "embedded"]);
  t.is(outcomes[0]?.location, "a URL that cannot be read");
});

test("many small models share streams, and progress adds up", async (t) => {
  const paths: string[] = [];
  for await (const path of findModels([join(folder, "models")])) paths.push(path);
  const locations = Array.from({ length: 300 }, (_, index) => paths[index % paths.length] ?? "");
  let streams = 0;
  const counting = withStreams(port, () => {
    streams++;
    return {};
  });
  let last = {};
  const outcomes = await collect(locations, counting, {
    onProgress: (progress) => {
      last = { ...progress };
    },
  });
  t.is(outcomes.filter((outcome) => reasonOf(outcome) === "embedded").length, 300);
  t.true(streams <= 12, `${streams} streams`);
  const bytes = outcomes.reduce((sum, { outcome }) => sum + ("bytesTotal" in outcome ? outcome.bytesTotal : 0), 0);
  t.deepEqual(last, {
    models: 300,
    modelsDone: 300,
    modelsFailed: 0,
    bytesWanted: bytes,
    bytesDone: bytes,
    bytesSent: bytes,
  });
});

test("a large upload that breaks off goes on where it was, and gives the same", async (t) => {
  // Under its own path the whole upload would be known already.
  const path = join(folder, "breaks-off.safetensors");
  await copyFile(large, path);
  const [whole] = await collect([large], largePort);
  const starts: number[] = [];
  const breaking = withPlans(
    withStreams(largePort, (stream, serial) => (serial < 2 ? breakAfter(stream, 12) : {})),
    (plan) => {
      starts.push(plan.starts[0]?.offset ?? 0);
      return plan;
    },
  );
  let sent = 0;
  const [resumed] = await collect([path], breaking, {
    retries: 1,
    onProgress: ({ bytesSent }) => {
      sent = bytesSent;
    },
  });
  if (whole === undefined || resumed === undefined) return t.fail();
  t.deepEqual(representationOf(resumed), representationOf(whole));
  t.deepEqual(starts, [0, segmentBytes, 2 * segmentBytes]);
  t.true(sent < largeBytes * 1.6, `${sent} bytes sent`);
  return t.pass();
});

test("a later run goes on where an interrupted one was", async (t) => {
  const path = join(folder, "later.safetensors");
  await copyFile(large, path);
  const dead = withStreams(largePort, (stream) => breakAfter(stream, 12));
  await t.throwsAsync(collect([path], dead, { retries: 0 }), { instanceOf: UnavailableError });
  let sent = 0;
  const [done] = await collect([path], largePort, {
    onProgress: ({ bytesSent }) => {
      sent = bytesSent;
    },
  });
  t.is(done && reasonOf(done), "embedded");
  t.is(sent, largeBytes - segmentBytes);
});

test("what an earlier upload brought is checked against the file before it is relied on", async (t) => {
  const path = join(folder, "changed.safetensors");
  await copyFile(large, path);
  const ids = new Set<string>();
  let wrong = true;
  const lying = withPlans(largePort, (plan, { uploadId }) => {
    ids.add(uploadId);
    if (!wrong) return plan;
    wrong = false;
    return { ...plan, starts: [{ offset: segmentBytes, segmentDigests: new Uint8Array(32) }] };
  });
  const [done] = await collect([path], lying);
  t.is(done && reasonOf(done), "embedded");
  t.is(ids.size, 2);
});

test("an error of one model's digest begins it anew once, and then stands", async (t) => {
  const path = join(folder, "models", "jazz-lora-1.safetensors");
  for (const [failures, expected] of [
    [1, "embedded"],
    [2, "DIGEST_MISMATCH"],
  ] as const) {
    const wrong = withStreams(port, (stream, serial) => ({
      finish: async () => {
        const { results, stoppedEarly } = await stream.finish();
        if (serial >= failures) return { results, stoppedEarly };
        const outcome = new CorruptDataError("DIGEST_MISMATCH", "other bytes");
        return { results: results.map(({ modelId }) => ({ modelId, outcome })), stoppedEarly };
      },
    }));
    const [done] = await collect([path], wrong);
    t.is(done && reasonOf(done), expected);
  }
});

test("an upload that gets on between answered failures is never given up", async (t) => {
  const path = join(folder, "gets-on.safetensors");
  await copyFile(large, path);
  // A worker that dies is answered, model by model; each time more of the upload has been saved.
  const dying = withStreams(largePort, (stream, serial) => {
    if (serial >= 2) return {};
    let chunks = 0;
    return {
      chunk: async (tensor, offset, bytes) => {
        if (chunks++ < 12) await stream.chunk(tensor, offset, bytes);
      },
      footer: async () => {},
      finish: async () => {
        const { results } = await stream.finish();
        const outcome = new AbortedError("WORKER_LOST", "the worker died");
        return { results: results.map(({ modelId }) => ({ modelId, outcome })), stoppedEarly: false };
      },
    };
  });
  const [done] = await collect([path], dying, { retries: 0 });
  t.is(done && reasonOf(done), "WORKER_LOST", "none of it was saved before the first");
  const [later] = await collect([path], dying, { retries: 1 });
  t.is(later && reasonOf(later), "embedded");
});

test("models that an early answer left out are sent again", async (t) => {
  const early = withStreams(port, (stream) => ({
    finish: async () => {
      const { results } = await stream.finish();
      return { results: results.slice(0, 5), stoppedEarly: results.length > 5 };
    },
  }));
  const outcomes = await collect(findModels([join(folder, "models")]), early, { concurrency: 1 });
  t.is(outcomes.length, 26);
  t.true(outcomes.every((outcome) => reasonOf(outcome) === "embedded"));
});

test("a file that is cut while it is read fails alone", async (t) => {
  const models = join(folder, "cut-later");
  await mkdir(models);
  for (const name of ["birds-lora-1", "chess-lora-1", "jazz-lora-1"]) {
    await copyFile(join(folder, "models", `${name}.safetensors`), join(models, `${name}.safetensors`));
  }
  const cutting: EmbedPort = {
    ...port,
    plan: async (requests, signal) => {
      const plans = await port.plan(requests, signal);
      await truncate(join(models, "chess-lora-1.safetensors"), 1200);
      return plans;
    },
  };
  const outcomes = await collect(findModels([models]), cutting);
  t.deepEqual(
    outcomes.map((outcome) => [basename(outcome.location).split("-")[0], reasonOf(outcome)]),
    [
      ["birds", "embedded"],
      ["chess", "CORRUPT"],
      ["jazz", "embedded"],
    ],
  );
});

test("one model that the other side cannot take does not stop those of its batch", async (t) => {
  const picky: EmbedPort = {
    ...port,
    plan: (requests, signal) => {
      if (requests.some(({ modelId }) => modelId.includes("sailing-lora-2"))) {
        return Promise.reject(new InvalidInputError("FIELD_INVALID", "not this one"));
      }
      return port.plan(requests, signal);
    },
  };
  const outcomes = await collect(findModels([join(folder, "models")]), picky);
  const failed = outcomes.filter((outcome) => reasonOf(outcome) !== "embedded");
  t.deepEqual(
    failed.map((outcome) => [basename(outcome.location), reasonOf(outcome)]),
    [["sailing-lora-2.safetensors", "FIELD_INVALID"]],
  );
});

test("once the other side is gone for one batch the run ends, and what was embedded is kept", async (t) => {
  let attempts = 0;
  const dying: EmbedPort = {
    ...port,
    plan: (requests, signal) => {
      if (attempts++ === 0) return port.plan(requests, signal);
      return Promise.reject(new UnavailableError("SOURCE_UNAVAILABLE", "nobody there"));
    },
  };
  const model = join(folder, "models", "jazz-lora-1.safetensors");
  const outcomes: FileOutcome[] = [];
  async function* locations(): AsyncGenerator<string, void, undefined> {
    yield model;
    // A batch of its own: the first has its outcome before the second is full.
    await until(() => outcomes.length > 0, "the first model is embedded");
    for (let copy = 0; copy < 300; copy++) yield model;
  }
  const run = async (): Promise<void> => {
    for await (const outcome of embedFiles(locations(), dying, { retries: 2 })) outcomes.push(outcome);
  };
  await t.throwsAsync(run(), { instanceOf: UnavailableError, message: "nobody there" });
  t.deepEqual(outcomes.map(reasonOf), ["embedded"]);
  // Each of the batches under way had its attempts; no further one was begun.
  t.true(attempts <= 1 + 3 * 3, `${attempts} attempts`);
});

test("a side that was heard is asked again after a deadline, one that never was is not", async (t) => {
  const model = join(folder, "models", "jazz-lora-1.safetensors");
  const idle = new AbortedError("STREAM_IDLE", "no answer before the deadline");
  let attempts = 0;
  const silent: EmbedPort = { ...port, plan: () => Promise.reject(++attempts === 1 ? idle : new Error("asked again")) };
  await t.throwsAsync(collect([model], silent), { is: idle });
  t.is(attempts, 1);
  attempts = 0;
  // What breaks the first stream makes a second plan, and that one waits in vain once.
  const breaking = withStreams(port, (stream, serial) => (serial === 0 ? breakAfter(stream, 0) : {}));
  const slow: EmbedPort = {
    ...breaking,
    plan: (requests, signal) => (attempts++ === 1 ? Promise.reject(idle) : port.plan(requests, signal)),
  };
  t.deepEqual((await collect([model], slow, { retries: 2 })).map(reasonOf), ["embedded"]);
  t.is(attempts, 3);
});

test("where streams break but plans are answered, the error stands for each model", async (t) => {
  let attempts = 0;
  const dead = withStreams(port, () => ({
    finish: () => {
      attempts++;
      return Promise.reject(new UnavailableError("SOURCE_UNAVAILABLE", "broken"));
    },
  }));
  const outcomes = await collect(findModels([join(folder, "models")]), dead, { retries: 2 });
  t.is(outcomes.length, 26);
  t.true(outcomes.every((outcome) => reasonOf(outcome) === "SOURCE_UNAVAILABLE"));
  // Three for each batch, of which there are two where opening 26 files takes long.
  t.is(attempts % 3, 0);
});

test("an aborted signal's reason is thrown, and streams are given up", async (t) => {
  // A file of its own: uploads of the same one at the same time push each other out.
  const path = join(folder, "aborted.safetensors");
  await copyFile(large, path);
  const controller = new AbortController();
  const reason = new Error("enough");
  const stopping = withStreams(largePort, (stream) => ({
    chunk: async (...words) => {
      controller.abort(reason);
      await stream.chunk(...words);
    },
  }));
  t.is(await t.throwsAsync(collect([path], stopping, { signal: controller.signal })), reason);
  t.is(await t.throwsAsync(collect([path], largePort, { signal: AbortSignal.abort(reason) })), reason);
});

test("an aborted signal ends a run whose locations stand still", async (t) => {
  const controller = new AbortController();
  const reason = new Error("enough");
  async function* locations(): AsyncGenerator<string, void, undefined> {
    yield join(folder, "models", "jazz-lora-1.safetensors");
    await new Promise(() => {});
  }
  const run = async (): Promise<void> => {
    for await (const _ of embedFiles(locations(), port, { signal: controller.signal })) controller.abort(reason);
  };
  await t.throwsAsync(inTime(run(), "the end"), { is: reason });
});

test("whoever stops taking outcomes stops the rest", async (t) => {
  let count = 0;
  for await (const outcome of embedFiles(findModels([join(folder, "models")]), port)) {
    t.is(reasonOf(outcome), "embedded");
    if (++count === 3) break;
  }
  t.is(count, 3);
});

test("what the locations throw is thrown", async (t) => {
  const error = await t.throwsAsync(collect(findModels([join(folder, "nowhere")]), port));
  t.true(error instanceof ProbestreamError && error.reason === "FILE_NOT_FOUND");
});
