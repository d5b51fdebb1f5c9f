import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import test from "ava";
import { describeLayer } from "../../../src/training/datasets/describe-layer.js";
import { detectLayerKind } from "../../../src/training/datasets/detect-layer-kind.js";
import { openPackedLayers } from "../../../src/training/datasets/open-packed-layers.js";
import { packLayers } from "../../../src/training/datasets/pack-layers.js";
import { type Dataset, scanDataset } from "../../../src/training/datasets/scan-dataset.js";
import { openModel } from "../../../src/weights/model-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../../src/weights/safetensors-writer.js";
import { randomValues } from "../../helpers/random.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

/**
 * Layouts as `download_datasets.py` of github.com/eliahuhorwitz/ProbeX (commit 87d4553) leaves them; layer names from its
 * `layer_names/`, in small.
 */

const block = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0";

function createTensor(name: string, shape: readonly number[], seed: number): TensorData {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return { name, dtype: "F32", shape, bytes: float32Bytes(randomValues(count, seed)) };
}

async function put(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

function toShort({ models }: Dataset) {
  return models.map(({ labels, split }) => [split, labels.join()]).sort();
}

test("SD_200 and SD_1k: a folder per split and model, LoRA factors, imagenet_class_id", async (t) => {
  const folder = await createTemporaryFolder(t);
  const splits = ["train", "val", "test", "val_holdout", "test_holdout"];
  for (const [index, split] of splits.entries()) {
    const model = join(folder, split, `model_idx_${String(index).padStart(4, "0")}`);
    const tensors = [
      createTensor(`${block}.lora.down.weight`, [2, 6], index + 1),
      createTensor(`${block}.lora.up.weight`, [4, 2], index + 7),
    ];
    const metadata = { imagenet_class_id: `n0211978${index}`, format: "pt" };
    await put(join(model, "pytorch_lora_weights.safetensors"), encodeSafetensors(tensors, metadata));
    await put(join(model, "README.md"), "");
    await put(join(model, "training_images", "0.jpg"), "");
  }
  await put(join(folder, ".cache", "huggingface", "x.safetensors"), "not a model");
  const dataset = await scanDataset(folder, { labelKey: "imagenet_class_id" });
  t.is(dataset.splitSource, "files");
  t.deepEqual(dataset.refused, []);
  t.deepEqual(toShort(dataset), splits.map((split, index) => [split, `n0211978${index}`]).sort());
  const locations = dataset.models.map(({ location }) => location);
  t.is(await detectLayerKind(locations, block), "lora");
  const rule = { module: block, kind: "lora", layout: "linear", loraScale: "none" } as const;
  const [packed] = await packLayers(locations, [rule], { folder: join(folder, "packed") });
  const opened = await openPackedLayers(packed as NonNullable<typeof packed>);
  t.deepEqual(opened.layers.layer, { rows: 4, columns: 6, rank: 2 });
  t.is(opened.layers.count, 5);
  await opened.close();
});

test("SupViT, DINO, MAE and ResNet: a hub cache per split, links to blobs, dataset_chosen_targets", async (t) => {
  const folder = await createTemporaryFolder(t);
  const linear = "vit.encoder.layer.8.intermediate.dense.weight";
  const conv = "resnet.encoder.stages.2.layers.20.layer.1.convolution.weight";
  const pointwise = "resnet.encoder.stages.2.layers.20.layer.2.convolution.weight";
  for (const [index, split] of ["train", "val", "test"].entries()) {
    const cache = join(folder, split, `models--ProbeX--Model-J__SupViT__model_idx_000${index}`);
    const tensors = [
      createTensor(linear, [5, 3], index + 1),
      createTensor(conv, [2, 3, 3, 3], index + 4),
      createTensor(pointwise, [5, 2, 1, 1], index + 8),
    ];
    const metadata = { dataset_chosen_targets: "['maple_tree', 'sea', 'apple']", format: "pt" };
    const snapshot = join(cache, "snapshots", "99411aeb");
    await put(join(cache, "blobs", `5ad8942c${index}`), encodeSafetensors(tensors, metadata));
    await put(join(cache, "refs", "main"), "99411aeb");
    await put(join(snapshot, "config.json"), "{}");
    await symlink(`../../blobs/5ad8942c${index}`, join(snapshot, "model.safetensors"));
    await put(join(folder, split, ".locks", "x.lock"), "");
  }
  const dataset = await scanDataset(folder, { labelKey: "dataset_chosen_targets" });
  t.is(dataset.splitSource, "files");
  t.deepEqual(dataset.refused, []);
  t.deepEqual(
    toShort(dataset),
    ["test", "train", "val"].map((split) => [split, "maple_tree,sea,apple"]),
  );
  const locations = dataset.models.map(({ location }) => location);
  t.is(await detectLayerKind(locations, linear), "dense");
  const model = await openModel(locations[0] as string);
  t.teardown(() => model.close());
  const shapeOf = (module: string, layout: "linear" | "conv") => {
    const { rows, columns } = describeLayer(model.tensors, { module, kind: "dense", layout, loraScale: "none" }).shape;
    return [rows, columns];
  };
  t.deepEqual(shapeOf(linear, "linear"), [5, 3]);
  // The authors: reshape(-1, out), and squeezed where the kernel is 1 × 1.
  t.deepEqual(shapeOf(conv, "conv"), [27, 2]);
  t.deepEqual(shapeOf(pointwise, "linear"), [5, 2]);
});
