import test from "ava";
import fc from "fast-check";
import { compareText } from "../../src/vectors/compare-text.js";

test("texts compare as their UTF-8 bytes do", (t) => {
  const text = fc.string({
    unit: fc.constantFrom("a", "b", "\u007f", "é", "\ud7ff", "\ue000", "\uffff", "🎨", "\u{10ffff}"),
  });
  fc.assert(
    fc.property(text, text, (a, b) => {
      t.is(Math.sign(compareText(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
});
