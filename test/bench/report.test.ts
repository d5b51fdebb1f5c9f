import test from "ava";
import { parseBenchOptions } from "../../bench/bench-options.js";
import { mean, median, quantile, relativeError, toMarkdownTable } from "../../bench/report.js";

test("quantiles are numbers of the list, and the mean is none of it", (t) => {
  t.is(mean([1, 2, 4.5]), 2.5);
  t.deepEqual(
    [0, 0.5, 0.99, 1].map((share) => quantile([4, 1, 3, 2], share)),
    [1, 3, 4, 4],
  );
  t.is(quantile([], 0.5), Number.NaN);
});

test("the median of an even count is the mean of the middle two", (t) => {
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([3, 1, 2]), 2);
  t.throws(() => median([]));
});

test("the relative error is that of the L2 norm, and vectors of different length do not compare", (t) => {
  t.is(relativeError([3, 4], [3, 4]), 0);
  t.is(relativeError([3, 5], [3, 4]), 0.2);
  t.throws(() => relativeError([], []));
  t.throws(() => relativeError([1], [1, 2]));
});

test("a table has a line per row", (t) => {
  t.is(toMarkdownTable(["a", "b"], [["1", "2"]]), "| a | b |\n| --- | --- |\n| 1 | 2 |");
});

test("options take their fallback, and wrong ones are refused", (t) => {
  const specs = { rows: { help: "", fallback: "7" }, rtt: { help: "", fallback: "2.5" } };
  t.is(parseBenchOptions(specs, []).count("rows"), 7);
  t.is(parseBenchOptions(specs, ["--rows", "9"]).count("rows"), 9);
  t.is(parseBenchOptions(specs, []).number("rtt"), 2.5);
  t.throws(() => parseBenchOptions(specs, ["--rows", "-1"]).count("rows"));
  t.throws(() => parseBenchOptions(specs, ["--rows", "x"]).count("rows"));
  t.throws(() => parseBenchOptions(specs, ["--columns", "1"]));
});
