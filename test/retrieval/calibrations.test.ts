import test from "ava";
import type { Expert } from "../../src/experts/expert.js";
import type { ScoreCalibration } from "../../src/experts/score-calibration.js";
import { createCalibrations } from "../../src/retrieval/calibrations.js";

const toExpert = (name: string): Expert => ({ name, spaceId: name }) as Expert;

test("a calibration is read once, also for many at a time, and one that could not be read again", async (t) => {
  let reads = 0;
  let isBroken = true;
  const { get } = createCalibrations(async ({ name }) => {
    reads++;
    if (isBroken) throw new Error("broken");
    return name === "none" ? undefined : ({ byteLength: 10 } as ScoreCalibration);
  });
  const [one, none] = [toExpert("one"), toExpert("none")];
  await t.throwsAsync(() => get(one), { message: "broken" });
  isBroken = false;
  const [first, second] = await Promise.all([get(one), get(one)]);
  t.is(first, second);
  t.is(await get(one), first);
  t.is(reads, 2);
  t.is(await get(none), undefined);
  t.is(await get(none), undefined);
  t.is(reads, 3);
});

test("calibrations that were not asked for longest give way to others", async (t) => {
  const read: string[] = [];
  const { get } = createCalibrations(async ({ name }) => {
    read.push(name);
    return { byteLength: 30 * 1024 * 1024 } as ScoreCalibration;
  });
  const [a, b, c] = ["a", "b", "c"].map(toExpert) as [Expert, Expert, Expert];
  for (const expert of [a, b, a, c, a, b]) await get(expert);
  t.deepEqual(read, ["a", "b", "c", "b"]);
});
