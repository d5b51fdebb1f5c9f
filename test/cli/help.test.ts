import { readFile } from "node:fs/promises";
import test from "ava";
import { runCli } from "./run-cli.js";
import { runInProcess } from "./run-in-process.js";

for (const [command, ...mentions] of [
  [
    "embed",
    "--server",
    "--server-token-file",
    "--local",
    "--private",
    "--texts",
    "--json",
    "--out",
    "--concurrency",
    "Exit codes",
  ],
  ["index", "--list", "--meta", "--metadata", "--again", "--skip-copies", "--fill", "--local", "Exit codes"],
  ["search", "--like", "--unlike", "--where", "--per-base", "--local", "./probestream-store", "Exit codes"],
  ["catalogue", "spaces", "list", "get", "set", "delete", "duplicates", "switch", "drop", "import"],
  ["work", "--queue", "--status", "--retry", "--wait", "--local", "Exit codes"],
  ["inspect", "--experts", "--all", "--json", "Exit codes"],
  ["experts", "--server", "--experts", "--json"],
  [
    "serve",
    "--listen",
    "--store",
    "--text-encoder",
    "--state-dir",
    "--processes",
    "--memory-budget",
    "--receive-window",
    "--token-file",
    "--grace",
  ],
] as const) {
  test(`\`${command} --help\` explains the options and shows examples`, async (t) => {
    // Where the text goes is shown by one.
    const run = command === "embed" ? runCli : runInProcess;
    const { code, stdout, stderr } = await run([command, "--help"]);
    t.is(code, 0);
    t.is(stderr, "");
    for (const mention of mentions) t.true(stdout.includes(mention), mention);
    t.true((stdout.match(new RegExp(`\\$ probestream ${command}\\b`, "g"))?.length ?? 0) >= 3);
  });
}

test("without a command, the help is shown and the exit code says that none was given", async (t) => {
  const { code, stderr } = await runCli([]);
  t.is(code, 2);
  t.regex(stderr, /Commands:/);
});

test("a mistyped command gets a suggestion", async (t) => {
  const { code, stderr } = await runInProcess(["serv"]);
  t.is(code, 2);
  t.is(stderr, "probestream: unknown command 'serv' (Did you mean serve?)\n");
});

test("--version is the package's", async (t) => {
  const { version }: { version: string } = JSON.parse(await readFile("package.json", "utf8"));
  t.deepEqual(await runCli(["--version"]), { code: 0, stdout: `${version}\n`, stderr: "" });
});
