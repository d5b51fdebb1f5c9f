import { chmod, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { openTokenFile, type TokenFile } from "../../../src/rpc/tokens/open-token-file.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { until } from "../../helpers/until.js";

const [old, next] = ["old-token-0123456789", "new-token-0123456789"];

interface Opened {
  readonly path: string;
  readonly tokens: TokenFile;
  /** What was heard of changes: a message, or "" for one that was read. */
  readonly heard: string[];
}

/** Opens a file with the old token; it is looked at every few milliseconds. */
async function open(t: ExecutionContext): Promise<Opened> {
  const path = join(await createTemporaryFolder(t), "tokens");
  await replace(path, old);
  const tokens = await openTokenFile(path, { pauseMs: 5 });
  t.teardown(() => tokens.close());
  const heard: string[] = [];
  tokens.onReload((error) => heard.push(error?.message ?? ""));
  return { path, tokens, heard };
}

/** Puts another file in the place of one, at once. */
async function replace(path: string, ...lines: readonly string[]): Promise<void> {
  await writeFile(`${path}.new`, `${lines.join("\n")}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

test("a file that is exchanged is read again: both tokens count for a while, then the new one alone", async (t) => {
  const { path, tokens, heard } = await open(t);
  t.deepEqual([tokens.has(old), tokens.has(next)], [true, false]);
  await replace(path, old, next);
  await until(() => tokens.has(next), "the new token counts");
  t.true(tokens.has(old));
  await replace(path, next);
  await until(() => !tokens.has(old), "the old token does not count");
  t.true(tokens.has(next));
  t.is(tokens.digests.length, 1);
  t.deepEqual(heard, ["", ""]);
});

test("a file that is written in place is read again, of the same length as well", async (t) => {
  const { path, tokens } = await open(t);
  await writeFile(path, `${next}\n`);
  await until(() => tokens.has(next) && !tokens.has(old), "the new token counts");
  t.is(tokens.digests.length, 1);
});

test("a link that is set to another file is followed", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [here, there, link] = [join(folder, "1"), join(folder, "2"), join(folder, "tokens")];
  await Promise.all([replace(here, old), replace(there, next)]);
  await symlink(here, link);
  const tokens = await openTokenFile(link, { pauseMs: 5 });
  t.teardown(() => tokens.close());
  await symlink(there, `${link}.new`);
  await rename(`${link}.new`, link);
  await until(() => tokens.has(next) && !tokens.has(old), "the new token counts");
  t.is(tokens.digests.length, 1);
});

const faults: readonly (readonly [string, (path: string) => Promise<void>, RegExp])[] = [
  ["has a bad line", (path) => replace(path, next, "short"), /^line 2 of ".*" has 5 characters/],
  ["is empty", (path) => replace(path), /has no token/],
  ["is gone", (path) => rm(path), /There is no file/],
  ["others may read", (path) => chmod(path, 0o644), /may be read or changed by others/],
];
for (const [what, spoil, message] of faults) {
  test(`a file that ${what} leaves the tokens in force, is complained of once, and is read when it is mended`, async (t) => {
    const { path, tokens, heard } = await open(t);
    await spoil(path);
    await until(() => heard.length > 0, "it is complained of");
    // Some further looks.
    await sleep(60);
    t.is(heard.length, 1);
    t.regex(heard[0] ?? "", message);
    t.deepEqual([tokens.has(old), tokens.has(next)], [true, false]);
    await replace(path, next);
    await until(() => tokens.has(next), "the new token counts");
    t.false(tokens.has(old));
    t.is(heard.at(-1), "");
  });
}

test("a file that is closed is looked at no more", async (t) => {
  const { path, tokens, heard } = await open(t);
  tokens.close();
  await replace(path, next);
  await sleep(60);
  t.deepEqual([tokens.has(old), tokens.has(next)], [true, false]);
  t.deepEqual(heard, []);
});

test("a file that cannot be used at first is not opened", async (t) => {
  const path = join(await createTemporaryFolder(t), "tokens");
  await assertRefused(t, () => openTokenFile(path), { reason: "FILE_NOT_FOUND", message: /There is no file/ });
});
