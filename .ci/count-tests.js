// Sums up TAP files that AVA wrote. Prints `N passed, M failed[, K skipped]` as its last line; exits with 1 unless every
// test that ran passed.
//
//   node .ci/count-tests.js FILE EXIT_CODE [FILE EXIT_CODE]...      EXIT_CODE is that of the command that wrote the file
import { readFileSync } from "node:fs";

const words = process.argv.slice(2);
if (words.length === 0 || words.length % 2 !== 0) {
  console.error("usage: node .ci/count-tests.js FILE EXIT_CODE [FILE EXIT_CODE]...");
  process.exit(2);
}
const total = { passed: 0, failed: 0, skipped: 0 };
for (let at = 0; at < words.length; at += 2) {
  const { passed, failed, skipped } = count(words[at], words[at + 1]);
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exit(total.failed === 0 ? 0 : 1);

function count(file, exitCode) {
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
  return { passed, failed, skipped };
}
