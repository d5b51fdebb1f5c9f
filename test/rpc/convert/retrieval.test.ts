import { create } from "@bufbuild/protobuf";
import test from "ava";
import { PreconditionError } from "../../../src/errors/probestream-error.js";
import {
  ClassifyResponseSchema,
  LabelScoresSchema,
  QueryHitsSchema,
} from "../../../src/gen/probestream/v1/retrieval_service_pb.js";
import type { LabelScores } from "../../../src/retrieval/retrieval-port.js";
import {
  fromWireHits,
  fromWireLabelRemarks,
  fromWireScores,
  toWireHits,
  toWireLabelRemarks,
  toWireScores,
} from "../../../src/rpc/convert/retrieval.js";
import { toPublicModelError } from "../../../src/rpc/to-status.js";

test("texts that were cut and words that are unknown come through the wire as they were told", (t) => {
  const hits = {
    hits: [{ modelId: "m", spaceId: "s", cosine: 0.5 }],
    skipped: [],
    truncated: [{ example: 2, spaceId: "s", tokenCount: 120, maxTokens: 77 }],
    unknownWords: [{ example: 1, spaceId: "s", words: ["purple", "mauve"] }],
  };
  const fail = (): never => t.fail("no space was skipped");
  t.deepEqual(fromWireHits(create(QueryHitsSchema, toWireHits(hits, fail))), hits);
});

test("what is said of labels comes through the wire to the models of its space", (t) => {
  const error = new PreconditionError("TEXT_NOT_JUDGED", "no word", { expert: "e" });
  const told: LabelScores = {
    ...{ spaceId: "s", labels: [{ label: "red", cosine: 0.5 }], isCalibrated: false },
    unjudged: [{ label: "xyzzy", error }],
    doubtful: [{ label: "red dwarf", unknownWords: ["dwarf"], isUnfamiliar: true }],
  };
  const plain: LabelScores = { ...told, spaceId: "t", unjudged: [], doubtful: [] };
  const toError = (thrown: unknown) => toPublicModelError(thrown, () => t.fail("no fault"));
  const remarksOf = fromWireLabelRemarks(create(ClassifyResponseSchema, toWireLabelRemarks([told, plain], toError)));
  const [first, second] = [told, plain].map((one) =>
    fromWireScores(create(LabelScoresSchema, toWireScores(one)), remarksOf),
  );
  t.deepEqual(second, plain);
  t.deepEqual({ ...first, unjudged: [] }, { ...told, unjudged: [] });
  t.is(first?.unjudged[0]?.label, "xyzzy");
  t.like(first?.unjudged[0]?.error, { reason: "TEXT_NOT_JUDGED", message: "no word", facts: { expert: "e" } });
});
