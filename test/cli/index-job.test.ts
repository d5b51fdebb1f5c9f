import test from "ava";
import { fromJob } from "../../src/cli/index-job.js";
import { assertRefused } from "../helpers/assert-refused.js";

test("a job of something else is refused without the query of its URL, which may hold a token", async (t) => {
  const location = "https://models.example/m.safetensors?X-Amz-Signature=secret";
  await assertRefused(t, () => fromJob({ location, options: { id: 1 } }), {
    reason: "FIELD_INVALID",
    message: 'the job for "https://models.example/m.safetensors" is none of `probestream index --queue`',
  });
});
