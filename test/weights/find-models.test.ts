import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import test, { type ExecutionContext } from "ava";
import { NotFoundError, type ProbestreamError, UnavailableError } from "../../src/errors/probestream-error.js";
import { findModels } from "../../src/weights/find-models.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { putUnreadableFolder, unreadableFolderUnavailable } from "../helpers/unreadable-folder.js";
import { toIndexBytes } from "./model-files.js";

let root = "";
test.after.always(() => rm(root, { recursive: true }));

const files: Readonly<Record<string, Uint8Array>> = {
  "b/lora.safetensors": new Uint8Array(),
  "b/a.safetensors": new Uint8Array(),
  "b/pickle.bin": new Uint8Array(),
  "b/pickle.pt": new Uint8Array(),
  "b/.hidden.safetensors": new Uint8Array(),
  "a/big.safetensors.index.json": toIndexBytes({ x: "part1.safetensors", y: "part2.safetensors" }),
  "a/part1.safetensors": new Uint8Array(),
  "a/part2.safetensors": new Uint8Array(),
  "a/other.safetensors": new Uint8Array(),
  "c/bad.safetensors.index.json": new Uint8Array(3),
  "c/bad-00001-of-00002.safetensors": new Uint8Array(),
  "c/own.safetensors": new Uint8Array(),
  ".cache/x.safetensors": new Uint8Array(),
  "z.safetensors": new Uint8Array(),
};
test.before(async () => {
  root = await mkdtemp(join(tmpdir(), "probestream-"));
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), bytes);
  }
  await symlink(root, join(root, "b", "loop"));
  await symlink(join(root, "nowhere"), join(root, "b", "dangling.safetensors"));
  await symlink(join(root, "z.safetensors"), join(root, "b", "link.safetensors"));
});

async function list(...paths: string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const path of findModels(paths)) found.push(path.startsWith(root) ? relative(root, path) : path);
  return found;
}

test("a folder is walked in the order of names, each model once", async (t) => {
  t.deepEqual(await list(root), [
    "a/big.safetensors.index.json",
    "a/other.safetensors",
    "b/a.safetensors",
    "b/link.safetensors",
    "b/lora.safetensors",
    "c/bad.safetensors.index.json",
    "c/own.safetensors",
    "z.safetensors",
  ]);
});

test("files and URLs are themselves, whatever they are called, each once", async (t) => {
  const url = "https://hub.example/m.safetensors";
  const pickle = join(root, "b/pickle.bin");
  const hidden = join(root, ".cache");
  t.deepEqual(await list(pickle, url, url, pickle, join(root, "a"), join(root, "a/other.safetensors"), hidden), [
    "b/pickle.bin",
    url,
    "a/big.safetensors.index.json",
    "a/other.safetensors",
    ".cache/x.safetensors",
  ]);
});

test("a path that does not exist is not found", async (t) => {
  const error = await t.throwsAsync(list(join(root, "none")), { instanceOf: NotFoundError });
  t.is(error?.reason, "FILE_NOT_FOUND");
});

test("an aborted walk throws the signal's reason", async (t) => {
  const reason = new Error("enough");
  const walk = async () => {
    for await (const _ of findModels([root], { signal: AbortSignal.abort(reason) }));
  };
  t.is(await t.throwsAsync(walk), reason);
});

const testUnreadable = unreadableFolderUnavailable === undefined ? test : test.skip;
const why = unreadableFolderUnavailable === undefined ? "" : ` (skipped: ${unreadableFolderUnavailable})`;

async function makePartlyReadable(t: ExecutionContext): Promise<string> {
  const folder = await createTemporaryFolder(t);
  await writeFile(join(folder, "a.safetensors"), "");
  await writeFile(join(folder, "z.safetensors"), "");
  await putUnreadableFolder(t, folder);
  return folder;
}

