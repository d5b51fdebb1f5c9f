import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { describeExpert, type Expert } from "../../src/experts/expert.js";
import {
  readScoreCalibration,
  readScoreModel,
  scoresFileName,
  toScoreKey,
  writeScoreModel,
} from "../../src/experts/score-calibration-file.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { createScoreModel, createUnit } from "../helpers/score-model.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

async function makeExpert(t: ExecutionContext<unknown>, seed = 1): Promise<Expert> {
  const parameters = createExpertParameters({ rows: 9, columns: 7, seed });
  return describeExpert(await writeExpert(join(await createTemporaryFolder(t), "cats"), parameters));
}

test("what is written is read back, and the space id stays", async (t) => {
  const before = await makeExpert(t);
  t.is(toScoreKey(before), "");
  t.is(await readScoreCalibration(before), undefined);
  for (const model of [createScoreModel(), createScoreModel({ text: {}, oneOfMany: { seen: 12 }, novelty: 0 })]) {
    await writeScoreModel(before.folder, before.spaceId, model);
    const expert = await describeExpert(before.folder);
    t.is(expert.spaceId, before.spaceId);
    t.deepEqual(await readScoreModel(expert, expert.extra), model);
    const calibration = await readScoreCalibration(expert);
    const score = calibration?.toScorer(createUnit(6, 5), "text")(0.2) ?? -1;
    t.true(score > 0 && score < 1);
    t.not(toScoreKey(expert), "");
  }
});

test("other keys of the manifest stay as they are", async (t) => {
  const parameters = createExpertParameters({ rows: 9, columns: 7 });
  const manifest = { calibration: { layer: { median: 1 } }, provenance: { by: "us" } };
  const folder = await writeExpert(join(await createTemporaryFolder(t), "cats"), parameters, {}, manifest);
  await writeScoreModel(folder, (await describeExpert(folder)).spaceId, createScoreModel());
  const { extra } = await describeExpert(folder);
  t.like(extra, manifest);
});

test("a damaged file is refused, and so are one that is gone and one of another expert", async (t) => {
  const [expert, other] = [await makeExpert(t), await makeExpert(t, 2)];
  await writeScoreModel(expert.folder, expert.spaceId, createScoreModel());
  await writeScoreModel(other.folder, other.spaceId, createScoreModel());
  const path = join(expert.folder, scoresFileName);
  const whole = await readFile(path);
  const refuse = async (message: RegExp): Promise<void> => {
    const found = await describeExpert(expert.folder);
    await assertRefused(t, () => readScoreCalibration(found), { kind: "corrupt-data", reason: "CORRUPT", message });
  };
  for (const at of [0, 8, 60, whole.length - 1]) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    await writeFile(path, damaged);
    await refuse(/has the SHA-256 [0-9a-f]{12}…, expert\.json says another; calibrate them anew/);
  }
  await writeFile(path, whole.subarray(0, -4));
  await refuse(/has the SHA-256/);
  await rm(path);
  await refuse(/cannot be read/);
  // A folder whose file and key were both copied from another expert's.
  await writeFile(path, await readFile(join(other.folder, scoresFileName)));
  const manifest = JSON.parse(await readFile(join(expert.folder, "expert.json"), "utf8"));
  const { calibration } = JSON.parse(await readFile(join(other.folder, "expert.json"), "utf8"));
  const write = (scores: object): Promise<void> =>
    writeFile(join(expert.folder, "expert.json"), JSON.stringify({ ...manifest, calibration: { scores } }));
  await write(calibration.scores);
  await refuse(/belongs to the expert [0-9a-f]{12}…/);
});

test("numbers that are none are refused by name", async (t) => {
  const expert = await makeExpert(t);
  await writeScoreModel(expert.folder, expert.spaceId, createScoreModel());
  const { extra } = await describeExpert(expert.folder);
  const { scores } = extra["calibration"] as { scores: Record<string, unknown> };
  for (const [change, message] of [
    [{ text: { seen: { z: -1, cosine: 0, offset: 0 } } }, /a scale is malformed/],
    [{ text: { seen: { z: 0, cosine: 0, offset: 0 } } }, /a scale is malformed/],
    [{ example: { z: 1, cosine: "much", offset: 0 } }, /a scale is malformed/],
    [{ oneOfMany: { seen: 0 } }, /a factor of softmax is malformed/],
    [{ oneOfMany: { seen: 30, unseen: 8 } }, /the offset of new labels is malformed/],
    [{ radius: null }, /novelty or radius/],
    [{ file: "../other.safetensors" }, /"file" is not "scores\.safetensors"/],
  ] as const) {
    const changed = { ...extra, calibration: { scores: { ...scores, ...change } } };
    await assertRefused(t, () => readScoreModel(expert, changed), { reason: "CORRUPT", message });
  }
});

test("a calibration that is replaced while its expert is known is read again", async (t) => {
  const { folder, spaceId } = await makeExpert(t);
  await writeScoreModel(folder, spaceId, createScoreModel());
  const known = await describeExpert(folder);
  await writeScoreModel(folder, spaceId, createScoreModel({ labels: ["fox", "hen", "owl"] }));
  const calibration = await readScoreCalibration(known);
  t.not(calibration?.labelQuery("fox"), undefined);
});
