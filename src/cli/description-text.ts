import { toLabel } from "../experts/catalogue.js";
import type { ForeignLayer, LoraPair } from "../weights/lora-pairs.js";
import type { Fit, ModelDescription, SizedTensor } from "./model-description.js";
import { formatBytes } from "./size.js";
import { keepEnd, toPlain, toTable } from "./table.js";

/** Longest metadata value shown; training logs take megabytes. */
const maxValueWidth = 100;

/** A description as JSON, on one line. */
export function toDescriptionJson(description: ModelDescription): string {
  const { metadata, lora, ...rest } = description;
  return JSON.stringify({ ...rest, lora: lora.map(toLoraJson), metadata: Object.fromEntries(metadata) });
}

/** A description for people. */
export function toDescriptionLines(description: ModelDescription, showAll: boolean): string[] {
  const { file, tensors, bytes, parameters, lora, unpaired, foreign, metadata, experts } = description;
  const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].join(", ");
  const facts = `${tensors.length} tensors, ${parameters.toLocaleString("en")} parameters, ${formatBytes(bytes)}, ${dtypes || "empty"}`;
  return [
    toPlain(file),
    `  ${toPlain(facts)}`,
    ...section(
      "metadata",
      [...metadata].map(([key, value]) => toPlain(`${key}: ${shorten(value)}`)),
    ),
    ...section(`LoRA layers (${lora.length})`, lora.length === 0 ? [] : toLoraLines(lora)),
    ...section("LoRA factors without a partner that fits", unpaired.map(toPlain)),
    ...section(`layers of adapters that are not read (${foreign.length})`, toForeignLines(foreign)),
    ...section(showAll ? "tensors" : "tensors (--all lists each)", toTensorLines(tensors, showAll)),
    ...section("experts", experts.map(toFitLine)),
    "",
  ];
}

/** Tensors whose names differ in their numbers only, and that are alike, share a line. */
function toTensorLines(tensors: readonly SizedTensor[], showAll: boolean): string[] {
  const groups = new Map<string, SizedTensor[]>();
  for (const tensor of tensors) {
    const pattern = showAll ? tensor.name : tensor.name.replace(/\d+/g, "*");
    const key = JSON.stringify([pattern, tensor.dtype, tensor.shape]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [tensor]);
    else group.push(tensor);
  }
  const rows = [...groups.values()].map((group) => {
    const [first] = group;
    const name = group.length > 1 ? first?.name.replace(/\d+/g, "*") : first?.name;
    const bytes = group.reduce((sum, tensor) => sum + tensor.bytes, 0);
    const shape = `[${first?.shape.join(", ")}]`;
    return [keepEnd(name ?? "", 80), first?.dtype ?? "", shape, `${group.length}`, formatBytes(bytes)];
  });
  if (rows.length === 0) return [];
  const columns = [{ title: "name" }, { title: "dtype" }, { title: "shape" }, right("count"), right("size")];
  return toTable(columns, rows);
}

function toLoraLines(pairs: readonly LoraPair[]): string[] {
  const rows = pairs.map(({ module, rank, outWidth, inWidth, down, alpha, scale }) => [
    keepEnd(module, 80),
    String(rank),
    `${outWidth} x ${inWidth}`,
    down.dtype,
    toScaleCell(alpha !== undefined, scale),
  ]);
  return toTable([{ title: "module" }, right("rank"), right("shape"), { title: "dtype" }, { title: "scale" }], rows);
}

/** Of an alpha the header does not say the number. */
function toScaleCell(hasAlpha: boolean, scale: number | undefined): string {
  if (hasAlpha) return "alpha / rank";
  return scale === undefined ? "1, none is given" : `${Number(scale.toPrecision(6))}, configured`;
}

/** A line per kind, with its first layer. */
function toForeignLines(layers: readonly ForeignLayer[]): string[] {
  const kinds = [...new Set(layers.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const [first, ...others] = layers.filter((layer) => layer.kind === kind);
    const more = others.length === 0 ? "" : `, and ${others.length} more`;
    return toPlain(`${kind}: ${first?.module} (${first?.tensor})${more}`);
  });
}

function toFitLine({ expert, spaceId, fits, reason, message }: Fit): string {
  const label = toLabel({ name: expert, spaceId });
  return toPlain(fits ? `${label} fits` : `${label} does not fit: ${reason}: ${message}`);
}

function toLoraJson({ module, rank, outWidth, inWidth, down, up, alpha, scale }: LoraPair): object {
  const names = { down: down.name, up: up.name, ...(alpha !== undefined && { alpha: alpha.name }) };
  const told = scale === undefined ? names : { ...names, scale };
  return { module, rank, shape: [outWidth, inWidth], dtype: down.dtype, ...told };
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`  ${title}`, ...lines.map((line) => `    ${line}`)];
}

function shorten(value: string): string {
  return value.length <= maxValueWidth ? value : `${value.slice(0, maxValueWidth)}… (${value.length} characters)`;
}

function right(title: string): { title: string; align: "right" } {
  return { title, align: "right" };
}
