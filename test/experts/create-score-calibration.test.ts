import test from "ava";
import fc from "fast-check";
import { createScoreCalibration } from "../../src/experts/create-score-calibration.js";
import { type Rows, rowOf } from "../../src/linalg/rows.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createScoreModel, createUnit, createUnitRows } from "../helpers/score-model.js";

const model = createScoreModel();
const calibration = createScoreCalibration(model);
const cosine = fc.double({ min: -1, max: 1, noNaN: true });
const cosines = fc.array(cosine, { minLength: 1, maxLength: 30 }).map((values) => Float32Array.from(values));

test("scores lie between 0 and 1 and rise with the cosine, whatever the query and its kind", (t) => {
  fc.assert(
    fc.property(fc.nat(1000), fc.constantFrom("text", "example"), cosine, cosine, (seed, kind, a, b) => {
      for (const own of [
        model,
        createScoreModel({ text: {} }),
        createScoreModel({ text: { unseen: { z: 1, cosine: 0, offset: 0 } } }),
      ]) {
        const score = createScoreCalibration(own).toScorer(createUnit(6, seed), kind);
        const [low, high] = [score(Math.min(a, b)), score(Math.max(a, b))];
        t.true(low >= 0 && high <= 1 && low <= high);
        if (Math.abs(a - b) > 1e-6) t.true(low < high);
      }
    }),
  );
});

test("probabilities of one of many add up to 1; those of labels equally new keep the order of cosines", (t) => {
  return fc.assert(
    fc.asyncProperty(cosines, fc.boolean(), fc.nat(1000), async (values, hasQueries, seed) => {
      // Seeds of other rows than those of known labels.
      const queries = createUnitRows(values.length, 6, 10 + seed);
      const given = hasQueries ? Array.from(values, (_, row) => rowOf(queries, row)) : undefined;
      const strict = createScoreCalibration(createScoreModel({ novelty: 0 }));
      const shares = (await strict.toLabelJudge("one-of-many", given))(values);
      t.true(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9);
      for (let i = 1; i < values.length; i++) {
        const [a, b] = [values[i - 1] as number, values[i] as number];
        t.true(
          a >= b
            ? (shares[i - 1] as number) >= (shares[i] as number)
            : (shares[i - 1] as number) <= (shares[i] as number),
        );
      }
    }),
  );
});

test("labels that the expert never saw are told with less certainty", async (t) => {
  const values = Float32Array.of(0.5, 0.4);
  const known = [rowOf(model.queries, 0), rowOf(model.queries, 1)];
  const fresh = known.map((query) => query.map((value) => -value));
  const [seen, unseen, usual] = await Promise.all(
    [known, fresh, undefined].map(async (queries) => (await calibration.toLabelJudge("one-of-many", queries))(values)),
  );
  if (seen === undefined || unseen === undefined) throw t.fail("no shares");
  t.deepEqual(seen, usual);
  t.true((seen[0] as number) > 0.9 && (unseen[0] as number) < 0.75);
  const [query = new Float32Array(6), other = query] = [known[0], fresh[0]];
  t.true(calibration.toScorer(query, "text")(0.9) > calibration.toScorer(other, "text")(0.9));
});

test("a new label beside a known one gains the offset, and each keeps its own scale", async (t) => {
  const [known, fresh] = [rowOf(model.queries, 0), rowOf(model.queries, 1).map((value) => -value)];
  const judge = await calibration.toLabelJudge("one-of-many", [known, fresh]);
  const odds = (shares: Float64Array): number => Math.log((shares[1] as number) / (shares[0] as number));
  for (const [a, b] of [
    [0, 0],
    [0.2, 0.3],
    [0.6, -0.5],
  ] as const) {
    t.true(Math.abs(odds(judge(Float32Array.of(a, b))) - (8 * b + 3 - 30 * a)) < 1e-5);
  }
});

test("any of many asks each label by itself", async (t) => {
  const queries = [0, 1, 2].map((row) => rowOf(model.queries, row));
  const values = Float32Array.of(0.9, -0.2, 0.9);
  const shares = (await calibration.toLabelJudge("any-of-many", queries))(values);
  for (const [row, query] of queries.entries()) {
    t.is(shares[row], calibration.toScorer(query, "text")(values[row] as number));
  }
  const short = await calibration.toLabelJudge("any-of-many", queries.slice(1));
  await assertRefused(t, () => short(values), {
    reason: "FIELD_INVALID",
    message: "3 cosines need the query of each; 2 were given",
  });
});

