import type {
  ComputeBackend,
  Matrix,
  Product,
  ProductSides,
  RowBlock,
  RunningSum,
} from "../compute/compute-backend.js";
import { CorruptDataError, InternalError, InvalidInputError } from "../errors/probestream-error.js";
import { transpose } from "../linalg/transpose.js";
import { widen } from "../linalg/widen.js";
import type { LayerSpec, TensorRole } from "../weights/layer.js";
import type { Accumulator, LayerMatrices, Projector, StatePart } from "./accumulator.js";
import { assertFinite } from "./assert-finite.js";
import { takeNumbers, toScaled } from "./row-scale.js";
import type { StoredMatrix } from "./stored-matrix.js";
import { takeParts } from "./take-parts.js";

/** U and V as the authors' state dict stores them. */
export interface Probes {
  /** U, d_W × r_U. */
  readonly u: Matrix;
  /** V, r_V × d_H. */
  readonly v: Matrix;
}

/**
 * Makes a ProbeX expert's probes resident and opens accumulators of Z = V·X·U on them.
 *
 * Shapes: X is d_H × d_W, U is d_W × r_U, V is r_V × d_H, Z is r_V × r_U. Dense layers add V[:, rows]·(X[rows, :]·U)
 * per row block; layers stored transposed add Uᵀ[:, rows]·(Xᵀ[rows, :]·Vᵀ), which sums up to Zᵀ; LoRA layers X = s·B·A
 * add up V·B and A·U and are never multiplied out. Memory: U and V once, in the form the backend wants, and per
 * accumulator 4·r_V·r_U bytes, or 4·rank·(r_V + r_U) for LoRA.
 *
 * @param again reads U and V anew, for a backend that has to load them twice.
 * @see Horwitz et al., CVPR 2025, https://arxiv.org/abs/2410.13569
 */
export async function createProbexProjector(
  backend: ComputeBackend,
  layer: Pick<LayerSpec, "kind" | "layout">,
  { u, v }: Probes,
  again?: () => Promise<Probes>,
): Promise<Projector> {
  const vT = transpose(v);
  if (layer.kind === "lora") {
    const up = await backend.load({ left: vT }, again && (async () => ({ left: transpose((await again()).v) })));
    const down = await backend
      .load({ right: u }, again && (async () => ({ right: (await again()).u })))
      .catch(async (error: unknown) => {
        await up.dispose();
        throw error;
      });
    return {
      open: (matrices) => createLoraAccumulator(backend, up, down, matrices),
      dispose: async () => {
        await up.dispose().finally(() => down.dispose());
      },
    };
  }
  const transposed = layer.layout === "transposed";
  const product = await backend.load(
    toSides(u, vT, transposed),
    again &&
      (async () => {
        const probes = await again();
        return toSides(probes.u, transpose(probes.v), transposed);
      }),
  );
  return {
    open: (matrices) => createDenseAccumulator(product, matrices, transposed),
    dispose: () => product.dispose(),
  };
}

function toSides(u: Matrix, vT: Matrix, transposed: boolean): ProductSides {
  return transposed ? { left: u, right: vT } : { left: vT, right: u };
}

function createDenseAccumulator(product: Product, matrices: LayerMatrices, transposed: boolean): Accumulator {
  const weight = matrixOf(matrices, "weight");
  const sum = product.open({ rows: weight.rowCount, columns: weight.columns.end - weight.columns.begin });
  let scale: Float32Array | undefined;
  return {
    add: async (role, block) => {
      if (role === "weight-scale") {
        scale = takeNumbers(scale, matrixOf(matrices, role), block);
        return;
      }
      await addFinite(sum, weight, scale === undefined ? block : toScaled(block, scale));
    },
    state: async () => [await toPart("sum", sum, weight), ...(scale === undefined ? [] : [toColumn("scale", scale)])],
    restore: async (parts) => {
      await restorePart("sum", sum, parts);
      scale = parts.find(({ name }) => name === "scale")?.values.slice();
    },
    total: async () => {
      const part = await toPart("z", sum, weight);
      return [transposed ? { name: "z", ...transpose(part) } : part];
    },
    adopt: async (parts) => {
      const [rows, columns] = transposed ? [sum.columns, sum.rows] : [sum.rows, sum.columns];
      const [values = none] = takeParts(parts, [{ name: "z", rows, columns }], weight.name);
      await sum.restore(transposed ? transpose({ rows, columns, values }).values : values);
    },
    // h is probe-major (index u·r_V + v): Zᵀ row by row, which is what a transposed layer has summed up to.
    uses: () => sum.uses(),
    finish: async () => {
      const z = { rows: sum.rows, columns: sum.columns, values: await readFinite(sum, weight) };
      return rectified(transposed ? z.values.slice() : transpose(z).values, weight.name);
    },
    dispose: () => sum.dispose(),
  };
}

