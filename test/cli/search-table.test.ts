import test from "ava";
import { toScoreBar } from "../../src/cli/score-bar.js";
import { toHitLines, toHitRemarks } from "../../src/cli/search-table.js";
import { NotFoundError } from "../../src/errors/probestream-error.js";
import type { ModelHit } from "../../src/retrieval/retrieval-port.js";

const record = {
  ...{ id: "a", spaceId: "s", weightsHash: "", fileHash: "", tree: "sdxl", base: "" },
  ...{ metadata: {}, claims: {}, createdMs: 0, updatedMs: 0 },
};
const hit: ModelHit = { modelId: "a.safetensors", spaceId: "s", cosine: 0.51234, score: 0.9, record };

test("a bar is as wide whatever its share", (t) => {
  for (const share of [-1, 0, 0.004, 0.5, 0.51, 0.99, 1, 2]) t.is([...toScoreBar(share)].length, 10);
  t.is(toScoreBar(0), "··········");
  t.is(toScoreBar(0.5), "█████·····");
  t.is(toScoreBar(0.5125), "█████▏····");
  t.is(toScoreBar(1), "██████████");
});

test("hits with scores are shown with their bars; columns that are empty throughout are left out", (t) => {
  t.deepEqual(
    toHitLines({ hits: [hit, { ...hit, modelId: "b", score: 0.1 }], skipped: [], truncated: [], unknownWords: [] }),
    [
      "#              score  cosine  model          tree",
      "-  ----------  -----  ------  -------------  ----",
      "1  █████████·  0.900   0.512  a.safetensors  sdxl",
      "2  █·········  0.100   0.512  b              sdxl",
    ],
  );
});

test("hits without scores show their cosines, and a remark says how to get scores", (t) => {
  const { score: _, ...bare } = hit;
  const found = { hits: [bare], skipped: [], truncated: [], unknownWords: [] };
  t.regex(toHitLines(found).at(-1) ?? "", /^1 {2}█████▏···· {3}0\.512 {2}a\.safetensors {2}sdxl$/);
  t.regex(toHitRemarks(found, () => "loras")[0] ?? "", /^cosines only: loras has no calibrated scores; `probestream/);
});

test("spaces that had no say are named with their reason", (t) => {
  const error = new NotFoundError("TEXT_ENCODER_MISSING", "no encoder");
  const remarks = toHitRemarks(
    { hits: [hit], skipped: [{ spaceId: "t", expertName: "dense", error }], truncated: [], unknownWords: [] },
    () => "",
  );
  t.deepEqual(remarks, ["not searched: dense: no encoder"]);
});

test("texts that were cut are told once for each space, with the longest", (t) => {
  const cut = { spaceId: "s", tokenCount: 90, maxTokens: 77 };
  const truncated = [
    { ...cut, example: 0 },
    { ...cut, example: 2, tokenCount: 120 },
    { ...cut, example: 0, spaceId: "t" },
  ];
  t.deepEqual(
    toHitRemarks({ hits: [hit], skipped: [], truncated, unknownWords: [] }, (id) => `expert ${id}`),
    [
      "2 texts of the query were cut for expert s: its text encoder takes 77 tokens, and there are 120 in the longest",
      "a text of the query was cut for expert t: its text encoder takes 77 tokens, and there are 90",
    ],
  );
});
