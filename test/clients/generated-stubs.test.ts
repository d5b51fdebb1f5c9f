import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { type RunningServer, startServer } from "../../src/rpc/server.js";
import { type GoldenCase, readGoldenCase, writeGoldenExpert, writeGoldenModels } from "../helpers/golden.js";
import { relativeError } from "../helpers/oracle.js";

interface Context {
  folder: string;
  server: RunningServer;
  golden: GoldenCase;
  model: string;
}

const test = anyTest as TestFn<Context>;
const clients = join(repositoryRoot, "clients");
const run = promisify(execFile);

/** A language whose stubs are generated and compiled, with an example. */
interface Language {
  readonly name: string;
  /** The example, once `build FOLDER` has run. */
  readonly example: (folder: string) => readonly [string, ...string[]];
  /** Commands without which there is nothing to build. */
  readonly commands: readonly string[];
}

const languages: readonly Language[] = [
  { name: "cpp", commands: ["g++", "grpc_cpp_plugin"], example: (folder) => [join(folder, "embed")] },
  { name: "java", commands: ["javac", "grpc_java_plugin"], example: (folder) => [join(folder, "embed")] },
  {
    name: "ruby",
    commands: ["ruby", "grpc_tools_ruby_protoc"],
    example: (folder) => ["ruby", "-I", folder, join(clients, "ruby/embed.rb")],
  },
];

/** What is missing for a language, if anything can be told without building. */
function findMissing({ commands }: Language): string | undefined {
  return commands.find((command) => {
    try {
      execFileSync("sh", ["-c", `command -v ${command}`], { stdio: "pipe" });
      return false;
    } catch {
      return true;
    }
  });
}

test.before(async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "probestream-stubs-"));
  const golden = await readGoldenCase("zeroshot_lora");
  await writeGoldenExpert(golden, join(folder, "experts"));
  const [model = ""] = await writeGoldenModels(golden, join(folder, "models"));
  const catalogue = openCatalogue(join(folder, "experts"));
  const server = await startServer({ catalogue, backend: "onnx", workerCount: 1 });
  t.context = { folder, server, golden, model };
});

test.after.always(async (t) => {
  await t.context.server?.close(0);
  if (t.context.folder !== undefined) await rm(t.context.folder, { recursive: true, force: true });
});

/** Builds a language's stubs into a folder, and gives the words that start its example. */
async function build({ name, example }: Language, out: string): Promise<readonly [string, ...string[]]> {
  await run(join(clients, name, "build"), [out], { maxBuffer: 16 * 1024 * 1024 });
  return example(out);
}

async function embeds(t: ExecutionContext<Context>, language: Language): Promise<void> {
  t.timeout(900_000, "gRPC's headers take their time");
  const { folder, server, golden, model } = t.context;
  const [program, ...args] = await build(language, join(folder, language.name));
  const target = `${server.host}:${server.port}`;
  const { stdout } = await run(program, [...args, target, model, golden.name]);
  const [expert, ...numbers] = stdout.trim().split(" ");
  t.is(expert, golden.name);
  const error = relativeError(numbers.map(Number), golden.expected[0]?.representation ?? []);
  t.true(error <= 1e-5, `the representation is off by ${error}`);
  const refused = await t.throwsAsync(run(program, [...args, target, model, "nobody"]));
  t.regex(refused?.message ?? "", /EXPERT_NOT_FOUND: no expert "nobody"/);
  await t.throwsAsync(run(program, [...args, target, join(folder, "none.safetensors")]), { message: /none/ });
}

/** A call that is refused, and files that are none: a reason or advice, and no trace. */
async function saysWhatIsWrong(t: ExecutionContext<Context>, language: Language): Promise<void> {
  const { folder, server, model } = t.context;
  const [program, ...args] = await build(language, join(folder, `${language.name}-errors`));
  const say = async (target: string, path: string): Promise<string> =>
    run(program, [...args, target, path]).then(
      () => "nothing",
      ({ stderr }: { stderr: string }) => stderr,
    );
  const guarded = await startServer({
    catalogue: openCatalogue(join(folder, "experts")),
    backend: "plain",
    workerCount: 1,
    tokens: ["a-token-that-is-long-enough"],
  });
  t.teardown(() => guarded.close(0));
  t.regex(await say(`${guarded.host}:${guarded.port}`, model), /^TOKEN_MISSING: .*this server wants a token[^\n]*\n$/);
  const long = Buffer.alloc(16, "{");
  long.writeBigUInt64LE(8n);
  const files = { empty: Buffer.alloc(0), short: Buffer.alloc(4, 1), cut: Buffer.alloc(12, 255), other: long };
  for (const [file, bytes] of Object.entries(files)) {
    const path = join(folder, `${file}.safetensors`);
    await writeFile(path, bytes);
    t.regex(
      await say(`${server.host}:${server.port}`, path),
      /^\/[^\n]* is [^\n]*; download or save it again\n$/,
      file,
    );
  }
}

/** Compiling takes a minute of processor time, so it is done where it is asked for: by `.ci/generated-stubs`. */
const isWanted = process.env["PROBESTREAM_TEST_STUBS"] === "1";

for (const language of languages) {
  const missing = findMissing(language);
  const why = isWanted ? missing && `${missing} is not installed` : "PROBESTREAM_TEST_STUBS is not 1";
  const withLanguage = why === undefined ? test.serial : test.serial.skip;
  const reason = why === undefined ? "" : ` (skipped: ${why})`;
  if (language.name === "ruby") {
    withLanguage(`the Ruby example says what is wrong in a line${reason}`, saysWhatIsWrong, language);
  }
  withLanguage(`the stubs for ${language.name} compile, and their example embeds a file${reason}`, embeds, language);
}