testUnreadable(`an unreadable folder ends the walk${why}`, async (t) => {
  const folder = await makePartlyReadable(t);
  const found: string[] = [];
  const walk = async () => {
    for await (const path of findModels([folder])) found.push(relative(folder, path));
  };
  const error = await t.throwsAsync(walk, { instanceOf: UnavailableError });
  t.regex(error?.message ?? "", /ENAMETOOLONG/);
  t.deepEqual(found, ["a.safetensors"]);
});

testUnreadable(`who listens to what cannot be read gets all the rest${why}`, async (t) => {
  const folder = await makePartlyReadable(t);
  const missing = join(folder, "missing");
  const found: string[] = [];
  const unreadable: (readonly [string, ProbestreamError])[] = [];
  const onUnreadable = (path: string, error: ProbestreamError) => unreadable.push([path, error]);
  for await (const path of findModels([missing, folder], { onUnreadable })) found.push(relative(folder, path));
  t.deepEqual(found, ["a.safetensors", "z.safetensors"]);
  t.deepEqual(
    unreadable.map(([, { reason }]) => reason),
    ["FILE_NOT_FOUND", "SOURCE_UNAVAILABLE"],
  );
  t.is(unreadable[0]?.[0], missing);
  t.true(unreadable[1]?.[0].startsWith(join(folder, "nnn")));
});

test("an aborted walk does not call anything unreadable", async (t) => {
  const reason = new Error("enough");
  const walk = async () => {
    const onUnreadable = () => t.fail();
    for await (const _ of findModels([root], { signal: AbortSignal.abort(reason), onUnreadable }));
  };
  t.is(await t.throwsAsync(walk), reason);
});

/** The first bytes of a checkpoint, as PyTorch 1.6 and later write them. */
const torch = Buffer.from("PK\x03\x04 archive/data.pkl");

const listings: readonly (readonly [title: string, files: Readonly<Record<string, Uint8Array>>, found: string[]])[] = [
  [
    "checkpoints are listed by what they hold",
    {
      "a.bin": torch,
      "b.pt": torch,
      "c.pth": torch,
      "d.CKPT": torch,
      "e.bin": Buffer.from("\x80\x02"),
      "f.zip": torch,
    },
    ["a.bin", "b.pt", "c.pth", "d.CKPT"],
  ],
  [
    "a checkpoint is left out beside its safetensors",
    {
      "pytorch_model.bin": torch,
      "model.safetensors": torch,
      "diffusion_pytorch_model.bin": torch,
      "diffusion_pytorch_model.safetensors": torch,
      "other.bin": torch,
    },
    ["diffusion_pytorch_model.safetensors", "model.safetensors", "other.bin"],
  ],
  [
    "what trainers save beside a model is left out",
    Object.fromEntries(
      [
        ..."adapter_model.bin training_args.bin optimizer.pt optimizer_1.bin scheduler.pt scaler.pt rng_state.pth".split(
          " ",
        ),
        ..."rng_state_0.pth random_states_0.pt zero_pp_rank_0_mp_rank_00_optim_states.pt".split(" "),
      ].map((name) => [name, torch]),
    ),
    ["adapter_model.bin"],
  ],
  [
    "shards of PyTorch are one by their index",
    {
      "pytorch_model.bin.index.json": toIndexBytes({ x: "one.bin", y: "two.bin" }),
      "one.bin": torch,
      "two.bin": torch,
    },
    ["pytorch_model.bin.index.json"],
  ],
  [
    "shards of PyTorch are left out beside those of safetensors",
    {
      "pytorch_model.bin.index.json": toIndexBytes({ x: "pytorch_model-00001-of-00001.bin" }),
      "pytorch_model-00001-of-00001.bin": torch,
      "model.safetensors.index.json": toIndexBytes({ x: "model-00001-of-00001.safetensors" }),
      "model-00001-of-00001.safetensors": torch,
    },
    ["model.safetensors.index.json"],
  ],
];
for (const [title, contents, expected] of listings) {
  test(title, async (t) => {
    const folder = await createTemporaryFolder(t);
    for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder, name), bytes);
    const found: string[] = [];
    for await (const path of findModels([folder])) found.push(relative(folder, path));
    t.deepEqual(found, expected);
  });
}
