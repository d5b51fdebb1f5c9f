import test from "ava";
import { createOptionRemarks } from "../../src/cli/option-remarks.js";
import type { RetrievalPort } from "../../src/retrieval/retrieval-port.js";

test("the catalogue is asked once of a tree, however many queries find no model of it", async (t) => {
  let asked = 0;
  const space = { spaceId: "0".repeat(64), expertName: "e", width: 2, count: 3, indexed: 0, state: "serving" } as const;
  const port: Pick<RetrievalPort, "listSpaces" | "listModels"> = {
    listSpaces: async () => ({
      store: "memory",
      spaces: [{ ...space, isCalibrated: false, isExpertPresent: true, fields: [] }],
    }),
    listModels: async () => {
      asked++;
      return { records: [], nextPageToken: "" };
    },
  };
  const toRemarks = createOptionRemarks({ tree: ["sdxl"] }, port);
  const none = { hits: [], skipped: [], truncated: [], unknownWords: [] };
  for (let query = 0; query < 3; query++) {
    t.deepEqual(await toRemarks(none), ['--tree: no model is of a tree "sdxl"']);
  }
  t.is(asked, 1);
});