function createLoraAccumulator(
  backend: ComputeBackend,
  up: Product,
  down: Product,
  matrices: LayerMatrices,
): Accumulator {
  const upMatrix = matrixOf(matrices, "lora-up");
  const downMatrix = matrixOf(matrices, "lora-down");
  const rank = upMatrix.columnCount;
  const vb = up.open({ rows: upMatrix.rowCount, columns: rank });
  const au = down.open({ rows: rank, columns: downMatrix.columnCount });
  let alpha: Float32Array | undefined;
  const sums = async (): Promise<StatePart[]> => [
    await toPart("vb", vb, upMatrix),
    await toPart("au", au, downMatrix),
    ...(alpha === undefined ? [] : [toColumn("alpha", alpha)]),
  ];
  return {
    add: async (role, block) => {
      if (role === "lora-alpha") alpha = takeNumbers(alpha, matrixOf(matrices, role), block);
      else await (role === "lora-up" ? addFinite(vb, upMatrix, block) : addFinite(au, downMatrix, block));
    },
    state: sums,
    restore: async (parts) => {
      await restorePart("vb", vb, parts);
      await restorePart("au", au, parts);
      alpha = parts.find(({ name }) => name === "alpha")?.values.slice();
    },
    total: sums,
    adopt: async (parts) => {
      const wanted = [
        { name: "vb", rows: vb.rows, columns: vb.columns },
        { name: "au", rows: au.rows, columns: au.columns },
        ...(matrices["lora-alpha"] === undefined ? [] : [{ name: "alpha", rows: 1, columns: 1 }]),
      ];
      const [up = none, down = none, scale] = takeParts(parts, wanted, upMatrix.name);
      await vb.restore(up);
      await au.restore(down);
      alpha = scale?.slice();
    },
    uses: () => [...vb.uses(), ...au.uses()],
    finish: async () => {
      const scale = alpha === undefined ? (upMatrix.scale ?? 1) : (alpha[0] as number) / rank;
      const right = (await readFinite(au, downMatrix)).slice();
      for (let i = 0; i < right.length; i++) right[i] = (right[i] as number) * scale;
      const vbT = transpose({ rows: vb.rows, columns: vb.columns, values: await readFinite(vb, upMatrix) });
      // Zᵀ = (A·U)ᵀ·(V·B)ᵀ, which is h row by row.
      const product = await backend.load({ left: { rows: rank, columns: au.columns, values: right } });
      const x = { rows: rank, columns: vbT.columns };
      try {
        const z = product.open(x);
        try {
          await z.add({
            bytes: toBytes(vbT.values),
            dtype: "F32",
            rowBegin: 0,
            rowCount: rank,
            columnCount: x.columns,
          });
          return rectified(await z.read(), upMatrix.name);
        } finally {
          await z.dispose();
        }
      } finally {
        await product.dispose();
      }
    },
    dispose: async () => {
      await vb.dispose();
      await au.dispose();
    },
  };
}

/**
 * Adds a block and refuses non-finite numbers. The sum shows cheaply whether there was one; only then it is sought.
 * Where the sum is on a device, {@link readFinite} sees it at the next checkpoint or at the end.
 */
async function addFinite(sum: RunningSum, matrix: StoredMatrix, block: RowBlock): Promise<void> {
  await sum.add(block);
  if (sum.finiteAtRead || (await sum.isFinite())) return;
  const values = new Float32Array(block.rowCount * block.columnCount);
  widen(block.bytes, block.dtype, values);
  assertFinite(values, matrix, block);
  throw tooLarge(matrix.name);
}

/** The sum, which may be its own memory. A device's sum may have met a number that is not finite since it was last read. */
async function readFinite(sum: RunningSum, matrix: StoredMatrix): Promise<Float32Array> {
  const values = await sum.read();
  if (!sum.finiteAtRead || values.every(Number.isFinite)) return values;
  throw new InvalidInputError(
    "NON_FINITE",
    `tensor "${matrix.name}" has a number that is not finite or too large; weights must be finite float32 numbers`,
    { tensor: matrix.name },
  );
}

function tooLarge(name: string): InvalidInputError {
  return new InvalidInputError(
    "NON_FINITE",
    `the projection of tensor "${name}" overflows float32: its numbers are finite but too large to be weights`,
    { tensor: name },
  );
}

const none = new Float32Array(0);

/** Exponent bits of a float32: all set in infinities and NaN, and in nothing else. */
const exponentBits = 0x7f800000;

/**
 * ReLU in place, after the whole sum; Z must be finite. On the bits, for half of Z is negative at random and a branch that
 * is guessed wrong that often takes four times as long: a sign bit spread over the word clears it.
 */
function rectified(z: Float32Array, name: string): Float32Array {
  const words = new Int32Array(z.buffer, z.byteOffset, z.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    if ((word & exponentBits) === exponentBits) throw tooLarge(name);
    words[i] = word & ~(word >> 31);
  }
  return z;
}

function matrixOf(matrices: LayerMatrices, role: TensorRole): StoredMatrix {
  const matrix = matrices[role];
  if (matrix === undefined) throw new InternalError("INTERNAL", `the layer has no tensor for the role ${role}`);
  return matrix;
}

async function toPart(name: string, sum: RunningSum, matrix: StoredMatrix): Promise<StatePart> {
  return { name, rows: sum.rows, columns: sum.columns, values: (await readFinite(sum, matrix)).slice() };
}

function toColumn(name: string, values: Float32Array): StatePart {
  return { name, rows: values.length, columns: 1, values: values.slice() };
}

async function restorePart(name: string, sum: RunningSum, parts: readonly StatePart[]): Promise<void> {
  const part = parts.find((candidate) => candidate.name === name);
  if (part === undefined || part.rows !== sum.rows || part.columns !== sum.columns) {
    throw new CorruptDataError(
      "CORRUPT",
      `the saved state of the upload lacks "${name}" of ${sum.rows} × ${sum.columns}`,
    );
  }
  await sum.restore(part.values);
}

function toBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
