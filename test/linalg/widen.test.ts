import test from "ava";
import { dtypeBytes, isDtype } from "../../src/linalg/dtype.js";
import { widen } from "../../src/linalg/widen.js";
import { decode, decodeBits, dtypes, type NarrowDtype, randomNumbers } from "../helpers/decode.js";

const everyPattern = test.macro<[NarrowDtype]>({
  exec: (t, dtype) => {
    const size = dtypeBytes[dtype];
    const count = 2 ** (8 * size);
    const stored =
      size === 2 ? Uint16Array.from({ length: count }, (_, bits) => bits) : Uint8Array.from(Array(count).keys());
    const target = new Float32Array(count);
    widen(new Uint8Array(stored.buffer), dtype, target);
    const wrong: number[] = [];
    // Object.is tells -0 from 0 and takes every NaN for the same.
    for (let bits = 0; bits < count; bits++) if (!Object.is(target[bits], decodeBits(bits, dtype))) wrong.push(bits);
    t.deepEqual(wrong, []);
  },
  title: (_, dtype) =>
    `each of the ${2 ** (8 * dtypeBytes[dtype])} patterns of ${dtype} widens to the number it stands for`,
});
for (const dtype of ["F16", "BF16", "F8_E4M3", "F8_E5M2"] as const) test(everyPattern, dtype);

test("F64 is rounded to the nearest float32", (t) => {
  const numbers = [Math.PI, -1 / 3, 1e300, -1e300, 1e-46, 1 + 2 ** -24, 1 + 3 * 2 ** -24, Number.NaN, -0];
  const target = new Float32Array(numbers.length);
  widen(new Uint8Array(Float64Array.from(numbers).buffer), "F64", target);
  t.deepEqual([...target], numbers.map(Math.fround));
});

for (const dtype of dtypes) {
  test(`${dtype} widens the same at every alignment of its bytes`, (t) => {
    const bytes = randomNumbers(37, dtype, 11);
    const expected = Float32Array.from(decode(bytes, dtype));
    for (let shift = 0; shift < 8; shift++) {
      const shifted = new Uint8Array(bytes.length + shift + 5).fill(0xff);
      shifted.set(bytes, shift);
      const target = new Float32Array(40).fill(7);
      widen(shifted.subarray(shift, shift + bytes.length), dtype, target.subarray(2, 39));
      t.deepEqual(target.subarray(2, 39), expected, `shift ${shift}`);
      widen(Buffer.from(shifted.buffer, shift, bytes.length), dtype, target.subarray(2, 39));
      t.deepEqual(target.subarray(2, 39), expected, `shift ${shift} of a Buffer`);
      t.deepEqual(
        [...target.subarray(0, 2), ...target.subarray(39)],
        [7, 7, 7],
        "nothing beside the target is written",
      );
    }
  });
}

test("no bytes widen to nothing", (t) => {
  for (const dtype of dtypes) t.notThrows(() => widen(new Uint8Array(0), dtype, new Float32Array(0)));
});

test("only names of readable element types are element types", (t) => {
  for (const dtype of dtypes) t.true(isDtype(dtype));
  for (const name of ["I8", "U8", "f32", "toString", "__proto__", ""]) t.false(isDtype(name));
});
