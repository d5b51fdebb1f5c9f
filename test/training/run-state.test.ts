import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import test from "ava";
import { startChild } from "../../bench/child-process.js";
import { InvalidInputError } from "../../src/errors/probestream-error.js";
import { Random } from "../../src/linalg/random.js";
import { fitExpert } from "../../src/training/fit-expert.js";
import { readRunState, writeRunState } from "../../src/training/run-state.js";
import { defaultTrainSettings } from "../../src/training/train-settings.js";
import { createConceptModels } from "../helpers/concept-models.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const program = fileURLToPath(new URL("../helpers/train-child.js", import.meta.url));

test("a run that is killed ten times and goes on ends as one that is not, bit for bit", async (t) => {
  const folder = await createTemporaryFolder(t);
  const train = async (name: string, kills: number): Promise<Buffer> => {
    const path = join(folder, name);
    const random = new Random(9);
    for (let kill = 0; ; kill++) {
      const child = await startChild({ program: process.execPath, args: [program, path] });
      const lines = (async () => {
        let count = 0;
        for await (const _ of child.lines) {
          // At a random moment of the first epochs that this process adds.
          if (++count === 1 && kill < kills) await sleep(random.next() * 50).then(() => child.signal("SIGKILL"));
        }
        return count;
      })();
      const code = await child.ended;
      const epochs = await lines;
      if (code === 0) {
        t.is(epochs, 40);
        t.is(kill, kills);
        return readFile(path);
      }
      if (kill >= kills) throw new Error(`the run ended with ${code}: ${child.errorText()}`);
    }
  };
  const [whole, pieces] = [await train("whole", 0), await train("pieces", 10)];
  t.true(whole.equals(pieces));
});

test("a state belongs to its run", async (t) => {
  const path = join(await createTemporaryFolder(t), "state");
  t.is(await readRunState(path, "a"), undefined);
  const state = { fingerprint: "a", facts: { steps: 3 }, arrays: new Map([["x", Float32Array.of(1, 2)]]) };
  await writeRunState(path, state);
  t.deepEqual(await readRunState(path, "a"), state);
  await t.throwsAsync(readRunState(path, "b"), { instanceOf: InvalidInputError, message: /other settings or data/ });
  await writeFile(path, "no state");
  await t.throwsAsync(readRunState(path, "a"));
  await writeRunState(path, state);
  const { shape, data } = createConceptModels("zeroshot");
  const settings = { ...defaultTrainSettings.zeroshot, epochs: 1 };
  await t.throwsAsync(fitExpert(shape, data, { settings, statePath: path }), { instanceOf: InvalidInputError });
  // Another layer of the same models is another run.
  const own = `${path}-own`;
  await fitExpert(shape, data, { settings, statePath: own, saveEveryMs: 0 });
  const other = { ...data, layers: { ...data.layers, identity: "other" } };
  await t.throwsAsync(fitExpert(shape, other, { settings, statePath: own }), { message: /other settings or data/ });
  await t.throwsAsync(writeRunState(join(path, "below"), state), { message: /could not be written/ });
});
