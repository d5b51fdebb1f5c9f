import { createHash, type Hash } from "node:crypto";
import { type ModelFile, type ModelOptions, openModel } from "../../weights/model-file.js";
import type { StoredTensor } from "../../weights/model-header.js";

/** What tells whether two models are the same. */
export interface ModelHashes {
  /**
   * SHA-256, hex, of the file, as `sha256sum` gives it; of a model in shards that of its shards one after another, in the
   * order of their names, without the index.
   */
  readonly file: string;
  /**
   * SHA-256, hex, of the weights alone: of one line for each tensor, `["name","dtype",[extents],"sha256 of its bytes"]`,
   * sorted by name (UTF-16 code units) and joined by line feeds. Metadata, the order of tensors in the file, padding, the
   * container (safetensors or PyTorch) and shards change nothing. A PyTorch tensor whose numbers are not stored row by row
   * is hashed as it is stored.
   */
  readonly weights: string;
  /** Bytes that were read. */
  readonly bytes: number;
}

/** Options of {@link hashModel}. */
export interface HashOptions extends ModelOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hashes a model, its files and its weights, in one pass.
 *
 * Memory: the headers and a piece of 1 MiB.
 *
 * @throws what `openModel` and the file throw; the signal's reason.
 */
export async function hashModel(location: string, options: HashOptions = {}): Promise<ModelHashes> {
  const model = await openModel(location, options);
  try {
    return await hashOpenModel(model, options.signal);
  } finally {
    await model.close();
  }
}

/** {@link hashModel} of a model that is open, and stays so. */
export async function hashOpenModel(model: ModelFile, signal?: AbortSignal): Promise<ModelHashes> {
  const file = createHash("sha256");
  const lines: (readonly [name: string, line: string])[] = [];
  let bytes = 0;
  for (const [index, { tensors }] of model.files.entries()) {
    const hashes = new TensorHashes(tensors);
    for await (const piece of model.streamFile(index, { signal })) {
      file.update(piece);
      hashes.add(piece);
      bytes += piece.length;
    }
    lines.push(...hashes.toLines());
  }
  const sorted = lines.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
  const weights = createHash("sha256").update(sorted.join("\n")).digest("hex");
  return { file: file.digest("hex"), weights, bytes };
}

/** Hashes of a file's tensors while its bytes pass; tensors may share bytes. */
class TensorHashes {
  readonly #waiting: StoredTensor[];
  readonly #hashes: ReadonlyMap<StoredTensor, Hash>;
  #open: StoredTensor[] = [];
  #at = 0;

  constructor(tensors: readonly StoredTensor[]) {
    // The next one last, so that it is popped.
    this.#waiting = [...tensors].sort((a, b) => b.begin - a.begin);
    this.#hashes = new Map(tensors.map((tensor) => [tensor, createHash("sha256")]));
  }

  add(piece: Uint8Array): void {
    const [begin, end] = [this.#at, this.#at + piece.length];
    for (let next = this.#waiting.at(-1); next !== undefined && next.begin < end; next = this.#waiting.at(-1)) {
      this.#open.push(next);
      this.#waiting.pop();
    }
    for (const tensor of this.#open) {
      const part = piece.subarray(Math.max(0, tensor.begin - begin), Math.max(0, tensor.end - begin));
      this.#hashes.get(tensor)?.update(part);
    }
    this.#open = this.#open.filter((tensor) => tensor.end > end);
    this.#at = end;
  }

  toLines(): [name: string, line: string][] {
    return [...this.#hashes].map(([{ name, dtype, shape }, hash]) => {
      return [name, JSON.stringify([name, dtype, shape, hash.digest("hex")])];
    });
  }
}