test("what labels cost is spent once, a label at a time, and not for each model", async (t) => {
  const queries = [0, 1, 2].map((row) => createUnit(6, row));
  const values = Float32Array.of(0.9, -0.2, 0.4);
  for (const mode of ["one-of-many", "any-of-many"] as const) {
    const own = createScoreModel();
    let paces = 0;
    const judge = await createScoreCalibration(own).toLabelJudge(mode, queries, async () => {
      paces++;
    });
    const before = judge(values);
    own.background.values.fill(0);
    own.queries.values.fill(0);
    t.deepEqual(judge(values), before);
    t.is(paces, queries.length);
  }
  await t.throwsAsync(
    calibration.toLabelJudge("any-of-many", queries, () => Promise.reject(new Error("enough"))),
    {
      message: "enough",
    },
  );
});

test("a classification expert's logits are scaled; without a scale they are probabilities as they come", async (t) => {
  const classifier = { objective: "classification", texts: { width: 0, values: new Float32Array(0) } } as const;
  const logits = Float32Array.of(-1, 0, 2);
  const plain = createScoreCalibration(createScoreModel({ ...classifier, oneOfMany: {} }));
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  t.deepEqual([...(await plain.toLabelJudge("any-of-many", undefined))(logits)], [...logits].map(sigmoid));
  const fitted = createScoreCalibration(
    createScoreModel({ ...classifier, anyOfMany: { slope: 0.5, offset: 1 }, oneOfMany: { seen: 0.5 } }),
  );
  t.deepEqual(
    [...(await fitted.toLabelJudge("any-of-many", undefined))(logits)],
    [...logits].map((logit) => sigmoid(0.5 * logit + 1)),
  );
  const one = await fitted.toLabelJudge("one-of-many", undefined);
  t.true(Math.abs((one(Float32Array.of(0, 2))[1] as number) - sigmoid(1)) < 1e-12);
  t.is(fitted.judgeText(new Float32Array(5)).radius, model.radius);
});

test("a text near those of the training is judged; one far away, or of no known words, is not", (t) => {
  const own = rowOf(model.texts, 1).map((value) => 7 * value);
  const { distance, radius } = calibration.judgeText(own);
  t.true(distance < 1e-6 && radius === 0.25);
  const opposite = calibration.judgeText(own.map((value) => -value));
  t.true(opposite.distance > opposite.radius);
  t.deepEqual(calibration.judgeText(new Float32Array(5)), { distance: 2, radius: 0.25 });
});

test("a label of the bank has its query; what was not fitted is said", (t) => {
  t.deepEqual(calibration.labelQuery("dog"), rowOf(model.queries, 1).slice());
  t.is(calibration.labelQuery("fox"), undefined);
  t.deepEqual(calibration.fitted, { text: true, example: true, labels: true });
  const { example: _, ...rest } = createScoreModel({ text: {}, oneOfMany: {} });
  t.deepEqual(createScoreCalibration(rest).fitted, { text: false, example: false, labels: false });
});

test("a model that is its own query does not widen its background", (t) => {
  const query = rowOf(model.background, 4);
  const without = { width: 6, values: model.background.values.filter((_, at) => Math.floor(at / 6) !== 4) };
  const usual = createScoreModel({ example: { z: 1, cosine: 0, offset: 0 } });
  const score = (background: Rows): number =>
    createScoreCalibration({ ...usual, background }).toScorer(query, "example")(0.3);
  t.true(Math.abs(score(usual.background) - score(without)) < 1e-12);
});

test("labels are familiar up to how far known ones lie from one another, and a tenth more", async (t) => {
  // Known labels on a circle, 0.2 rad apart: each lies 1 − cos 0.2 from the next one.
  const at = (angle: number): Float32Array => Float32Array.of(Math.cos(angle), Math.sin(angle), 0, 0, 0, 0);
  const values = Float32Array.from([0, 0.2, 0.4].flatMap((angle) => [...at(angle)]));
  const calibration = createScoreCalibration(createScoreModel({ queries: { width: 6, values } }));
  const bound = Math.acos(1 - 1.1 * (1 - Math.cos(0.2)));
  const angles = [0, 0.1, -bound + 0.01, -bound - 0.01, 0.4 + bound + 0.01, 2];
  let paces = 0;
  const pace = async () => void paces++;
  t.deepEqual(await calibration.areFamiliar(angles.map(at), pace), [true, true, true, false, false, false]);
  t.is(paces, 3 + angles.length);
  await calibration.areFamiliar([at(1)], pace);
  t.is(paces, 3 + angles.length + 1, "the bound is known");
  await t.throwsAsync(
    calibration.areFamiliar([at(1)], () => Promise.reject(new Error("enough"))),
    { message: "enough" },
  );
  const lone = createScoreCalibration(createScoreModel({ labels: ["cat"], queries: { width: 6, values: at(0) } }));
  t.deepEqual(await lone.areFamiliar([at(2)]), [true]);
});
