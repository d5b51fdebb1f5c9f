import test from "ava";
import { formatClock, parseDuration } from "../../src/cli/duration.js";
import { collectHeader, formatAddress, parseAddress } from "../../src/cli/option-values.js";
import { toBar, toFigures } from "../../src/cli/progress.js";
import { toModelOptions } from "../../src/cli/remote-options.js";
import { formatBytes, parseSize } from "../../src/cli/size.js";
import { keepEnd, toTable } from "../../src/cli/table.js";

test("sizes are read with and without units", (t) => {
  const sizes = ["65535", "512KiB", "4M", "1.5GB", "1 GiB", "10b"].map(parseSize);
  t.deepEqual(sizes, [65_535, 524_288, 4_194_304, 1_500_000_000, 1_073_741_824, 10]);
  for (const text of ["", "x", "-1", "1XB", "1e3", "9999999999GiB"]) t.throws(() => parseSize(text), undefined, text);
});

test("durations are read with and without units", (t) => {
  t.deepEqual(["90", "500ms", "1.5m", "24h", "7d"].map(parseDuration), [90_000, 500, 90_000, 86_400_000, 604_800_000]);
  for (const text of ["", "s", "-1s", "1y", "25d"]) t.throws(() => parseDuration(text), undefined, text);
});

test("addresses are HOST:PORT, with brackets around IPv6", (t) => {
  for (const text of ["127.0.0.1:0", "[::1]:50051", "gpu-box:65535"]) t.is(formatAddress(parseAddress(text)), text);
  for (const text of ["", "host", ":1", "host:", "::1:1", "host:65536", "host:-1"]) {
    t.throws(() => parseAddress(text), undefined, text);
  }
});

test("headers are collected, and none can smuggle a line in", (t) => {
  t.deepEqual(collectHeader("B:2 ", collectHeader("A: 1: x")), { A: "1: x", B: "2" });
  for (const text of ["A", ": x", "A B: x", "A: x\r\nB: y"]) t.throws(() => collectHeader(text), undefined, text);
});

test("a token of the environment goes to Hugging Face only, one of the command line everywhere", (t) => {
  const hub = "https://huggingface.co/a/b/resolve/main/m.safetensors";
  const others = [
    "https://huggingface.co.example/m",
    "http://huggingface.co/m",
    "https://example.org/m",
    "m.safetensors",
  ];
  const fromEnvironment = toModelOptions({ headers: undefined, token: undefined, hubToken: "secret" });
  t.is(fromEnvironment(hub).token, "secret");
  for (const other of others) t.is(fromEnvironment(other).token, undefined, other);
  const given = toModelOptions({ headers: undefined, token: "given", hubToken: "secret" });
  for (const location of [hub, ...others]) t.is(given(location).token, "given", location);
});

test("bytes and times are shown for people", (t) => {
  t.deepEqual([0, 999, 1000, 35_200_000, 123_456_789].map(formatBytes), [
    "0 B",
    "999 B",
    "1.0 kB",
    "35.2 MB",
    "123 MB",
  ]);
  t.deepEqual([0, 61, 3725].map(formatClock), ["0:00", "1:01", "1:02:05"]);
});

test("columns are as wide as their cells, and control characters do not reach the terminal", (t) => {
  const lines = toTable(
    [{ title: "a" }, { title: "n", align: "right" }],
    [
      ["x\u001b[2J", "1"],
      ["y", "100"],
    ],
  );
  t.deepEqual(lines, ["a        n", "-----  ---", "x\ufffd[2J    1", "y      100"]);
  t.is(keepEnd("models/long-name", 6), "…-name");
});

test("the bar tells share, rates and time left, within the terminal's width", (t) => {
  const progress = {
    models: 200,
    modelsDone: 50,
    modelsFailed: 1,
    bytesWanted: 100,
    bytesDone: 60,
    bytesSent: 5_000_000,
  };
  const figures = toFigures(progress, 200, 2000);
  const bar = toBar(figures, 100);
  t.is(bar, "[########----------------------] 50/200 models  1 failed  2.5 MB/s  25.0 models/s  0:06 left");
  for (const columns of [10, 40, 60, 80]) t.true(toBar(figures, columns).length < columns);
  t.is(toFigures(progress, 4, 2000).share, 0.6);
});
