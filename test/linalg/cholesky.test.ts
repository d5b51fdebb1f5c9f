import test from "ava";
import fc from "fast-check";
import { InvalidInputError } from "../../src/errors/probestream-error.js";
import { factorise, solve } from "../../src/linalg/cholesky.js";
import { Random } from "../../src/linalg/random.js";

test("a system is solved for all right sides at once", (t) => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }), fc.integer());
  fc.assert(
    fc.property(sizes, ([n, columns, seed]) => {
      const random = new Random(seed);
      const [root, x] = [random.spread(n * n, 1), random.spread(n * columns, 1)];
      // R·Rᵀ + I is positive definite.
      const matrix = Float64Array.from({ length: n * n }, (_, at) => {
        const [row, column] = [Math.floor(at / n), at % n];
        let sum = row === column ? 1 : 0;
        for (let k = 0; k < n; k++) sum += (root[row * n + k] as number) * (root[column * n + k] as number);
        return sum;
      });
      const b = Float64Array.from(x, (_, at) => {
        let sum = 0;
        for (let k = 0; k < n; k++) {
          sum += (matrix[Math.floor(at / columns) * n + k] as number) * (x[k * columns + (at % columns)] as number);
        }
        return sum;
      });
      solve(factorise(matrix, n), n, b, columns);
      return b.every((value, at) => Math.abs(value - (x[at] as number)) < 1e-9);
    }),
  );
  t.pass();
});

test("a matrix that is not positive definite is refused with its pivot", (t) => {
  t.throws(() => factorise(Float64Array.of(1, 2, 2, 1), 2), {
    instanceOf: InvalidInputError,
    message: /pivot 1 is -3/,
  });
});
