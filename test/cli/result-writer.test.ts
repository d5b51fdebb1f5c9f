import test from "ava";
import { createTableWriter } from "../../src/cli/result-writer.js";

test("the table shows the time spent on a model, without waits for models that share its block", (t) => {
  const { toLines } = createTableWriter({ textLabels: [], top: undefined }, ["a.safetensors"]);
  const embedding = {
    spaceId: "0".repeat(64),
    expertName: "one",
    representation: new Float32Array(4),
    cosines: new Float32Array(0),
    logits: new Float32Array(0),
    probabilities: Float32Array.of(0.25, 0.75),
    labels: ["cats", "dogs"],
  };
  const outcome = {
    index: 0,
    location: "a.safetensors",
    outcome: {
      embeddings: [embedding],
      bytesReceived: 2048,
      bytesTotal: 2048,
      rowsProjected: 8,
      weightsHash: "",
      timings: { total: 742, receive: 0.1, wait: 300, digest: 0.2, project: 0.25, head: 0.25 },
      backends: [],
    },
  };
  const [heading = "", , line = "", ...more] = toLines(outcome);
  t.regex(heading, /^file +expert +ms +labels \(probability\)$/);
  t.regex(line, /^a\.safetensors +one +0\.8 {2}dogs 0\.750, cats 0\.250$/);
  t.deepEqual(more, []);
  t.deepEqual(toLines(outcome), [line]);
});
