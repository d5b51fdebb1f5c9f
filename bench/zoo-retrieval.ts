import { basename, dirname, join } from "node:path";
import {
  connect,
  embedFiles,
  findModels,
  openCatalogue,
  openLmdbStore,
  type ProbestreamClient,
  ProbestreamError,
  startServer,
  startTextEncoder,
} from "../src/index.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { runChild } from "./child-process.js";
import { withFolder } from "./fixtures.js";
import { printVerdicts, toMarkdownTable, type Verdict } from "./report.js";
import { mainScript } from "./repository-root.js";

/** Half a unit of the third digit. */
const TOLERANCE = 0.0005;

/** Is a zoo, indexed over gRPC and searched in words, found as well as its authors' code finds it? */
export const zooRetrieval: Bench = {
  summary: "index a labelled zoo over gRPC, search it for each of its concepts: mAP and top-1",
  options: {
    zoo: { help: "folder of split/MODEL/*.safetensors whose headers name `concept` and `split`", fallback: "" },
    expert: { help: "expert folder", fallback: "" },
    "text-encoder": { help: "folder of the expert's text encoder", fallback: "" },
    splits: { help: "splits to search, with commas", fallback: "test,test_holdout" },
    map: { help: "mean average precision wanted of each split, with commas; none: only shown", fallback: "" },
    top1: { help: "top-1 in per cent wanted of each split, with commas; none: only shown", fallback: "" },
    eval: { help: "yes: what `eval` says of the expert is wanted, which `train` must have made", fallback: "no" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(work: string, options: BenchOptions): Promise<boolean> {
  const [zoo, expert, encoderFolder] = ["zoo", "expert", "text-encoder"].map((name) => options.text(name));
  if (!zoo || !expert || !encoderFolder) throw new Error("give --zoo, --expert and --text-encoder");
  const encoder = await startTextEncoder(encoderFolder);
  const store = await openLmdbStore(join(work, "store"));
  const catalogue = openCatalogue(dirname(expert));
  const server = await startServer({ catalogue, store, encoders: [encoder] });
  const client = connect({ target: `${server.host}:${server.port}` });
  try {
    const start = performance.now();
    const count = await indexAll(client, zoo, basename(expert));
    console.error(`${count} models indexed in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    const splits = options.text("splits").split(",");
    const wanted =
      options.text("eval") === "yes"
        ? await evaluate({ expert, zoo, encoder: encoderFolder, cache: join(work, "layers") }, splits)
        : { map: toNumbers(options.text("map")), top1: toNumbers(options.text("top1")) };
    return await report(client, splits, wanted);
  } finally {
    await client.close();
    await server.close();
    await store.close();
    await encoder.dispose();
  }
}

/** Indexes all models under their paths, with what their headers claim; the count. */
async function indexAll(client: ProbestreamClient, zoo: string, expert: string): Promise<number> {
  let count = 0;
  const outcomes = embedFiles(findModels([zoo]), client, {
    experts: [expert],
    index: (model, location) => ({ modelId: location.slice(zoo.length), claims: Object.fromEntries(model.metadata) }),
  });
  for await (const { location, outcome } of outcomes) {
    if (outcome instanceof ProbestreamError) throw new Error(`${location}: ${outcome.message}`, { cause: outcome });
    count++;
  }
  return count;
}

interface Wanted {
  readonly map: readonly number[];
  readonly top1: readonly number[];
}

/** What the command `eval` says of each split. */
async function evaluate(
  { expert, zoo, encoder, cache }: Readonly<Record<"expert" | "zoo" | "encoder" | "cache", string>>,
  splits: readonly string[],
): Promise<Wanted> {
  const args = ["eval", expert, zoo, "--text-encoder", encoder, "--cache", cache, "--json"];
  const [line = ""] = await runChild({ program: process.execPath, args: [mainScript, ...args] });
  const found: EvalJson = JSON.parse(line);
  const own = splits.map((split) => {
    const methods = found.splits.find((one) => one.split === split)?.methods;
    const method = methods?.find((one) => one.method === "expert");
    if (method === undefined) throw new Error(`eval says nothing of the split ${split}`);
    return method;
  });
  return {
    map: own.map(({ meanAveragePrecision }) => meanAveragePrecision.value),
    top1: own.map(({ accuracy }) => 100 * accuracy.value),
  };
}

/** What is read of the JSON of `eval`. */
interface EvalJson {
  readonly splits: readonly {
    readonly split: string;
    readonly methods: readonly {
      readonly method: string;
      readonly accuracy: { readonly value: number };
      readonly meanAveragePrecision: { readonly value: number };
    }[];
  }[];
}

async function report(client: ProbestreamClient, splits: readonly string[], wanted: Wanted): Promise<boolean> {
  const rows: string[][] = [];
  const allConcepts = await readConcepts(client);
  const verdicts: Verdict[] = [];
  for (const [index, split] of splits.entries()) {
    const truth = await readTruth(client, split);
    const concepts = [...new Set(truth.values())].sort();
    const isHeldOut = split.endsWith(heldOut);
    const candidates = allConcepts.get(isHeldOut) ?? concepts;
    const map = await meanAveragePrecision(client, split, truth, concepts);
    const top1 = await topOne(client, truth, candidates);
    const ties = `${top1.least.toFixed(2)} to ${top1.most.toFixed(2)}`;
    const topCells = [`${candidates.length}`, top1.found.toFixed(2), ties];
    rows.push([split, `${truth.size}`, `${concepts.length}`, map.toFixed(4), ...topCells]);
    const [wantedMap, wantedTop1] = [wanted.map[index], wanted.top1[index]];
    if (wantedMap !== undefined) {
      const met = Math.abs(map - wantedMap) <= TOLERANCE;
      verdicts.push([met, `${split}, mAP ${map.toFixed(4)}`, wantedMap.toFixed(4)]);
    }
    if (wantedTop1 !== undefined) {
      const met = wantedTop1 >= top1.least - 100 * TOLERANCE && wantedTop1 <= top1.most + 100 * TOLERANCE;
      verdicts.push([met, `${split}, top-1 ${top1.found.toFixed(2)}, by ties ${ties}`, wantedTop1.toFixed(2)]);
    }
  }
  console.log(
    toMarkdownTable(
      ["split", "models", "concepts", "mAP of text search", "labels to choose from", "top-1, %", "by how ties break"],
      rows,
    ),
  );
  return printVerdicts(verdicts);
}

/** Splits of concepts that no training model has end so. */
const heldOut = "_holdout";

/** All concepts, sorted: those held out (true) and the others (false), which are the labels that models choose from. */
async function readConcepts(client: ProbestreamClient): Promise<ReadonlyMap<boolean, readonly string[]>> {
  const found = new Map([true, false].map((isHeldOut) => [isHeldOut, new Set<string>()]));
  for await (const records of client.exportModels({})) {
    for (const { claims } of records)
      found.get(claims["split"]?.endsWith(heldOut) === true)?.add(claims["concept"] ?? "");
  }
  return new Map([...found].map(([isHeldOut, concepts]) => [isHeldOut, [...concepts].sort()]));
}

/** The concept of each model of a split, by model id. */
async function readTruth(client: ProbestreamClient, split: string): Promise<ReadonlyMap<string, string>> {
  const filter = { field: "claim.split", op: "eq", value: split } as const;
  const truth = new Map<string, string>();
  let pageToken = "";
  do {
    const page = await client.listModels({ filter, pageSize: 1000, pageToken });
    for (const { id, claims } of page.records) truth.set(id, claims["concept"] ?? "");
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return truth;
}

/** Each concept ranks all models of the split; the mean of the average precisions. */
async function meanAveragePrecision(
  client: ProbestreamClient,
  split: string,
  truth: ReadonlyMap<string, string>,
  labels: readonly string[],
): Promise<number> {
  const filter = { field: "claim.split", op: "eq", value: split } as const;
  const queries = labels.map((text) => ({ positives: [{ text }], k: truth.size, filter }));
  const answers = await client.retrieve(queries);
  let sum = 0;
  for (const [index, label] of labels.entries()) {
    const answer = answers[index];
    if (answer === undefined || answer instanceof Error) throw new Error(`"${label}": ${answer?.message}`);
    if (answer.hits.length !== truth.size) throw new Error(`"${label}" ranks ${answer.hits.length} of ${truth.size}`);
    sum += averagePrecision(answer.hits.map(({ modelId }) => truth.get(modelId) === label));
  }
  return sum / labels.length;
}

function averagePrecision(isRelevant: readonly boolean[]): number {
  let found = 0;
  let sum = 0;
  for (const [index, relevant] of isRelevant.entries()) {
    if (!relevant) continue;
    found++;
    sum += found / (index + 1);
  }
  return sum / found;
}

/** Labels nearer than this are tied: two with the same words in another order have one text vector. */
const TIE = 1e-6;

/** Shares of models, in per cent, whose best label is their concept: all ties lost, as they were broken, all ties won. */
async function topOne(
  client: ProbestreamClient,
  truth: ReadonlyMap<string, string>,
  labels: readonly string[],
): Promise<{ readonly least: number; readonly found: number; readonly most: number }> {
  const ids = [...truth.keys()];
  const answers = await client.classify({ models: ids.map((modelId) => ({ modelId })), labels });
  const counts = { least: 0, found: 0, most: 0 };
  for (const [index, id] of ids.entries()) {
    const answer = answers[index];
    if (answer === undefined || answer instanceof Error) throw new Error(`${id}: ${answer?.message}`);
    const best = answer.labels[0]?.cosine ?? 0;
    const tied = answer.labels.filter(({ cosine = -1 }) => best - cosine <= TIE).map(({ label }) => label);
    const concept = truth.get(id) ?? "";
    if (answer.labels[0]?.label === concept) counts.found++;
    if (tied.includes(concept)) counts.most++;
    if (tied.length === 1 && tied[0] === concept) counts.least++;
  }
  const share = (count: number): number => (100 * count) / ids.length;
  return { least: share(counts.least), found: share(counts.found), most: share(counts.most) };
}

function toNumbers(list: string): readonly number[] {
  return list === "" ? [] : list.split(",").map(Number);
}
