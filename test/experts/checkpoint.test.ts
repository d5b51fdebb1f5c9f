import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import { type Objective, readCheckpoint } from "../../src/experts/checkpoint.js";
import { encodeSafetensors, type TensorData } from "../../src/weights/safetensors-writer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createExpertParameters, toStateDict, toTensor, toVector } from "../helpers/expert-folder.js";
import { randomMatrix, randomValues } from "../helpers/random.js";
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
