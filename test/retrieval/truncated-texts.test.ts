import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import { foundBy } from "../helpers/hits-of.js";
import { createRetrievalZoo, fillSpace, openZooRetrieval, toNewRecord } from "../helpers/retrieval-zoo.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("texts that an encoder cuts are told in each space, and those that it does not are not", async (t) => {
  const zoo = await createRetrievalZoo();
  t.teardown(() => zoo.close());
  const folder = await createTemporaryFolder(t);
  await cp(join(zoo.folder, "encoder"), folder, { recursive: true });
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ model_max_length: 5 }));
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  const { store, retrieval } = openZooRetrieval(zoo, { encoders: [encoder] });
  const { one, two } = zoo.experts;
  for (const expert of [one, two]) await fillSpace(store, expert, [toNewRecord("a", 1), toNewRecord("b", 2)]);
  // The prompt "a model of {}" takes three of the five.
  const long = { text: "red dogs cats" };
  const short = { text: "red dogs" };
  const cut = { tokenCount: 6, maxTokens: 5 };
  const answers = await retrieval.retrieve([
    { positives: [long], experts: ["one"] },
    { positives: [short], experts: ["one"] },
    { positives: [short, long], negatives: [{ text: "blue green cats of" }] },
  ]);
  const [first, second, third] = answers.map((answer) => foundBy(t, answer));
  t.deepEqual(first?.truncated, [{ example: 0, spaceId: one.spaceId, ...cut }]);
  t.deepEqual(second?.truncated, []);
  t.deepEqual(first?.hits, second?.hits, "what was cut has no say");
  const both = [one.spaceId, two.spaceId].flatMap((spaceId) => [
    { example: 1, spaceId, ...cut },
    { example: 2, spaceId, tokenCount: 7, maxTokens: 5 },
  ]);
  t.deepEqual(third?.truncated, both);
  const [again] = await retrieval.retrieve([{ positives: [long], experts: ["one"] }]);
  t.deepEqual(foundBy(t, again).truncated, first?.truncated, "also where the text is remembered");
});
