import { createHash } from "node:crypto";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import { describeCheckpoint, type Objective, readCheckpoint } from "../../src/experts/checkpoint.js";
import { maxCheckpointBytes } from "../../src/experts/stream-parameters.js";
import { type Dtype, dtypeBytes } from "../../src/linalg/dtype.js";
import { widen } from "../../src/linalg/widen.js";
import { encodeSafetensors, type TensorData } from "../../src/weights/safetensors-writer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createExpertParameters, toStateDict, toTensor, toVector } from "../helpers/expert-folder.js";
import { randomBytes, randomMatrix, randomValues } from "../helpers/random.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const sizes = { rows: 9, columns: 7 };

async function write(
  t: ExecutionContext,
  tensors: readonly TensorData[],
  metadata: Record<string, string> = {},
): Promise<string> {
  const path = join(await createTemporaryFolder(t), "expert.safetensors");
  await writeFile(path, encodeSafetensors(tensors, metadata));
  return path;
}

for (const objective of ["zeroshot", "classification"] as const) {
  test(`a ${objective} state dict gives its parameters`, async (t) => {
    const parameters = createExpertParameters({ ...sizes, objective });
    const checkpoint = await readCheckpoint(await write(t, toStateDict(parameters)), objective);
    const { digest, ...rest } = checkpoint;
    t.deepEqual(rest, parameters);
    t.is(digest.byteLength, 32);
  });
}

test("the digest does not depend on order, metadata or element type", async (t) => {
  const parameters = createExpertParameters(sizes);
  // Numbers that bfloat16 holds exactly.
  const tensors = toStateDict(parameters).map((tensor) => {
    const bytes = tensor.bytes.slice();
    for (let i = 0; i < bytes.length; i += 4) bytes.fill(0, i, i + 2);
    return { ...tensor, bytes };
  });
  const narrowed = tensors.map(({ name, shape, bytes }) => {
    const half = new Uint8Array(bytes.length / 2);
    for (let i = 0; i < half.length; i++) half[i] = bytes[Math.floor(i / 2) * 4 + 2 + (i % 2)] as number;
    return { name, shape, dtype: "BF16", bytes: half };
  });
  const plain = await readCheckpoint(await write(t, tensors), "zeroshot");
  const turned = await readCheckpoint(await write(t, [...tensors].reverse(), { epoch: "3" }), "zeroshot");
  const short = await readCheckpoint(await write(t, narrowed), "zeroshot");
  t.deepEqual(turned.digest, plain.digest);
  t.deepEqual(short, plain);
});

test("the digest changes with any parameter", async (t) => {
  const parameters = createExpertParameters(sizes);
  const tensors = toStateDict(parameters);
  const digests = new Set<string>();
  for (const changed of [undefined, ...tensors.keys()]) {
    const one = tensors.map((tensor, i) =>
      i === changed ? { ...tensor, bytes: tensor.bytes.slice().fill(1, 0, 1) } : tensor,
    );
    const { digest } = await readCheckpoint(await write(t, one), "zeroshot");
    digests.add(Buffer.from(digest).toString("hex"));
  }
  t.is(digests.size, tensors.length + 1);
});

/** Seeded finite numbers of a type. */
function randomNumbers(dtype: Dtype, count: number, seed: number): Uint8Array {
  if (dtype === "F64") return new Uint8Array(Float64Array.from(randomValues(count, seed), (x) => x + 1e-9).buffer);
  if (dtype === "F32") return new Uint8Array(randomValues(count, seed).buffer);
  const bytes = randomBytes(count * dtypeBytes[dtype], seed);
  // Without its highest bit an exponent is that of no infinity and no NaN.
  for (let i = 1; i < bytes.length; i += 2) bytes[i] = (bytes[i] as number) & 0b1011_1111;
  return bytes;
}

