import test from "ava";
import { toLabelRemarks } from "../../src/cli/label-remarks.js";
import { toHitRemarks } from "../../src/cli/search-table.js";
import { PreconditionError } from "../../src/errors/probestream-error.js";

test("each kind of doubt of labels has a line with their names", (t) => {
  const unknown = new PreconditionError("TEXT_NOT_JUDGED", "no word");
  const far = new PreconditionError("TEXT_NOT_JUDGED", "far", { distance: 0.6, radius: 0.3 });
  const unjudged = [
    { label: "unicorn", error: unknown },
    { label: "an elephant", error: far },
    { label: "a dragon", error: far },
  ];
  const doubtful = [
    { label: "circle", unknownWords: [], isUnfamiliar: true },
    { label: "purple cross", unknownWords: ["purple"], isUnfamiliar: false },
  ];
  t.deepEqual(toLabelRemarks({ unjudged, doubtful }, "pictures"), [
    "left out, for the text encoder of pictures knows no word of them: unicorn",
    "left out, for they are far from what pictures was trained on: an elephant, a dragon",
    "not calibrated, for these labels are far from those that pictures was trained on: circle",
    "the text encoder of pictures does not know: purple",
  ]);
  t.deepEqual(toLabelRemarks({ unjudged: [], doubtful: [] }, "pictures"), []);
});

test("words of a query that are unknown are told once for each space", (t) => {
  const unknownWords = [
    { example: 0, spaceId: "s", words: ["purple"] },
    { example: 1, spaceId: "s", words: ["mauve", "purple"] },
    { example: 0, spaceId: "t", words: ["purple"] },
  ];
  t.deepEqual(
    toHitRemarks({ hits: [], skipped: [], truncated: [], unknownWords }, (id) => `expert ${id}`),
    ["the text encoder of expert s does not know: purple, mauve", "the text encoder of expert t does not know: purple"],
  );
});
