import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import test from "ava";

/** Rooms of src/ and the floor each is on, as CONTRIBUTING.md lists them. */
const floors: Readonly<Record<string, number>> = {
  errors: 0,
  linalg: 1,
  onnx: 1,
  system: 1,
  weights: 2,
  compute: 2,
  text: 2,
  vectors: 2,
  projection: 3,
  experts: 3,
  trees: 3,
  training: 4,
  search: 4,
  retrieval: 4,
  rpc: 5,
  cli: 6,
};
const rooms = Object.keys(floors);

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
}

/** Lints files (path to source) in a folder of their own under this repository's biome.json. */
async function lint(files: Readonly<Record<string, string>>): Promise<readonly Finding[]> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "floors-")));
  try {
    for (const name of ["biome.json", ".gitignore"]) await cp(name, join(folder, name));
    for (const [path, source] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), source);
    }
    const biome = join(process.cwd(), "node_modules/@biomejs/biome/bin/biome");
    const output = await new Promise<string>((done, fail) => {
      const args = [biome, "lint", "--reporter=github", "--max-diagnostics=none"];
      execFile(process.execPath, args, { cwd: folder }, (error, stdout, stderr) => {
        // Exit code 1 means findings; anything else, that the linter itself could not work.
        if (error !== null && error.code !== 1) fail(new Error(stderr, { cause: error }));
        else if (/::error title=(?!lint\/)/.test(stdout)) fail(new Error(stdout));
        else done(stdout);
      });
    });
    const pattern = /^::error title=(lint\/\w+\/\w+),file=([^,]+),line=(\d+),/gm;
    return [...output.matchAll(pattern)].map(([, rule = "", file = "", line]) => ({
      rule,
      file: relative(folder, resolve(folder, file)),
      line: Number(line),
    }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lints import statements as they stand in files, all at once; the result is the specifiers that were refused in each. */
async function refusedIn(
  files: Readonly<Record<string, readonly string[]>>,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const toSource = (specifiers: readonly string[]): string =>
    specifiers.map((specifier, i) => `export { x as x${i} } from "${specifier}";\n`).join("");
  const findings = await lint(
    Object.fromEntries(Object.entries(files).map(([path, specifiers]) => [path, toSource(specifiers)])),
  );
  const toRefused = (path: string, specifiers: readonly string[]): readonly string[] => {
    const refused = findings.filter(({ file, rule }) => file === path && rule === "lint/style/noRestrictedImports");
    const lines = [...new Set(refused.map(({ line }) => line))].sort((one, other) => one - other);
    return lines.map((line) => specifiers[line - 1] ?? "?");
  };
  return Object.fromEntries(Object.entries(files).map(([path, specifiers]) => [path, toRefused(path, specifiers)]));
}

/** What is made of each room, under the path of a file in it. */
const inEachRoom = <T>(make: (room: string) => T): Readonly<Record<string, T>> =>
  Object.fromEntries(rooms.map((room) => [`src/${room}/a.ts`, make(room)]));

test("a room may import from the floors below it only", async (t) => {
  const deeper = (room: string): string => `src/${room}/deeper/a.ts`;
  const toDeeper = <T>(make: (room: string) => T) =>
    Object.fromEntries(rooms.map((room) => [deeper(room), make(room)]));
  const of = (up: string, others: readonly string[]) => others.map((other) => `${up}/${other}/b.js`);
  const mayNot = (room: string): readonly string[] =>
    rooms.filter((other) => other !== room && (floors[other] ?? Number.NaN) >= (floors[room] ?? Number.NaN));
  t.deepEqual(await refusedIn({ ...inEachRoom(() => of("..", rooms)), ...toDeeper(() => of("../..", rooms)) }), {
    ...inEachRoom((room) => of("..", mayNot(room))),
    ...toDeeper((room) => of("../..", mayNot(room))),
  });
});

test("only rpc/ knows gRPC and generated messages, but onnx/ knows those of ONNX", async (t) => {
  const wire = ["../gen/probestream/v1/types_pb.js", "@grpc/grpc-js", "@grpc/reflection", "grpc-health-check"];
  const specifiers = [...wire, "../gen/onnx/onnx_pb.js"];
  t.deepEqual(
    await refusedIn(inEachRoom(() => specifiers)),
    inEachRoom((room) => (room === "rpc" ? [] : room === "onnx" ? wire : specifiers)),
  );
});

test("barrels are for users: a room imports the declaring file", async (t) => {
  t.deepEqual(
    await refusedIn(inEachRoom(() => ["../index.js", "probestream", "./b.js"])),
    inEachRoom(() => ["../index.js", "probestream"]),
  );
});

test("the library's face shows neither the command line nor generated code", async (t) => {
  const specifiers = ["./rpc/a.js", "./cli/main.js", "./gen/probestream/v1/types_pb.js", "@grpc/grpc-js"];
  t.deepEqual(await refusedIn({ "src/index.ts": specifiers }), { "src/index.ts": specifiers.slice(1) });
});

test("type imports and dynamic imports go down the floors too", async (t) => {
  const source = `import type { A } from "../rpc/a.js";\nexport const b: A = await import("../cli/b.js");\n`;
  const findings = await lint({ "src/linalg/a.ts": source });
  t.deepEqual(
    findings.map(({ rule, line }) => [rule, line]),
    [
      ["lint/style/noRestrictedImports", 1],
      ["lint/style/noRestrictedImports", 2],
    ],
  );
});

test("only cli/ reads the environment", async (t) => {
  const direct = "export const home = process.env;\n";
  const imported = 'import { env } from "node:process";\nexport const home = env;\n';
  const files = Object.fromEntries(
    rooms.flatMap((room) => [
      [`src/${room}/direct.ts`, direct],
      [`src/${room}/imported.ts`, imported],
    ]),
  );
  const findings = await lint({ ...files, "test/direct.ts": direct, "test/imported.ts": imported });
  const expected = rooms
    .filter((room) => room !== "cli")
    .flatMap((room) => [
      `src/${room}/direct.ts: lint/style/noProcessEnv`,
      `src/${room}/imported.ts: lint/style/noRestrictedImports`,
    ]);
  t.deepEqual(findings.map(({ file, rule }) => `${file}: ${rule}`).sort(), expected.sort());
});

test("an import cycle is refused", async (t) => {
  const findings = await lint({
    "src/linalg/a.ts": 'import { b } from "./b.js";\nexport const a = (): number => b();\n',
    "src/linalg/b.ts": 'import { a } from "./a.js";\nexport const b = (): number => a();\n',
  });
  t.deepEqual(findings.map(({ file, rule }) => `${file}: ${rule}`).sort(), [
    "src/linalg/a.ts: lint/suspicious/noImportCycles",
    "src/linalg/b.ts: lint/suspicious/noImportCycles",
  ]);
});

test("tests may import anything", async (t) => {
  const specifiers = [...rooms.map((room) => `../src/${room}/a.js`), "@grpc/grpc-js", "../src/gen/onnx/onnx_pb.js"];
  t.deepEqual(await refusedIn({ "test/a.ts": specifiers }), { "test/a.ts": [] });
});

test("every folder of src/ has its floor", async (t) => {
  const entries = await readdir("src", { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory() && entry.name !== "gen").map(({ name }) => name);
  t.deepEqual(
    folders.filter((name) => !rooms.includes(name)),
    [],
    "name the new room in biome.json, CONTRIBUTING.md and this test",
  );
});