/** The digest as it is defined, of a state dict in the fixed order. */
function toExpectedDigest(tensors: readonly TensorData[]): Uint8Array {
  const hash = createHash("sha256");
  for (const { name, dtype, shape, bytes } of tensors) {
    const [rows, columns = 1] = shape as [number, number?];
    const values = new Float32Array(rows * columns);
    widen(bytes, dtype as Dtype, values);
    hash.update(`${name}\0${rows}\0${columns}\0`).update(new Uint8Array(values.buffer));
  }
  return hash.digest();
}

const oddSizes = {
  "one number each": { rows: 1, columns: 1, probeCount: 1, projectionWidth: 1, representationWidth: 1, headWidth: 1 },
  "odd sizes": { rows: 13, columns: 7, probeCount: 5, projectionWidth: 3, representationWidth: 11, headWidth: 9 },
  "more than a piece": { rows: 3, columns: 131_073, probeCount: 5, projectionWidth: 1 },
};
for (const dtype of ["F32", "F16", "BF16", "F64"] as const) {
  for (const [title, odd] of Object.entries(oddSizes)) {
    test(`reading and describing a state dict of ${dtype} with ${title} give the digest as it is defined`, async (t) => {
      const tensors = toStateDict(createExpertParameters(odd)).map(({ name, shape }, seed) => {
        const count = shape.reduce((product, extent) => product * extent, 1);
        return { name, dtype, shape, bytes: randomNumbers(dtype, count, seed) };
      });
      const path = await write(t, tensors);
      const read = await readCheckpoint(path, "zeroshot");
      const described = await describeCheckpoint(path, "zeroshot");
      t.deepEqual(new Uint8Array(read.digest), new Uint8Array(toExpectedDigest(tensors)));
      t.deepEqual(described.digest, read.digest);
      const { u, v, encoder, head } = described;
      for (const [extent, matrix] of [
        [u, read.u],
        [v, read.v],
        [encoder.weight, read.encoder.weight],
        [head.weight, read.head.weight],
      ] as const) {
        t.deepEqual(extent, { rows: matrix.rows, columns: matrix.columns });
      }
    });
  }
}

test("a number that is not finite is found behind the first piece as well", async (t) => {
  const tensors = toStateDict(createExpertParameters(oddSizes["more than a piece"]));
  const [probes, ...others] = tensors;
  if (probes === undefined) throw new Error("the state dict is empty");
  const bytes = probes.bytes.slice();
  bytes.fill(0xff, bytes.length - 4);
  const path = await write(t, [{ ...probes, bytes }, ...others]);
  for (const look of [readCheckpoint, describeCheckpoint]) {
    await assertRefused(t, () => look(path, "zeroshot"), {
      kind: "invalid-input",
      reason: "NON_FINITE",
      message: `"probes.weight" of ${path} holds NaN or infinity`,
      facts: { tensor: "probes.weight" },
    });
  }
});

test("a state dict of more than 4 GiB is not read", async (t) => {
  const path = await write(t, toStateDict(createExpertParameters(sizes)));
  await truncate(path, maxCheckpointBytes + 1);
  await assertRefused(t, () => describeCheckpoint(path, "zeroshot"), {
    kind: "limit-exceeded",
    reason: "LIMIT_EXCEEDED",
    message: `${path} has 4294967297 bytes; an expert's state dict may have 4294967296`,
  });
});

test("reading stops when its signal is aborted", async (t) => {
  const path = await write(t, toStateDict(createExpertParameters(sizes)));
  await t.throwsAsync(describeCheckpoint(path, "zeroshot", AbortSignal.abort(new Error("enough"))), {
    message: "enough",
  });
});

const names = {
  "probes.weight": "zeroshot",
  "shared_probe_proj.weight": "zeroshot",
  "per_probe_encoders.weight": "zeroshot",
  "per_probe_encoders.bias": "zeroshot",
  "regression_head.weight": "zeroshot",
  "regression_head.bias": "zeroshot",
  "classification_head.weight": "classification",
  "classification_head.bias": "classification",
} as const satisfies Record<string, Objective>;
for (const [name, objective] of Object.entries(names)) {
  test(`a state dict without ${name} is refused`, async (t) => {
    const tensors = toStateDict(createExpertParameters({ ...sizes, objective }));
    const path = await write(
      t,
      tensors.filter((tensor) => tensor.name !== name),
    );
    await assertRefused(t, () => readCheckpoint(path, objective), {
      kind: "invalid-input",
      reason: "SHAPE_MISMATCH",
      message: `${path} has no tensor "${name}"; an expert's weights are a ProbeX state dict under the authors' names`,
      facts: { tensor: name },
    });
  });
}

