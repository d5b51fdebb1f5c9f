import test from "ava";
import { createPlainBackend } from "../../src/compute/backends/plain.js";
import type { ComputeBackend } from "../../src/compute/compute-backend.js";
import { describeExpert } from "../../src/experts/expert.js";
import { loadResidentExpert } from "../../src/search/resident-expert.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

/** A backend with room for so many products; `held` are those that were not given back. */
function createSmallBackend(room: number): ComputeBackend & { readonly held: number } {
  const plain = createPlainBackend();
  let [held, loaded] = [0, 0];
  return {
    ...plain,
    get held() {
      return held;
    },
    load: async (sides) => {
      if (loaded === room) throw new Error("no room");
      loaded++;
      held++;
      const product = await plain.load(sides);
      return {
        ...product,
        dispose: async () => {
          held--;
          await product.dispose();
        },
      };
    },
  };
}

for (const kind of ["dense", "lora"] as const) {
  test(`where a ${kind} expert does not fit, nothing of it stays on the backend`, async (t) => {
    const folder = await createTemporaryFolder(t);
    await writeExpert(folder, createExpertParameters({ rows: 8, columns: 6 }), { kind });
    const { spaceId } = await describeExpert(folder);
    const wanted = kind === "dense" ? 2 : 3;
    for (let room = 0; room < wanted; room++) {
      const backend = createSmallBackend(room);
      await t.throwsAsync(loadResidentExpert(backend, folder, spaceId), { message: "no room" });
      t.is(backend.held, 0, `room for ${room}`);
    }
    const backend = createSmallBackend(wanted);
    const expert = await loadResidentExpert(backend, folder, spaceId);
    t.is(backend.held, wanted);
    await expert.dispose();
    t.is(backend.held, 0);
  });
}
