import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { describeExpert } from "../../src/experts/expert.js";
import { readScoreCalibration } from "../../src/experts/score-calibration-file.js";
import { type CliResult, makeExampleFolder, runCli } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

let cwd = "";
test.before(async () => {
  cwd = await makeExampleFolder();
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

const folder = "experts/concepts-lora";
const calibrate = ["experts", "calibrate", `./${folder}`, "./models"];
const run = (words: readonly string[]): Promise<CliResult> => runInFolder(cwd, words);

test("scores are calibrated with labels and texts, stay without, and are damaged by nobody unseen", async (t) => {
  const read = async () => readScoreCalibration(await describeExpert(join(cwd, folder)));
  const { spaceId } = await describeExpert(join(cwd, folder));
  t.is(await read(), undefined);

  const background = await runCli(calibrate, { cwd });
  t.regex(
    background.stdout,
    /^scores: a background of 24 models; not fitted: texts of known labels, .*models as queries/m,
  );
  t.deepEqual((await read())?.fitted, { text: false, example: false, labels: false });

  const labelled = await run([...calibrate, "--label-key", "concept", "--texts", "./texts.safetensors"]);
  t.regex(
    labelled.stdout,
    /probabilities fitted on 24 labelled models for texts of known labels, models as queries, labels/,
  );
  t.deepEqual((await read())?.fitted, { text: true, example: true, labels: true });
  t.is((await describeExpert(join(cwd, folder))).spaceId, spaceId);

  const again = await run(calibrate);
  t.regex(again.stdout, /^scores: as they were; give --label-key or --labels to calibrate them anew$/m);
  t.deepEqual((await read())?.fitted, { text: true, example: true, labels: true });

  const path = join(cwd, folder, "scores.safetensors");
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, 100));
  await t.throwsAsync(read, { message: /has the SHA-256/ });
  // What cannot be used is made anew, even without labels.
  t.regex((await run(calibrate)).stdout, /^scores: a background of 24 models/m);
  t.deepEqual((await read())?.fitted, { text: false, example: false, labels: false });
});

test("options that do not go together are refused before anything is measured", async (t) => {
  for (const [words, message] of [
    [["--texts", "./texts.safetensors"], /of use with --label-key or --labels/],
    [["--label-key", "no such key"], /none of the models has a label/],
    [
      ["--label-key", "concept", "--texts", "./texts.safetensors", "--text-encoder", "x"],
      /one of the two; both are there/,
    ],
  ] as const) {
    const { code, stderr } = await run([...calibrate, ...words]);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
  }
});
