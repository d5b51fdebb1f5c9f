import { join } from "node:path";
import test from "ava";
import { keptBlockBytes } from "../../src/compute/failover/kept-block-bytes.js";
import { targetGroupBytes } from "../../src/projection/row-groups.js";
import { modelBytesOf } from "../../src/search/stream-header.js";
import { startTestEmbedder, toManifest } from "../helpers/embed-client.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import {
  largeLayer,
  largeModel,
  smallLayer,
  smallModel,
  writeLargeExpert,
  writeSmallExpert,
} from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("where sums may lie on a device, a model takes room for the blocks that each of them keeps", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  await writeLargeExpert(root);
  await writeExpert(join(root, "other"), createExpertParameters({ ...largeLayer, seed: 32 }), { module: "m.big" });
  const { plan } = await startTestEmbedder(t, root);
  const model = toManifest([...smallModel(1).tensors, ...largeModel("").tensors]);
  for (const [experts, expected] of [
    [["small"], 4 * smallLayer.rows * smallLayer.columns],
    [["large"], keptBlockBytes + targetGroupBytes],
    [["large", "other"], 2 * (keptBlockBytes + targetGroupBytes)],
  ] as const) {
    const planned = await plan({ tensors: model, experts });
    t.is(modelBytesOf(planned, true) - modelBytesOf(planned, false), expected, experts.join(", "));
  }
});