const wrong: readonly (readonly [
  title: string,
  objective: Objective,
  tensor: TensorData,
  reason: ErrorReason,
  message: RegExp,
])[] = [
  [
    "probes of three dimensions",
    "zeroshot",
    { ...toTensor("probes.weight", randomMatrix(7, 4, 1)), shape: [7, 2, 2] },
    "SHAPE_MISMATCH",
    /"probes\.weight" of .* has shape \[7, 2, 2\]; it must have 2 dimensions of at least 1/,
  ],
  [
    "a bias of two dimensions",
    "zeroshot",
    { ...toVector("per_probe_encoders.bias", randomValues(6, 1)), shape: [6, 1] },
    "SHAPE_MISMATCH",
    /"per_probe_encoders\.bias" of .* has shape \[6, 1\]; it must have 1 dimensions of at least 1/,
  ],
  [
    "no probes at all",
    "zeroshot",
    { name: "probes.weight", dtype: "F32", shape: [7, 0], bytes: new Uint8Array(0) },
    "SHAPE_MISMATCH",
    /has shape \[7, 0\]/,
  ],
  [
    "integer weights",
    "zeroshot",
    { name: "probes.weight", dtype: "I32", shape: [7, 4], bytes: new Uint8Array(112) },
    "DTYPE_UNSUPPORTED",
    /"probes\.weight" of .* is I32; an expert's weights must be F32, F16, BF16 or F64/,
  ],
  [
    "NaN among the parameters",
    "zeroshot",
    toVector("per_probe_encoders.bias", Float32Array.of(0, 1, 2, Number.NaN, 4, 5)),
    "NON_FINITE",
    /"per_probe_encoders\.bias" of .* holds NaN or infinity/,
  ],
  [
    "infinity after widening",
    "zeroshot",
    {
      name: "regression_head.bias",
      dtype: "F64",
      shape: [6],
      bytes: new Uint8Array(new Float64Array(6).fill(1e300).buffer),
    },
    "NON_FINITE",
    /"regression_head\.bias" of .* holds NaN or infinity/,
  ],
  [
    "encoders for other probes",
    "zeroshot",
    toTensor("per_probe_encoders.weight", randomMatrix(6, 13, 1)),
    "SHAPE_MISMATCH",
    /columns of per_probe_encoders\.weight \(r_U · r_V\) is 13, the other parameters want 12/,
  ],
  [
    "a bias of another length",
    "zeroshot",
    toVector("per_probe_encoders.bias", randomValues(5, 1)),
    "SHAPE_MISMATCH",
    /length of per_probe_encoders\.bias \(r_T\) is 5, the other parameters want 6/,
  ],
  [
    "a text head for other representations",
    "zeroshot",
    toTensor("regression_head.weight", randomMatrix(7, 5, 1)),
    "SHAPE_MISMATCH",
    /length of regression_head\.bias is 6, the other parameters want 7/,
  ],
  [
    "a label head for other representations",
    "classification",
    toTensor("classification_head.weight", randomMatrix(5, 7, 1)),
    "SHAPE_MISMATCH",
    /columns of classification_head\.weight \(r_T\) is 7, the other parameters want 6/,
  ],
];
for (const [title, objective, tensor, reason, message] of wrong) {
  test(`a state dict with ${title} is refused`, async (t) => {
    const tensors = toStateDict(createExpertParameters({ ...sizes, objective }));
    const path = await write(
      t,
      tensors.map((one) => (one.name === tensor.name ? tensor : one)),
    );
    await assertRefused(t, () => readCheckpoint(path, objective), { kind: "invalid-input", reason, message });
  });
}
