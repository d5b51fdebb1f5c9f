import test from "ava";
import { isHubModel, parseHubModel } from "../../../src/weights/hub/hub-model.js";
import { assertRefused } from "../../helpers/assert-refused.js";

test("a model id has an owner, a name, and perhaps a revision", (t) => {
  t.deepEqual(parseHubModel("Xenova/clip-vit-base-patch32"), {
    name: "Xenova/clip-vit-base-patch32",
    revision: "main",
  });
  t.deepEqual(parseHubModel("a_b/c.d-1@refs/pr/2"), { name: "a_b/c.d-1", revision: "refs/pr/2" });
});

for (const text of [
  "model",
  "/a/b",
  "a/b/c",
  "./a",
  "../b",
  "a/..",
  "a/b--c",
  "-a/b",
  "a/b@",
  "a/b@../c",
  "a/b@c//d",
  "",
]) {
  test(`"${text}" is no model id`, async (t) => {
    await assertRefused(t, () => parseHubModel(text), {
      kind: "invalid-input",
      reason: "FIELD_INVALID",
      message: `"${text}" is no model id; one is OWNER/NAME, or OWNER/NAME@REVISION with a branch, tag or commit`,
    });
    t.false(isHubModel(text) && !text.includes("@"));
  });
}
