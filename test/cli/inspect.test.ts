import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { putUnreadableFolder, unreadableFolderUnavailable } from "../helpers/unreadable-folder.js";
import { type CliResult, makeExampleFolder, parseLines, runCli } from "./run-cli.js";
import { runInFolder } from "./run-in-process.js";

interface Description {
  readonly file: string;
  readonly bytes: number;
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly bytes: number }[];
  readonly lora: readonly { readonly module: string; readonly rank: number; readonly shape: readonly number[] }[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly experts: readonly { readonly expert: string; readonly fits: boolean; readonly reason?: string }[];
}

let cwd = "";
test.before(async () => {
  cwd = await makeExampleFolder();
  await writeFile(join(cwd, "broken.safetensors"), "x");
});
test.after.always(() => rm(cwd, { recursive: true, force: true }));

const run = (...words: readonly string[]): Promise<CliResult> => runInFolder(cwd, ["inspect", ...words]);

test("a LoRA file shows its layers with ranks, its tensors and its metadata", async (t) => {
  const { code, stdout } = await run("./models/birds-lora-1.safetensors");
  t.is(code, 0);
  t.regex(stdout, /8 tensors, 2,048 parameters, 8\.2 kB, F32/);
  t.regex(stdout, /concept: birds/);
  t.regex(stdout, /LoRA layers \(4\)/);
  t.regex(stdout, /lm\.blocks\.1\.attn\.to_out +4 +64 x 64 +F32/);
});

test("--json has the same, and --experts says who fits", async (t) => {
  const files = ["./models/birds-lora-1.safetensors", "./models/birds-full.safetensors"];
  const { code, stdout } = await run(...files, "--json", "--experts", "./experts");
  t.is(code, 0);
  const [lora, full] = parseLines<Description>(stdout);
  t.is(lora?.tensors.length, 8);
  t.is(lora?.bytes, 8192);
  t.deepEqual(
    lora?.lora.map(({ rank, shape }) => [rank, ...shape]),
    Array(4).fill([4, 64, 64]),
  );
  t.is(lora?.metadata["concept"], "birds");
  t.deepEqual(
    [lora, full].map((model) => model?.experts.map(({ expert, fits, reason }) => [expert, fits, reason])),
    [
      [
        ["concepts-dense", false, "LAYER_NOT_FOUND"],
        ["concepts-lora", true, undefined],
      ],
      [
        ["concepts-dense", true, undefined],
        ["concepts-lora", false, "LAYER_NOT_FOUND"],
      ],
    ],
  );
});

test("tensors that differ in numbers only share a line, unless all are asked for", async (t) => {
  const { encodeSafetensors } = await import("../../src/weights/safetensors-writer.js");
  const tensors = Array.from({ length: 12 }, (_, i) => ({
    name: `blocks.${i}.weight`,
    dtype: "F32",
    shape: [1],
    bytes: new Uint8Array(4),
  }));
  await writeFile(join(cwd, "blocks.safetensors"), encodeSafetensors(tensors));
  const grouped = await run("./blocks.safetensors");
  t.regex(grouped.stdout, /blocks\.\*\.weight +F32 +\[1\] +12 +48 B/);
  const all = await run("./blocks.safetensors", "--all");
  t.is(all.stdout.match(/blocks\.\d+\.weight/g)?.length, 12);
});

test("several models are a table of one line each, unless everything is asked for", async (t) => {
  const files = ["./models/birds-lora-1.safetensors", "./models/birds-full.safetensors"];
  const { code, stdout } = await run(...files, "--experts", "./experts");
  t.is(code, 0);
  const [heading, , lora, full, ...rest] = stdout.split("\n");
  t.regex(heading ?? "", /^file +size +tensors +dtypes +LoRA +experts that fit$/);
  t.regex(lora ?? "", /^models\/birds-lora-1\.safetensors +8\.2 kB +8 +F32 +4 modules, rank 4 +concepts-lora$/);
  t.regex(full ?? "", /^models\/birds-full\.safetensors +\S+ kB +\d+ +F32 +- +concepts-dense$/);
  t.deepEqual(rest, [""]);
  const all = await run(...files, "--all");
  t.regex(all.stdout, /LoRA layers \(4\)/);
  const plain = await run(...files);
  t.notRegex(plain.stdout, /experts/);
});

test("a broken file does not hide the others", async (t) => {
  const { code, stdout, stderr } = await runCli(["inspect", "broken.safetensors", "models"], { cwd });
  t.is(code, 1);
  t.is(stdout.match(/^models\//gm)?.length, 26);
  t.regex(stderr, /1 could not be read:\n {2}HEADER_MALFORMED: .*"broken\.safetensors"/);
});

test("where nothing can be read the exit code is 3", async (t) => {
  for (const path of ["./broken.safetensors", "./nowhere"]) {
    const { code, stdout } = await run(path);
    t.is(code, 3);
    t.is(stdout, "");
  }
});

const testUnreadable = unreadableFolderUnavailable === undefined ? test : test.skip;
const why = unreadableFolderUnavailable === undefined ? "" : ` (skipped: ${unreadableFolderUnavailable})`;

testUnreadable(`an unreadable folder does not hide the rest of the walk${why}`, async (t) => {
  const folder = join(cwd, "partly");
  await cp(join(cwd, "models", "birds-full.safetensors"), join(folder, "a.safetensors"));
  await cp(join(cwd, "models", "chess-lora-1.safetensors"), join(folder, "z", "z.safetensors"));
  await putUnreadableFolder(t, folder);
  const { code, stdout, stderr } = await run("./partly");
  t.is(code, 1);
  t.deepEqual(stdout.match(/^partly\/\S+/gm), ["partly/a.safetensors", "partly/z/z.safetensors"]);
  t.regex(stderr, /^1 could not be read:\n {2}SOURCE_UNAVAILABLE: "partly\/n/);
});

test("layers have their scale, and adapters of other kinds are named", async (t) => {
  const folder = join(repositoryRoot, "test/fixtures/lora-formats");
  const look = async (...words: readonly string[]) => (await runInFolder(folder, ["inspect", ...words])).stdout;
  t.regex(await look("./peft-rslora/adapter_model.bin"), /attn1\.to_q +4 +24 x 20 +F32 +4, configured/);
  t.regex(await look("./kohya.safetensors"), /unet\.down_blocks\.1\.attentions\.0\..*attn1\.to_q +4 .*alpha \/ rank/);
  t.regex(await look("./diffusers.safetensors"), /1, none is given/);
  t.regex(
    await look("./other-kinds/lokr.safetensors"),
    /layers of adapters that are not read \(1\)\n +LoKr: unet\.down_blocks\S+to_q \(lora_unet_\S+lokr_w1\)/,
  );
  t.regex(await look("./other-kinds", "./kohya.pt"), /lokr\.safetensors .*LoKr, not read/);
  const [line] = parseLines<{ foreign: readonly { kind: string }[] }>(
    await look("./other-kinds/loha.safetensors", "--json"),
  );
  t.deepEqual(
    line?.foreign.map(({ kind }) => kind),
    ["LoHa"],
  );
});
