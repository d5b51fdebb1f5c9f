import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { toEndLine, toHeadLine, toRecordLine } from "../../src/cli/export-lines.js";
import { openExport } from "../../src/cli/read-export.js";
import { InvalidInputError } from "../../src/errors/probestream-error.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const spaceId = "a".repeat(64);
const head = toHeadLine({ spaceId, expertName: "e", width: 1 });

function toLine(id: string, text = ""): string {
  return toRecordLine({
    ...{ id, spaceId, vector: Float32Array.of(1), weightsHash: "", fileHash: "", tree: "", base: "" },
    ...{ metadata: { text }, claims: {}, createdMs: 1, updatedMs: 1 },
  });
}

test("lines longer than what is read at a time come whole, with and without an end of the last", async (t) => {
  const folder = await createTemporaryFolder(t);
  const long = "x".repeat(300_000);
  const lines = [head, toLine("short"), toLine("long", long), toLine("after"), "", toEndLine(3)];
  for (const end of ["", "\n"]) {
    const path = join(folder, `export${end.length}.jsonl`);
    await writeFile(path, lines.join("\n") + end);
    const reader = await openExport(path);
    const records = [];
    for await (const batch of reader.batches()) records.push(...batch);
    t.deepEqual(
      records.map(({ id, metadata }) => [id, metadata]),
      [
        ["short", { text: "" }],
        ["long", { text: long }],
        ["after", { text: "" }],
      ],
    );
  }
});

test("a file without lines is refused before all of it is in memory", async (t) => {
  const folder = await createTemporaryFolder(t);
  const path = join(folder, "one-line");
  await writeFile(path, Buffer.alloc(17 * 1024 ** 2, "x"));
  const error = await t.throwsAsync(openExport(path), { instanceOf: InvalidInputError });
  t.is(error?.message, "line 1 has more than 16777216 characters; `probestream export` writes none so long");
});
