import test from "ava";
import { mergeHits, type SpaceHits } from "../../src/retrieval/merge-hits.js";

const query = { k: 10, minScore: undefined, maxPerBase: 0, excluded: new Set<string>() };

/** What a space gave; scores are cosines times `slope`, at most 1. */
function spaceHits(spaceId: string, slope: number, cosines: Readonly<Record<string, number>>): SpaceHits {
  const hits = Object.entries(cosines).map(([id, cosine]) => ({ id, cosine }));
  const scorer = (cosine: number): number => Math.min(1, slope * cosine);
  return { space: { spaceId, scorer } as SpaceHits["space"], hits, isExhausted: true };
}

test("models of several spaces come by score", (t) => {
  const found = [spaceHits("a", 1, { one: 0.9, two: 0.5 }), spaceHits("b", 0.6, { three: 0.99, four: 0.1 })];
  const { hits } = mergeHits(query, found, () => "");
  t.deepEqual(
    hits.map(({ modelId }) => modelId),
    ["one", "three", "two", "four"],
  );
});

test("models that surely fit come by cosine", (t) => {
  const found = [spaceHits("a", 10, { zebra: 0.9, ape: 0.5 }), spaceHits("b", 10, { cow: 0.7 })];
  const { hits } = mergeHits(query, found, () => "");
  t.deepEqual(
    hits.map(({ modelId, score }) => [modelId, score]),
    [
      ["zebra", 1],
      ["cow", 1],
      ["ape", 1],
    ],
  );
});

test("a model of several spaces stands once, where it fits best", (t) => {
  const found = [spaceHits("a", 1, { twin: 0.4, one: 0.3 }), spaceHits("b", 1, { twin: 0.8 })];
  const { hits } = mergeHits(query, found, () => "");
  t.deepEqual(
    hits.map(({ modelId, spaceId }) => [modelId, spaceId]),
    [
      ["twin", "b"],
      ["one", "a"],
    ],
  );
});
