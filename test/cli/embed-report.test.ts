import test from "ava";
import { type EmbedReport, toReportLines } from "../../src/cli/embed-report.js";
import { InvalidInputError, NotFoundError } from "../../src/errors/probestream-error.js";

const report: EmbedReport = { total: 5, embedded: 2, bytes: 4000, seconds: 2, failures: [], unreadable: [] };
const detail = { isQuiet: false, isDebug: false };
const quiet = { isQuiet: true, isDebug: false };
const missing = { file: "gone", error: new NotFoundError("FILE_NOT_FOUND", "There is no file") };

test("the summary counts models, and paths that could not be read stand apart", (t) => {
  const failure = { file: "a", error: new InvalidInputError("CORRUPT", "it\u001b is broken") };
  t.deepEqual(toReportLines({ ...report, failures: [failure], unreadable: [missing] }, detail), [
    "2 of 5 models embedded in 2.0 s (1.00 models/s, 2.0 kB/s)",
    "1 model failed:",
    "  a: CORRUPT: it\ufffd is broken",
    "1 path could not be read:",
    "  gone: FILE_NOT_FOUND: There is no file",
  ]);
});

test("where nothing was embedded there are no rates", (t) => {
  t.deepEqual(toReportLines({ ...report, embedded: 0, bytes: 0, seconds: 0 }, detail), ["0 of 5 models embedded"]);
  t.deepEqual(toReportLines({ ...report, total: 0, embedded: 0 }, detail), ["no model was found"]);
});

test("what is quiet tells of failures only", (t) => {
  t.deepEqual(toReportLines(report, quiet), []);
  t.is(toReportLines({ ...report, unreadable: [missing] }, quiet).length, 2);
});

test("files that fail alike are told of once, though each message names its file", (t) => {
  const failures = Array.from({ length: 30 }, (_, i) => ({
    file: `m/${i}.safetensors`,
    error: new InvalidInputError("FORMAT_REFUSED", `"m/${i}.safetensors" is pickled; load("m/${i}.safetensors")`),
  }));
  const lines = toReportLines({ ...report, failures }, quiet);
  t.is(lines[0], "30 models failed:");
  t.is(lines[1], '  30 files: FORMAT_REFUSED: "…" is pickled; load("…")');
  t.is(lines[2], "    m/0.safetensors");
  t.is(lines.at(-1), "    and 10 more (--json names all)");
  t.is(lines.length, 23);
});

test("a failure whose message names the file has no other name in front, and a stack where that is asked for", (t) => {
  const error = new NotFoundError("FILE_NOT_FOUND", 'There is no file "gone"', {}, { cause: new Error("ENOENT") });
  const unreadable = [{ file: "gone", error }];
  t.deepEqual(toReportLines({ ...report, unreadable }, quiet), [
    "1 path could not be read:",
    '  FILE_NOT_FOUND: There is no file "gone"',
  ]);
  const lines = toReportLines({ ...report, unreadable }, { isQuiet: true, isDebug: true });
  t.is(lines[2], '    NotFoundError: There is no file "gone"');
  t.true(lines.some((line) => line.startsWith("    caused by: Error: ENOENT")));
});
