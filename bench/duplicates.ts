import { join } from "node:path";
import { type Duplicates, findDuplicates } from "../src/trees/identity/find-duplicates.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type Copy, copies, writeCopy } from "./copies.js";
import { draw } from "./disturbances.js";
import { withFolder } from "./fixtures.js";
import { printVerdicts, toMarkdownTable } from "./report.js";
import { repositoryRoot } from "./repository-root.js";
import { openTreeZoo, type ZooModel } from "./tree-zoo.js";

/** Are copies found among fine-tunes, and fine-tunes not taken for copies? */
export const duplicates: Bench = {
  summary: "copies of models found, missed and wrongly found among the models of a mixture of trees",
  options: {
    count: { help: "models of each tree that is made for it, 1 to 500", fallback: "100" },
    "demo-count": { help: "models of each of the demo's two trees", fallback: "300" },
    copies: { help: "models that each kind of copy is made of, full models and LoRAs each", fallback: "20" },
    cache: { help: "folder that the trees are kept in", fallback: join(repositoryRoot, ".cache", "trees") },
  },
  run: measure,
};

/** A copy that was made. */
interface MadeCopy {
  readonly copy: Copy;
  readonly original: string;
  readonly location: string;
}

async function measure(options: BenchOptions): Promise<boolean> {
  const sizes = { count: options.count("count"), demoCount: options.count("demo-count") };
  const models = await openTreeZoo(options.text("cache"), sizes, (line) => console.error(line));
  return withFolder(async (folder) => {
    const made = await makeCopies(models, folder, options.count("copies"));
    const locations = [...models.map(({ location }) => location), ...made.map(({ location }) => location)];
    let compared = "";
    const startedAt = performance.now();
    const found = await findDuplicates(locations, {
      onStage: (stage, count) => {
        compared += stage === "hashing" ? `${count} models hashed` : `, ${count} pairs compared`;
      },
    });
    const seconds = (performance.now() - startedAt) / 1000;
    const { rows, missed, wrong } = judge(models, made, found);
    const heading = ["what was done", "kind", "made", "found", "as that kind", "missed", "taken for its model"];
    console.log(toMarkdownTable(heading, rows));
    console.log(
      `\n- ${locations.length} models in ${seconds.toFixed(1)} s: ${compared}; ${found.skipped.length} skipped`,
    );
    const wanted = made.filter(({ copy }) => copy.expected !== undefined).length;
    return printVerdicts([
      [missed === 0, `${missed} of ${wanted} copies missed`, "0"],
      [wrong === 0, `${wrong} groups with models that are not the same`, "0"],
    ]);
  });
}

async function makeCopies(models: readonly ZooModel[], folder: string, count: number): Promise<MadeCopy[]> {
  const made: MadeCopy[] = [];
  for (const [at, copy] of copies.entries()) {
    for (const kind of ["dense", "loras"] as const) {
      if (copy.kind !== "both" && (copy.kind === "lora") !== (kind === "loras")) continue;
      const own = models.filter(({ tree }) => tree.kind === kind);
      for (const [place, { location: original }] of draw(own, count, 1000 + at).entries()) {
        const path = join(folder, `${at}-${kind}`, `${place}.safetensors`);
        made.push({ copy, original, location: await writeCopy(copy, original, path, 1000 * at + place) });
      }
    }
  }
  return made;
}

function judge(models: readonly ZooModel[], made: readonly MadeCopy[], { groups }: Duplicates) {
  const groupOf = new Map(groups.flatMap((group, at) => group.models.map(({ location }) => [location, at] as const)));
  const linkOf = new Map(groups.flatMap((group) => group.models.map((model) => [model.location, model.link] as const)));
  // A fine-tune is a model of its own; a copy is its original.
  const truth = new Map(models.map(({ location }) => [location, location]));
  for (const { copy, original, location } of made)
    truth.set(location, copy.expected === undefined ? location : original);
  const wrong = groups.filter((group) => new Set(group.models.map(({ location }) => truth.get(location))).size > 1);
  const isFound = ({ original, location }: MadeCopy): boolean => {
    const group = groupOf.get(location);
    return group !== undefined && group === groupOf.get(original);
  };
  let missed = 0;
  const rows = copies.flatMap((copy) =>
    (["dense", "loras"] as const).flatMap((kind) => {
      const own = made.filter((each) => each.copy === copy && each.location.includes(`-${kind}/`));
      if (own.length === 0) return [];
      const found = own.filter(isFound);
      const right = found.filter(({ original, location }) => {
        const links = [linkOf.get(location), linkOf.get(original)];
        return links.some((link) => link?.kind === copy.expected);
      });
      if (copy.expected !== undefined) missed += own.length - found.length;
      const counts =
        copy.expected === undefined
          ? [own.length, "", "", "", found.length]
          : [own.length, found.length, right.length, own.length - found.length, ""];
      return [[copy.title, kind === "dense" ? "full" : "LoRA", ...counts.map(String)]];
    }),
  );
  return { rows, missed, wrong: wrong.length };
}
