// Sums up a TAP file that AVA wrote. Prints `N passed, M failed[, K skipped]` as its last line; exits with 1 unless
// every test that ran passed.
//
//   node .ci/count-tests.js FILE [EXIT_CODE]      EXIT_CODE is that of the test command, 0 if left out
import { readFileSync } from "node:fs";

const [file, exitCode = "0"] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node .ci/count-tests.js FILE [EXIT_CODE]");
  process.exit(2);
}
const lines = readFileSync(file, "utf8").split(/\r?\n/);

// Behind the plan (`1..N`) stand AVA's own sums. They count what has no line of its own (tests left over when a file
// stopped), and the lines count what the sums leave out (failed hooks), so the larger number of failures is the truth.
const planLine = lines.findLastIndex((line) => /^1\.\.\d+$/.test(line));
const trailer = planLine < 0 ? [] : lines.slice(planLine + 1);
const sum = (word) => Number(trailer.map((line) => line.match(`^# ${word} (\\d+)$`)?.[1]).find(Boolean) ?? 0);

const skippedTitles = lines.map((line) => line.match(/^ok \d+ - (.*) # SKIP$/)?.[1]).filter(Boolean);
const failureLines = lines.filter((line) => /^not ok \d+ - /.test(line));

const passed = sum("pass");
const skipped = sum("skip");
let failed = Math.max(sum("fail"), failureLines.length);
const complaints = [];
if (planLine < 0) complaints.push("the test run stopped before its end: there is no plan line");
if (planLine >= 0 && passed + failed === 0) complaints.push("no test ran");
if (exitCode !== "0" && failed === 0) complaints.push(`the test command exited with ${exitCode}`);
if (failed === 0 && complaints.length > 0) failed = 1;

for (const title of skippedTitles) console.log(`skipped: ${title}`);
for (const line of failureLines) console.log(`failed: ${line.replace(/^not ok \d+ - /, "")}`);
for (const complaint of complaints) console.log(`failed: ${complaint}`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed === 0 ? 0 : 1);
