import test from "ava";
import fc from "fast-check";
import { transpose } from "../../src/linalg/transpose.js";
import { randomMatrix } from "../helpers/random.js";

const extent = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(31, 32, 33, 64, 65, 97));

test("the transpose holds at [j, i] what the matrix holds at [i, j]", (t) => {
  fc.assert(
    fc.property(extent, extent, fc.nat(), (rows, columns, seed) => {
      const matrix = randomMatrix(rows, columns, seed);
      const turned = transpose(matrix);
      t.is(turned.rows, columns);
      t.is(turned.columns, rows);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          if (turned.values[j * rows + i] !== matrix.values[i * columns + j]) return false;
        }
      }
      return true;
    }),
    { numRuns: 60 },
  );
});

test("a matrix transposed twice is itself", (t) => {
  fc.assert(
    fc.property(extent, extent, fc.nat(), (rows, columns, seed) => {
      const matrix = randomMatrix(rows, columns, seed);
      t.deepEqual(transpose(transpose(matrix)), matrix);
    }),
    { numRuns: 60 },
  );
});
