import test from "ava";
import { createWeights, exactColumns, takeColumns, toServerBlocks } from "../../bench/projection-layer.js";
import { decode } from "../helpers/decode.js";
import { multiply, relativeError, turned } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";

test("weights of a bench are the same numbers in every element type, as far as it holds them", (t) => {
  const exact = decode(createWeights(1000, "F32", 1), "F32");
  t.true(relativeError(decode(createWeights(1000, "F16", 1), "F16"), exact) < 2 ** -10);
  t.true(relativeError(decode(createWeights(1000, "BF16", 1), "BF16"), exact) < 2 ** -7);
});

test("the checked columns of a bench are those of the whole product", (t) => {
  const [rows, columns] = [130, 5000];
  const bytes = createWeights(rows * columns, "F32", 2);
  const [left, right] = [randomMatrix(rows, 4, 3), randomMatrix(columns, 3, 4)];
  const blocks = toServerBlocks(bytes, "F32", rows, columns);
  t.true(blocks.length > 1);
  const whole = multiply(turned(left), multiply({ rows, columns, values: decode(bytes, "F32") }, right));
  const expected = takeColumns(Float32Array.from(whole.values), 3, 2);
  t.true(relativeError(exactColumns(left, right, blocks, 2), expected) < 1e-6);
});
