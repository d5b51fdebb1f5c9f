import test from "ava";
import { askAll } from "../../src/cli/ask-all.js";
import { CommandError } from "../../src/cli/exit-codes.js";
import { NotFoundError } from "../../src/errors/probestream-error.js";

const lost = new NotFoundError("MODEL_NOT_FOUND", "no such model");

test("an error stands where its question stood, and the others are asked at once", async (t) => {
  const asked: (readonly string[])[] = [];
  const answers = await askAll(["a", lost, "b"], async (words: readonly string[]) => {
    asked.push(words);
    return words.map((word) => word.toUpperCase());
  });
  t.deepEqual(answers, ["A", lost, "B"]);
  t.deepEqual(asked, [["a", "b"]]);
});

test("where nothing could be asked nobody is", async (t) => {
  const answers = await askAll([lost, lost], () => {
    throw new Error("asked");
  });
  t.deepEqual(answers, [lost, lost]);
});

test("fewer answers than questions are an error", async (t) => {
  await t.throwsAsync(
    askAll(["a", "b"], async () => ["A"]),
    { instanceOf: CommandError, message: "1 of 2 questions were answered" },
  );
});
