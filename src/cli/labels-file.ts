import { ProbestreamError } from "../errors/probestream-error.js";
import { readLabelFile } from "../training/datasets/read-label-file.js";
import type { LabelSource } from "../training/datasets/scan-dataset.js";
import { usageError } from "./exit-codes.js";

/** The options that say where labels come from. */
export interface LabelOptions {
  readonly labelKey?: string;
  readonly labels?: string;
  readonly separator?: string;
}

/** Reads what `--label-key` and `--labels` say; a file that cannot be read is an error of the command line. */
export async function readLabelSource(options: LabelOptions, signal: AbortSignal): Promise<LabelSource> {
  const { labelKey, labels } = options;
  const separator = options.separator === undefined ? {} : { separator: options.separator };
  if (labelKey !== undefined && labels === undefined) return { labelKey, ...separator };
  if (labelKey !== undefined || labels === undefined) {
    const found = labels === undefined ? "neither is there" : "both are there";
    throw usageError(`labels come from --label-key or from --labels, one of the two; ${found}`);
  }
  const labelFile = await readLabelFile(labels, { ...separator, signal }).catch((error: unknown) => {
    throw error instanceof ProbestreamError ? usageError(`--labels: ${error.message}`) : error;
  });
  return { labelFile };
}
