import type { ComputeBackend, Matrix, Product } from "../compute/compute-backend.js";
import { InvalidInputError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import { dot } from "../linalg/dot.js";
import { rowOf } from "../linalg/rows.js";
import { sigmoid } from "../linalg/sigmoid.js";
import { transpose } from "../linalg/transpose.js";
import { lengthOf, scaleToUnit } from "../linalg/unit.js";
import { applyLinear } from "./apply-linear.js";
import type { Checkpoint } from "./checkpoint.js";

/** What comes after the projection: representation, text images, scores. Its matrices are resident on a backend. */
export interface Head {
  /** Whether representations compare with texts. */
  readonly hasTextHead: boolean;
  /** e = M·h + b for several models at once. `responses` are h, r_U·r_V numbers each; gives r_T numbers each. */
  encode(responses: readonly Float32Array[]): Promise<Float32Array[]>;
  /**
   * H·t + c for text vectors (one per row), scaled to unit length.
   *
   * @throws InvalidInputError `TEXT_WIDTH_MISMATCH` if they are not d_text wide; `FIELD_INVALID` if the expert has no
   * text head.
   */
  toTextImages(texts: Matrix): Promise<Matrix>;
  /** Cosine of a representation with each text image, in float64 arithmetic. */
  cosines(representation: Float32Array, images: Matrix): Float32Array;
  /** T·e + c: a logit per label; empty for zero-shot experts. */
  logits(representation: Float32Array): Float32Array;
  dispose(): Promise<void>;
}

/**
 * Makes an expert's head resident.
 *
 * @param again reads the checkpoint anew, for a backend that has to load it twice.
 */
export async function createHead(
  backend: ComputeBackend,
  checkpoint: Checkpoint,
  again?: () => Promise<Checkpoint>,
): Promise<Head> {
  const { head, objective } = checkpoint;
  // Closures keep all that they name: M must not stay beside its copy on the backend.
  const { bias } = checkpoint.encoder;
  const inputs = checkpoint.encoder.weight.columns;
  const product = await backend.load(
    { right: transpose(checkpoint.encoder.weight) },
    again && (async () => ({ right: transpose((await again()).encoder.weight) })),
  );
  let text: Promise<Product> | undefined;
  return {
    hasTextHead: objective === "zeroshot",
    encode: async (responses) => {
      const rows = await multiply(product, concatenate(responses, inputs));
      return Array.from({ length: rows.rows }, (_, row) => addBias(viewOf(rows, row).slice(), bias));
    },
    toTextImages: async (texts) => {
      assertTexts(objective, head.weight.columns, texts);
      if (texts.rows === 0) return { rows: 0, columns: head.weight.rows, values: new Float32Array(0) };
      text ??= backend.load({ right: transpose(head.weight) });
      // What failed once may work the next time.
      text.catch(() => {
        text = undefined;
      });
      const images = await multiply(await text, texts);
      for (let row = 0; row < images.rows; row++) scaleToUnit(addBias(viewOf(images, row), head.bias));
      return images;
    },
    cosines: (representation, images) => {
      // A representation of all zeros points nowhere: it is at right angles to every text.
      const norm = lengthOf(representation);
      return Float32Array.from(
        { length: images.rows },
        (_, row) => dot(representation, images.values, row * images.columns) / norm,
      );
    },
    logits: (representation) =>
      objective === "classification" ? applyLinear(head, representation) : new Float32Array(0),
    dispose: async () => {
      await product.dispose();
      await (await text)?.dispose();
    },
  };
}

/** sigmoid(x), per number. */
export function toProbabilities(logits: Float32Array): Float32Array {
  return logits.map((logit) => sigmoid(logit));
}

async function multiply(product: Product, x: Matrix): Promise<Matrix> {
  const sum = product.open({ rows: x.rows, columns: x.columns });
  const bytes = new Uint8Array(x.values.buffer, x.values.byteOffset, x.values.byteLength);
  try {
    await sum.add({ bytes, dtype: "F32", rowBegin: 0, rowCount: x.rows, columnCount: x.columns });
    return { rows: sum.rows, columns: sum.columns, values: await sum.read() };
  } finally {
    await sum.dispose();
  }
}

function concatenate(rows: readonly Float32Array[], columns: number): Matrix {
  const values = new Float32Array(rows.length * columns);
  for (const [index, row] of rows.entries()) values.set(row, index * columns);
  return { rows: rows.length, columns, values };
}

function assertTexts(objective: Checkpoint["objective"], width: number, texts: Matrix): void {
  if (objective !== "zeroshot") {
    throw new InvalidInputError(
      "FIELD_INVALID",
      "text vectors were sent for a classification expert, which has no text head; leave text_vectors out",
    );
  }
  if (texts.columns !== width) {
    throw new InvalidInputError(
      "TEXT_WIDTH_MISMATCH",
      `text vectors are ${texts.columns} wide, the expert compares with ${width}: use the text encoder it was trained with`,
      { found: texts.columns, expected: width },
    );
  }
  assertFiniteTexts(texts);
}

/** Guards text vectors against NaN and infinity. */
export function assertFiniteTexts({ values }: Matrix): void {
  if (allFinite(values)) return;
  throw new InvalidInputError("FIELD_INVALID", "text vectors hold NaN or infinity; they must be finite");
}

function viewOf({ columns, values }: Matrix, row: number): Float32Array {
  return rowOf({ width: columns, values }, row);
}

function addBias(row: Float32Array, bias: Float32Array): Float32Array {
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) + (bias[i] as number);
  return row;
}
