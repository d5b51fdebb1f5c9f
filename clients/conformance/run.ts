import { join } from "node:path";
import { parseArgs } from "node:util";
import { toMarkdownTable } from "../../bench/report.js";
import { isMainModule, repositoryRoot } from "../../bench/repository-root.js";
import { createCaseServers } from "./case-servers.js";
import { readCases } from "./conformance-case.js";
import { createDriver, driverCommands, hasDriver } from "./drivers.js";
import { type CaseVerdict, runCase } from "./run-cases.js";
import { createWorld } from "./world.js";

/** What to run. */
export interface ConformanceOptions {
  /** Languages; empty: all that there are. */
  readonly drivers?: readonly string[];
  /** Names of cases, in which `*` stands for anything; absent: all. */
  readonly cases?: string | undefined;
  /** Hears of each verdict. */
  readonly onVerdict?: (verdict: CaseVerdict) => void;
}

/** Runs cases in all languages, one after another, against the real server. */
export async function runConformance(options: ConformanceOptions = {}): Promise<readonly CaseVerdict[]> {
  const { drivers: wanted = [], cases: pattern = "*", onVerdict = () => {} } = options;
  const unknown = wanted.find((name) => !driverCommands.some(({ language }) => language === name));
  if (unknown !== undefined) throw new Error(`no driver ${unknown}`);
  const isWanted = new RegExp(`^${pattern.split("*").map(escapePattern).join(".*")}$`);
  const cases = (await readCases(join(repositoryRoot, "clients/conformance/cases"))).filter(({ name }) =>
    isWanted.test(name),
  );
  const drivers = driverCommands
    .filter((command) => (wanted.length === 0 ? hasDriver(command) : wanted.includes(command.language)))
    .map(createDriver);
  const world = await createWorld();
  const servers = await createCaseServers(world);
  const verdicts: CaseVerdict[] = [];
  try {
    for (const driver of drivers) {
      for (const test of cases) {
        const verdict = await runCase(test, driver, world, servers);
        verdicts.push(verdict);
        onVerdict(verdict);
      }
      await driver.stop();
    }
    return verdicts;
  } finally {
    await Promise.all(drivers.map((driver) => driver.stop()));
    await servers.stop();
    await world.remove();
  }
}

/** Languages × cases, as a table. */
export function toMatrix(verdicts: readonly CaseVerdict[]): string {
  const languages = [...new Set(verdicts.map(({ language }) => language))];
  const names = [...new Set(verdicts.map(({ name }) => name))];
  const marks = { passed: "pass", failed: "FAIL", "left out": "left out", "not offered": "–" };
  const rows = names.map((name) => [
    name,
    ...languages.map((language) => {
      const found = verdicts.find((one) => one.name === name && one.language === language);
      return found === undefined ? "" : marks[found.verdict];
    }),
  ]);
  const count = (language: string, verdict: CaseVerdict["verdict"]): number =>
    verdicts.filter((one) => one.language === language && one.verdict === verdict).length;
  const sums = languages.map((language) => {
    const passed = count(language, "passed");
    return `${passed} of ${passed + count(language, "failed")}`;
  });
  return toMarkdownTable(["case", ...languages], [...rows, ["passed", ...sums]]);
}

function escapePattern(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
}

/** `node run.js [--driver NAME]... [--case PATTERN] [--strict] [--verbose]`. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      driver: { type: "string", multiple: true, default: [] },
      case: { type: "string" },
      strict: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
    },
  });
  const verdicts = await runConformance({
    drivers: values.driver,
    cases: values.case,
    onVerdict: ({ name, language, verdict, why, ms }) => {
      if (values.verbose || verdict === "failed") {
        console.error(`${language}: ${name}: ${verdict}, ${ms.toFixed(0)} ms${why === "" ? "" : `: ${why}`}`);
      }
    },
  });
  console.log(toMatrix(verdicts));
  const leftOut = new Set(
    verdicts.filter(({ verdict }) => verdict === "left out").map(({ language, why }) => `${language}: ${why}`),
  );
  for (const line of leftOut) console.log(`left out, ${line}`);
  const isBad = verdicts.some(({ verdict }) => verdict === "failed" || (values.strict && verdict === "left out"));
  if (isBad || verdicts.length === 0) process.exitCode = 1;
}

if (isMainModule(import.meta.url)) await main();
