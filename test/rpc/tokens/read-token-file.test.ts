import { execFile } from "node:child_process";
import { chmod, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { readTokenFile } from "../../../src/rpc/tokens/read-token-file.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

const token = "0123456789abcdef";
const hasModes = process.platform !== "win32";
const withModes = hasModes ? test : test.skip;
const reason = hasModes ? "" : " (skipped: files have no modes here)";

for (const mode of [0o600, 0o400, 0o640, 0o440]) {
  withModes(`a file of mode ${mode.toString(8)} is read, through a link as well${reason}`, async (t) => {
    const folder = await createTemporaryFolder(t);
    const path = join(folder, "tokens");
    await writeFile(path, `${token}\n`);
    await chmod(path, mode);
    await symlink(path, join(folder, "link"));
    t.deepEqual(await readTokenFile(path), [token]);
    t.deepEqual(await readTokenFile(join(folder, "link")), [token]);
  });
}

for (const mode of [0o644, 0o604, 0o602, 0o660, 0o601]) {
  withModes(`a file of mode ${mode.toString(8)} is refused${reason}`, async (t) => {
    const path = join(await createTemporaryFolder(t), "tokens");
    await writeFile(path, `${token}\n`);
    await chmod(path, mode);
    await assertRefused(t, () => readTokenFile(path), {
      kind: "access-denied",
      reason: "ACCESS_DENIED",
      message: `"${path}" may be read or changed by others (mode ${mode.toString(8)}); chmod 600 it, or 640 for a group that reads it`,
    });
  });
}

test("what is not there, a folder and a file beyond reason are refused", async (t) => {
  const folder = await createTemporaryFolder(t);
  await assertRefused(t, () => readTokenFile(join(folder, "absent")), {
    reason: "FILE_NOT_FOUND",
    message: /There is no file ".*absent"/,
  });
  await assertRefused(t, () => readTokenFile(folder), { reason: "FIELD_INVALID", message: /is no regular file/ });
  const large = join(folder, "large");
  await writeFile(large, "", { mode: 0o600 });
  await truncate(large, 2 ** 40);
  await assertRefused(t, () => readTokenFile(large), {
    reason: "LIMIT_EXCEEDED",
    message: /has 1099511627776 bytes; a file of tokens has 1048576 at most/,
  });
});

withModes(`a named pipe is refused at once${reason}`, async (t) => {
  const path = join(await createTemporaryFolder(t), "pipe");
  await promisify(execFile)("mkfifo", ["-m", "600", path]);
  await assertRefused(t, () => readTokenFile(path), { reason: "FIELD_INVALID", message: /is no regular file/ });
});

test("what is wrong with a line is said with the file's name", async (t) => {
  const path = join(await createTemporaryFolder(t), "tokens");
  await writeFile(path, `${token}\nshort\n`, { mode: 0o600 });
  await assertRefused(t, () => readTokenFile(path), {
    reason: "FIELD_INVALID",
    message: new RegExp(`^line 2 of "${path}" has 5 characters`),
  });
});
