import { EventEmitter } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import test from "ava";
import {
  CatalogueService,
  type ImportModelsRequestSchema,
  type ImportModelsResponse,
  ImportModelsResponseSchema,
} from "../../src/gen/probestream/v1/catalogue_service_pb.js";
import { createClientChannel } from "../../src/rpc/client-channel.js";
import { collectGarbage } from "../../src/search/collect-garbage.js";

type Answer = (error: ServiceError | null, response?: ImportModelsResponse) => void;

/** A call that takes whatever is written, and is answered once it is at its end, or given up. */
class TakingCall extends EventEmitter {
  readonly #answer: Answer;

  constructor(answer: Answer) {
    super();
    this.#answer = answer;
  }

  write(): boolean {
    return true;
  }

  end(): void {
    setImmediate(() => this.#answer(null, create(ImportModelsResponseSchema, { importedCount: 1n })));
  }

  cancel(): void {
    const facts = { code: status.CANCELLED, details: "given up", metadata: new Metadata() };
    setImmediate(() => this.#answer(Object.assign(new Error("given up"), facts)));
  }
}

const { clientStreaming } = createClientChannel(
  {
    makeClientStreamRequest: (...[, , , , answer]: [unknown, unknown, unknown, unknown, Answer]) =>
      new TakingCall(answer),
  } as unknown as Client,
  "host:1",
  { deadlineMs: 60_000, retries: 0, createMetadata: () => new Metadata() },
);

type Message = MessageInitShape<typeof ImportModelsRequestSchema>;

test("messages that were sent are not kept until the answer comes", async (t) => {
  const sent: WeakRef<Message>[] = [];
  const messages = {
    [Symbol.asyncIterator]: () => ({
      next: async (): Promise<IteratorResult<Message, undefined>> => {
        await nextTurn();
        if (sent.length === 50) return { done: true, value: undefined };
        const value: Message = { expertName: `message ${sent.length}` };
        sent.push(new WeakRef(value));
        return { done: false, value };
      },
    }),
  };
  let kept = -1;
  async function* counted(): AsyncGenerator<Message> {
    yield* messages;
    await nextTurn();
    collectGarbage();
    kept = sent.filter((one) => one.deref() !== undefined).length;
  }
  const { importedCount } = await clientStreaming(CatalogueService.method.importModels, counted());
  t.is(importedCount, 1n);
  t.is(sent.length, 50);
  // The last one may still be on its way.
  t.true(kept <= 2, `${kept} of 50 are kept`);
});

test("what messages come from is let go where the caller gives up between two of them", async (t) => {
  const controller = new AbortController();
  const reason = new Error("enough");
  let isLetGo = false;
  async function* messages(): AsyncGenerator<Message> {
    try {
      yield { expertName: "first" };
      controller.abort(reason);
      yield { expertName: "second" };
      t.fail("a third was asked for");
    } finally {
      isLetGo = true;
    }
  }
  const call = clientStreaming(CatalogueService.method.importModels, messages(), controller.signal);
  await t.throwsAsync(call, { is: reason });
  await nextTurn();
  t.true(isLetGo);
});
