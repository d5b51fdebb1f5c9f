import test from "ava";
import { createMemoryPlan } from "../../src/search/memory-plan.js";
import { assertRefused } from "../helpers/assert-refused.js";

const stream = { receiveWindowBytes: 10, messagesBytes: 20, blocksBytes: 70 };

test("a plan counts what is taken and given back", (t) => {
  const plan = createMemoryPlan(1000, stream);
  t.is(plan.streamBytes, 100);
  const releaseStream = plan.admitStream();
  const releaseExpert = plan.reserve(300, "an expert", "expert");
  const releaseModel = plan.reserve(50, "a model", "model");
  t.like(plan, { reservedBytes: 450, expertBytes: 300, openStreams: 1 });
  for (const release of [releaseModel, releaseExpert, releaseStream]) release();
  t.like(plan, { reservedBytes: 0, expertBytes: 0, openStreams: 0 });
});

test("what is given back twice counts once", (t) => {
  const plan = createMemoryPlan(1000, stream);
  const releases = [plan.admitStream(), plan.reserve(300, "an expert", "expert"), plan.reserve(50, "a model", "model")];
  const kept = [plan.admitStream(), plan.reserve(30, "an expert", "expert")];
  for (const release of [...releases, ...releases]) release();
  t.like(plan, { reservedBytes: 130, expertBytes: 30, openStreams: 1 });
  for (const release of kept) release();
  t.is(plan.reservedBytes, 0);
});

test("the budget can be used to the last byte, and what goes beyond is refused with the figures", async (t) => {
  const plan = createMemoryPlan(450, stream);
  plan.admitStream();
  plan.reserve(300, "an expert", "expert");
  await assertRefused(t, () => plan.reserve(51, "a model", "model"), {
    kind: "limit-exceeded",
    reason: "MEMORY_BUDGET",
    message:
      "a model needs 51 bytes; 400 of 450 are taken (300 by experts, 1 streams at 100 each). Try again later, or start the server with a larger --memory-budget",
    facts: { needed: 51, reserved: 400, budget: 450, experts: 300, streams: 1 },
  });
  t.like(plan, { reservedBytes: 400, expertBytes: 300, openStreams: 1 });
  t.notThrows(() => plan.reserve(50, "a model", "model"));
  await assertRefused(t, () => plan.admitStream(), { reason: "MEMORY_BUDGET", message: /^one more stream needs 100/ });
  t.is(plan.openStreams, 1);
});

test("whoever holds something that is not in use is asked for it before anyone is refused", (t) => {
  const plan = createMemoryPlan(1000, { receiveWindowBytes: 100, messagesBytes: 0, blocksBytes: 0 }, 0);
  const idle = [plan.reserve(400, "an expert", "expert"), plan.reserve(500, "another", "expert")];
  plan.onShortage(() => {
    const release = idle.shift();
    release?.();
    return release !== undefined;
  });
  plan.admitStream();
  t.is(plan.expertBytes, 900);
  plan.admitStream();
  t.is(plan.expertBytes, 500);
  plan.reserve(800, "a model", "model");
  t.is(plan.expertBytes, 0);
  t.throws(() => plan.admitStream(), { message: /one more stream needs 100 bytes; 1000 of 1000 are taken/ });
});
