import test from "ava";
import fc from "fast-check";
import {
  fromVectorBytes,
  toComparable,
  toVectorArrayBytes,
  toVectorBytes,
} from "../../../../src/vectors/stores/postgres/vector-bytes.js";

test("vectors come back from pgvector's binary format bit for bit", (t) => {
  const numbers = fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true, noDefaultInfinity: true });
  fc.assert(fc.property(numbers, (vector) => t.deepEqual(fromVectorBytes(toVectorBytes(vector)), vector)));
  t.is(toVectorBytes(Float32Array.of(1, -2)).toString("hex"), "00020000" + "3f800000" + "c0000000");
});

test("an array of vectors begins with its dimensions, the type and the count", (t) => {
  const bytes = toVectorArrayBytes([Float32Array.of(1), Float32Array.of(-2)], 16_385);
  const header = "00000001" + "00000000" + "00004001" + "00000002" + "00000001";
  t.is(bytes.toString("hex"), `${header}00000008000100003f8000000000000800010000c0000000`);
});

test("only vectors whose squares leave the range of float32 are scaled", (t) => {
  for (const scale of [1e-14, 1, 1e14]) {
    const vector = Float32Array.of(scale, -scale);
    t.is(toComparable(vector), vector);
  }
  for (const scale of [1e-40, 1e-20, 1e20, 3e38]) {
    const comparable = toComparable(Float32Array.of(3 * scale > 3e38 ? scale : 3 * scale, 0));
    t.deepEqual([...comparable], [1, 0], String(scale));
  }
});
