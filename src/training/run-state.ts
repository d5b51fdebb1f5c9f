import { CorruptDataError, InvalidInputError, NotFoundError } from "../errors/probestream-error.js";
import { replaceFile } from "../system/replace-file.js";
import { readTensors } from "../weights/safetensors-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../weights/safetensors-writer.js";
import { toWriteError } from "./to-write-error.js";

/** All that training needs to go on after an epoch as if it had never stopped. */
export interface RunState {
  /** SHA-256, hex, of settings and data: a run goes on only with its own. */
  readonly fingerprint: string;
  /** Epochs done, steps, the state of the random order, and reports: whatever is no array of float32 numbers. */
  readonly facts: unknown;
  /** Float32 numbers by name. */
  readonly arrays: ReadonlyMap<string, Float32Array>;
}

const format = "probestream-run/1";

/**
 * Writes a run's state: the file holds the old one or the new one, whenever the process ends.
 *
 * Memory: the state twice.
 */
export async function writeRunState(path: string, { fingerprint, facts, arrays }: RunState): Promise<void> {
  const tensors = [...arrays].map(
    ([name, values]): TensorData => ({ name, dtype: "F32", shape: [values.length], bytes: float32Bytes(values) }),
  );
  const bytes = encodeSafetensors(tensors, { format, fingerprint, facts: JSON.stringify(facts) });
  await replaceFile(path, bytes).catch((error: unknown) => {
    throw toWriteError(error, path);
  });
}

/**
 * Reads the state of the run with this fingerprint; undefined if there is none yet.
 *
 * @throws InvalidInputError `FIELD_INVALID` if the file holds another run's state; CorruptDataError `CORRUPT` if it is no
 * state at all.
 */
export async function readRunState(path: string, fingerprint: string): Promise<RunState | undefined> {
  const found = await readTensors(path).catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  const { tensors, metadata } = found;
  const facts = metadata.get("facts");
  if (metadata.get("format") !== format || facts === undefined) {
    throw new CorruptDataError("CORRUPT", `${path} is not the state of a training run; delete it to start anew`, {
      path,
    });
  }
  if (metadata.get("fingerprint") !== fingerprint) {
    throw new InvalidInputError(
      "FIELD_INVALID",
      `${path} is the state of a run with other settings or data; delete it to start anew, or give another path`,
      { path },
    );
  }
  const arrays = new Map(
    [...tensors.values()].map(({ name, bytes }) => [name, new Float32Array(new Uint8Array(bytes).buffer)]),
  );
  return { fingerprint, facts: JSON.parse(facts), arrays };
}
