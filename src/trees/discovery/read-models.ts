import { toProbestreamError } from "../../errors/plain-error.js";
import type { ProbestreamError } from "../../errors/probestream-error.js";
import type { LayerSpec } from "../../weights/layer.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { type ModelFile, type ModelOptions, openModel } from "../../weights/model-file.js";
import type { Rows } from "../../weights/stream-rows.js";
import { toSignature } from "../signature.js";
import { sketchModel } from "../sketches/sketch-model.js";
import { chooseTreeLayers } from "./choose-tree-layers.js";
import type { SketchKind } from "./find-trees.js";
import { SketchStore, toBlockLimit } from "./sketch-store.js";
import type { VectorTable } from "./squared-distances.js";

/** Models of one signature. */
export interface SignatureGroup {
  /** SHA-256, hex, see `toSignature`. */
  readonly key: string;
  readonly kind: SketchKind;
  /** What they are compared by. */
  readonly layers: readonly LayerSpec[];
  /** In the order in which they were given. */
  readonly locations: readonly string[];
  /** In the same order. */
  readonly sketches: VectorTable;
}

/** A model that is left out. */
export interface SkippedModel {
  readonly location: string;
  readonly error: ProbestreamError;
}

/** How far reading is. */
export interface ReadProgress {
  readonly models: number;
  readonly failed: number;
  /** Bytes of the layers read. */
  readonly bytes: number;
}

/** How models are read. */
export interface ReadModelsOptions {
  /** Module or tensor that they are compared by; by default one is chosen for each signature. */
  readonly layer?: string | undefined;
  /** Options of remote files, by location. */
  readonly modelOptions?: ((location: string) => ModelOptions) | undefined;
  /** Models that are read at once. Default 8. */
  readonly concurrency?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ReadProgress) => void) | undefined;
  /** Looks at a model while it is read; what it throws is the model's failure. */
  readonly observe?: ((location: string, model: ModelFile) => ModelObserver) | undefined;
}

/** What sees a model pass. */
export interface ModelObserver {
  /** Rows of the layer, where it is dense: see `SketchOptions.onRows`. */
  onRows(rows: Rows): void;
  /** After the last one. */
  end(): void;
}

/**
 * Reads models once: groups them by signature and sketches the layer that is chosen for the signature. What cannot be
 * read is left out, with the reason.
 *
 * Memory: the sketches, 64 MiB or 2 KiB a model, whichever is more, and what models under way hold.
 *
 * @returns groups in the order of their first models.
 * @throws the signal's reason.
 */
export async function readModels(
  locations: readonly string[],
  options: ReadModelsOptions = {},
): Promise<{ readonly groups: readonly SignatureGroup[]; readonly skipped: readonly SkippedModel[] }> {
  const { layer, modelOptions, concurrency = 8, signal, onProgress, observe } = options;
  const blocks = toBlockLimit(locations.length);
  const stores = new Map<string, GroupStore>();
  const skipped: (SkippedModel & { readonly index: number })[] = [];
  let [done, bytes] = [0, 0];
  const read = async (index: number, location: string): Promise<void> => {
    const model = await openModel(location, { ...modelOptions?.(location), signal });
    try {
      const { kind, key } = toSignature(model.tensors);
      const group = stores.get(key) ?? {
        kind,
        layers: chooseTreeLayers(model.tensors, layer),
        store: new SketchStore(),
      };
      stores.set(key, group);
      const observer = observe?.(location, model);
      const onRows = observer && ((rows: Rows) => observer.onRows(rows));
      const sketch = await sketchModel(model, group.layers, { blocks, signal, onRows });
      observer?.end();
      group.store.add(index, sketch.values);
      bytes += sketch.bytes;
    } finally {
      await model.close();
    }
  };
  await mapConcurrently([...locations.entries()], concurrency, async ([index, location]) => {
    signal?.throwIfAborted();
    try {
      await read(index, location);
    } catch (error) {
      signal?.throwIfAborted();
      skipped.push({ index, location, error: toProbestreamError(error) });
    }
    onProgress?.({ models: ++done, failed: skipped.length, bytes });
  });
  const groups = [...stores].flatMap(([key, { kind, layers, store }]) => {
    const { order, table } = store.toTable();
    const [first] = order;
    if (first === undefined) return [];
    return [
      {
        first,
        group: { key, kind, layers, locations: order.map((index) => locations[index] as string), sketches: table },
      },
    ];
  });
  return {
    groups: groups.sort((a, b) => a.first - b.first).map(({ group }) => group),
    skipped: skipped.sort((a, b) => a.index - b.index).map(({ location, error }) => ({ location, error })),
  };
}

interface GroupStore {
  readonly kind: SketchKind;
  readonly layers: readonly LayerSpec[];
  readonly store: SketchStore;
}
