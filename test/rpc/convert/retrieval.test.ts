import { create } from "@bufbuild/protobuf";
import test from "ava";
import { QueryHitsSchema } from "../../../src/gen/probestream/v1/retrieval_service_pb.js";
import { fromWireHits, toWireHits } from "../../../src/rpc/convert/retrieval.js";

test("texts that were cut come through the wire as they were told", (t) => {
  const hits = {
    hits: [{ modelId: "m", spaceId: "s", cosine: 0.5 }],
    skipped: [],
    truncated: [{ example: 2, spaceId: "s", tokenCount: 120, maxTokens: 77 }],
  };
  const fail = (): never => t.fail("no space was skipped");
  t.deepEqual(fromWireHits(create(QueryHitsSchema, toWireHits(hits, fail))), hits);
});
