import { setImmediate as nextTurn } from "node:timers/promises";
import test from "ava";
import { unlessAborted } from "../../src/search/unless-aborted.js";

const gone = new Error("gone");

/** What fails as soon as a client is gone: sending to it. */
async function send(): Promise<void> {
  throw new Error("nobody takes it");
}

test("what fails after its signal was aborted ends nothing else: its rejection is heard of", async (t) => {
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on("unhandledRejection", hear);
  t.teardown(() => process.off("unhandledRejection", hear));
  await t.throwsAsync(unlessAborted(send(), AbortSignal.abort(gone)), { is: gone });
  const controller = new AbortController();
  const waiting = unlessAborted(
    nextTurn().then(() => send()),
    controller.signal,
  );
  controller.abort(gone);
  await t.throwsAsync(waiting, { is: gone });
  await nextTurn();
  await nextTurn();
  t.deepEqual(unheard, []);
});

test("without an abort it is as if there were no signal", async (t) => {
  const { signal } = new AbortController();
  t.is(await unlessAborted(Promise.resolve(3), signal), 3);
  t.is(await unlessAborted(Promise.resolve(3), undefined), 3);
  await t.throwsAsync(unlessAborted(send(), signal), { message: "nobody takes it" });
});
