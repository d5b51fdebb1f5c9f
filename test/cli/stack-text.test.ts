import test from "ava";
import { toStackLines } from "../../src/cli/stack-text.js";
import { NotFoundError } from "../../src/errors/probestream-error.js";

test("a stack keeps its lines, and control characters in it do not reach the terminal", (t) => {
  const error = new Error("no \u001b[2Jlayer\r\nof\u0007 this\tname");
  const lines = toStackLines(error);
  t.deepEqual(lines.slice(0, 2), ["Error: no \ufffd[2Jlayer\ufffd", "of\ufffd this\ufffdname"]);
  t.regex(lines[2] ?? "", /^ {4}at .*stack-text\.test\.[jt]s/);
});

test("the causes follow, down to one that is no error", (t) => {
  const root = new TypeError("root\u001b[1m", { cause: "a\u0000word" });
  const error = new NotFoundError("FILE_NOT_FOUND", "outer", {}, { cause: new Error("middle", { cause: root }) });
  const heads = toStackLines(error).filter((line) => !/^ {4}at /.test(line));
  t.deepEqual(heads, [
    "NotFoundError: outer",
    "caused by: Error: middle",
    "caused by: TypeError: root\ufffd[1m",
    "caused by: a\ufffdword",
  ]);
});

test("causes that go in a circle come once", (t) => {
  const error = new Error("first");
  error.cause = new Error("second", { cause: error });
  const heads = toStackLines(error).filter((line) => !/^ {4}at /.test(line));
  t.deepEqual(heads, ["Error: first", "caused by: Error: second"]);
});

test("something thrown that is no error is its text", (t) => {
  t.deepEqual(toStackLines("plain\u001b"), ["plain\ufffd"]);
});
