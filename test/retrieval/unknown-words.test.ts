import test from "ava";
import { foundBy } from "../helpers/hits-of.js";
import { createRetrievalZoo, fillSpace, openZooRetrieval, toNewRecord } from "../helpers/retrieval-zoo.js";

test("words that an encoder does not know are told in each space, by example", async (t) => {
  const zoo = await createRetrievalZoo();
  t.teardown(() => zoo.close());
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, two } = zoo.experts;
  for (const expert of [one, two]) await fillSpace(store, expert, [toNewRecord("a", 1), toNewRecord("b", 2)]);
  const answers = await retrieval.retrieve([
    { positives: [{ text: "purple dogs" }], experts: ["one"] },
    { positives: [{ text: "dogs" }], experts: ["one"] },
    { positives: [{ text: "red" }, { modelId: "a" }], negatives: [{ text: "tall Mauve cats, tall" }] },
  ]);
  const [first, second, third] = answers.map((answer) => foundBy(t, answer));
  t.deepEqual(first?.unknownWords, [{ example: 0, spaceId: one.spaceId, words: ["purple"] }]);
  t.deepEqual(second?.unknownWords, []);
  t.deepEqual(
    third?.unknownWords,
    [one, two].map(({ spaceId }) => ({ example: 2, spaceId, words: ["tall", "Mauve"] })),
  );
  const [again] = await retrieval.retrieve([{ positives: [{ text: "purple dogs" }], experts: ["one"] }]);
  t.deepEqual(foundBy(t, again).unknownWords, first?.unknownWords, "also where the text is remembered");
});
