import { existsSync, readFileSync } from "node:fs";
import type { ProjectionReport } from "../bench/projection.js";
import { toMarkdownTable, toSpread } from "../bench/report.js";

// Prints one machine's column: GB/s of weights of Probestream's backends, and of PyTorch's products where it ran.
//
//   node dist/scripts/gpu-table.js BENCH_JSON TORCH_JSON
//
// BENCH_JSON is what `bench projection --json` wrote, TORCH_JSON what `gpu-box/torch_product.py` wrote. The second
// may be missing.

/** What `torch_product.py` writes. */
interface TorchReport {
  readonly versions: string;
  /** Absent where PyTorch or CUDA is. */
  readonly device?: string;
  readonly findings: readonly TorchFinding[];
}

interface TorchFinding {
  readonly rows: number;
  readonly columns: number;
  readonly probeCount: number;
  readonly name: string;
  readonly gigabytes: readonly number[];
  readonly error: number;
}

function readJson<T>(file: string): T {
  const value: T = JSON.parse(readFileSync(file, "utf8"));
  return value;
}

const [benchFile = "bench.json", torchFile = ""] = process.argv.slice(2);
const bench = readJson<ProjectionReport>(benchFile);
const torch = existsSync(torchFile) ? readJson<TorchReport>(torchFile) : undefined;

const machine = `${bench.devices["gpu"] ?? "no GPU"}; ${bench.cpu}, ${bench.cores} cores`;
const toRow = (finding: Omit<TorchFinding, "name">, dtype: string, name: string): string[] => [
  `${finding.rows} × ${finding.columns}`,
  dtype,
  String(finding.probeCount),
  name,
  toSpread(finding.gigabytes, 2),
  finding.error.toExponential(1),
];
const rows = bench.findings.map((finding) => toRow(finding, finding.dtype, finding.name));
for (const finding of torch?.findings ?? []) rows.push(toRow(finding, "F32", finding.name));

console.log(`GB/s of weights, median (smallest to largest), error against float64. ${machine}.\n`);
for (const [name, device] of Object.entries(bench.devices)) console.log(`- ${name}: ${device}`);
console.log(`- torch: ${torch === undefined ? "has not run: PyTorch is not here" : torch.versions}`);
if (torch !== undefined && torch.device === undefined) console.log("- torch cuda: has not run: no CUDA device here");
console.log(`\n${toMarkdownTable(["layer", "dtype", "probes", "what", machine, "error"], rows)}`);
