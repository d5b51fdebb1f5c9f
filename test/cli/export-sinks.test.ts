import { readdir } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { CommandError } from "../../src/cli/exit-codes.js";
import { openExportSink } from "../../src/cli/export-sinks.js";
import { openTerminal } from "../../src/cli/terminal.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("an expert's name that no safetensors header has room for is refused before the first row", async (t) => {
  const folder = await createTemporaryFolder(t);
  const space = {
    ...{ spaceId: "a".repeat(64), expertName: "\u{1F600}".repeat(1100), width: 4, state: "serving" as const },
    ...{ count: 0, indexed: 0, fields: [], isExpertPresent: true, isCalibrated: false },
  };
  const path = join(folder, "out.safetensors");
  const terminal = openTerminal(() => {});
  const error = await t.throwsAsync(openExportSink({ space, format: "safetensors", path }, terminal), {
    instanceOf: CommandError,
  });
  t.regex(error?.message ?? "", /header, with the expert's name, would have \d+ bytes; 4088 are allowed; export with/);
  t.deepEqual(await readdir(folder), []);
});
