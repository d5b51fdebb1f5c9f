import test from "ava";
import { createPlainBackend } from "../../src/compute/backends/plain.js";
import type { ComputeBackend, Product, RowBlock } from "../../src/compute/compute-backend.js";
import type { BackendCandidate } from "../../src/compute/failover/members.js";
import { createFailoverBackend } from "../../src/compute/failover-backend.js";
import { PreconditionError, UnavailableError } from "../../src/errors/probestream-error.js";
import { createBreakingBackends } from "../helpers/breaking-backend.js";
import { expectedSum, plain, sides, toBlocks, x } from "../helpers/failover-sums.js";
import { relativeError } from "../helpers/oracle.js";

/** The plain backend on a device that refuses sides of more than 100 numbers, and may die of them. */
function createSmallBackends(refusal: () => Error, then: "lives" | "dies" = "lives"): BackendCandidate {
  const create = async (): Promise<ComputeBackend> => {
    let isDead = false;
    const backend = createPlainBackend();
    return {
      ...backend,
      name: "small",
      load: async (given) => {
        const isTooLarge = (given.left?.values.length ?? 0) > 100;
        isDead ||= isTooLarge && then === "dies";
        if (isTooLarge || isDead) throw refusal();
        return backend.load(given);
      },
    };
  };
  return { name: "small", create };
}

/** The plain backend under another name, which refuses blocks of zeros and goes on to work. */
function createPickyBackends(name: string, isVolatile: boolean): BackendCandidate {
  const create = async (): Promise<ComputeBackend> => {
    const backend = createPlainBackend();
    return {
      ...backend,
      name,
      isVolatile,
      load: async (given) => {
        const product = await backend.load(given);
        return {
          ...product,
          open: (shape) => {
            const sum = product.open(shape);
            return {
              ...sum,
              add: async (block) => {
                if (block.bytes.every((byte) => byte === 0)) throw new Error(`${name} does not take zeros`);
                await sum.add(block);
              },
            };
          },
        };
      },
    };
  };
  return { name, create };
}

test("a load that every backend refuses says why, each time, and none goes out of service", async (t) => {
  const refusing = createSmallBackends(() => new UnavailableError("BACKEND_UNAVAILABLE", "too large"));
  const backend = await createFailoverBackend([refusing]);
  for (let use = 0; use < 2; use++) {
    await t.throwsAsync(backend.load(sides()), { instanceOf: UnavailableError, message: "too large" });
  }
  t.is(backend.name, "small");
});

test("a backend that dies of a product, whenever it is made again, is not tried with it for ever", async (t) => {
  const refusing = createSmallBackends(() => new Error("the device is lost"), "dies");
  const backend = await createFailoverBackend([refusing, plain], { restMs: 0 });
  const sum = (await backend.load(sides())).open(x);
  for (const block of toBlocks([])) await sum.add(block);
  t.is(sum.uses()[0]?.name, "plain");
});

test("sides that cannot be made again are told as such, and no backend is blamed", async (t) => {
  const device = createBreakingBackends({ afterAdds: 1, how: "throw", isVolatile: true });
  const backend = await createFailoverBackend([{ name: "breaking", create: device.create }, plain]);
  const product = await backend.load(sides(), async () => {
    throw new PreconditionError("PLAN_STALE", "the expert changed");
  });
  const sum = product.open(x);
  await t.throwsAsync(
    async () => {
      for (const block of toBlocks([10, 10])) await sum.add(block);
    },
    { message: "the expert changed" },
  );
  t.is(backend.name, "plain");
});

test("where one backend rests and the other cannot hold a product, the error says why the first rests", async (t) => {
  const device = createBreakingBackends({ afterAdds: 0, how: "throw", isVolatile: true });
  const refusing = createSmallBackends(() => new UnavailableError("BACKEND_UNAVAILABLE", "too large"));
  const backend = await createFailoverBackend([{ name: "breaking", create: device.create }, refusing]);
  const product = await backend.load(sides());
  const [block] = toBlocks([]) as [RowBlock];
  await t.throwsAsync(product.open(x).add(block), { message: "too large" });
  await t.throwsAsync(product.open(x).add(block), {
    instanceOf: UnavailableError,
    message: /^no compute backend is in service \(of breaking, small\): the device is lost;/,
  });
});

test("a block that every backend refuses is told as such, and none goes out of service", async (t) => {
  const [first, second] = [createPickyBackends("first", true), createPickyBackends("second", false)];
  const faults: unknown[] = [];
  const backend = await createFailoverBackend([first, second], { onFault: (error) => faults.push(error) });
  const product = await backend.load(sides());
  const sum = product.open(x);
  const [good, bad] = toBlocks([20]) as [RowBlock, RowBlock];
  await sum.add(good);
  const isPoison = { ...bad, bytes: new Uint8Array(bad.bytes.byteLength) };
  await t.throwsAsync(sum.add(isPoison), { message: "second does not take zeros" });
  t.is(faults.length, 2);
  await sum.dispose();
  t.is(backend.name, "first");
  const other = product.open(x);
  for (const block of [good, bad]) await other.add(block);
  t.true(relativeError(await other.read(), expectedSum) < 1e-6);
  t.deepEqual(
    other.uses().map(({ name }) => name),
    ["first"],
  );
});

test("a sum that a backend has no room for goes to the next, and the backend stays in service", async (t) => {
  for (const isVolatile of [false, true]) {
    const create = async (): Promise<ComputeBackend> => {
      const backend = createPlainBackend();
      const load: ComputeBackend["load"] = async (given) => {
        const product = await backend.load(given);
        const open: Product["open"] = (shape) => {
          if (shape.rows > 20) throw new UnavailableError("BACKEND_UNAVAILABLE", "a sum is too tall");
          return product.open(shape);
        };
        return { ...product, open };
      };
      return { ...backend, name: "low", isVolatile, load };
    };
    const backend = await createFailoverBackend([{ name: "low", create }, plain]);
    const product = await backend.load(sides());
    const sum = product.open(x);
    for (const block of toBlocks([20])) await sum.add(block);
    t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
    t.deepEqual(
      sum.uses().map(({ name }) => name),
      ["plain"],
    );
    t.is(backend.name, "low");
  }
});

test("a sum that leaves a CPU takes its numbers along, not the memory they lay in", async (t) => {
  const picky = createPickyBackends("first", false);
  const create = async (): Promise<ComputeBackend> => {
    const backend = await picky.create();
    const load: ComputeBackend["load"] = async (given) => {
      const product = await backend.load(given);
      const open: Product["open"] = (shape) => {
        const sum = product.open(shape);
        const memory = new Float32Array(sum.rows * sum.columns);
        const read = async (): Promise<Float32Array> => {
          memory.set(await sum.read());
          return memory;
        };
        // Used again for another sum.
        const dispose = async (): Promise<void> => {
          memory.fill(7);
        };
        return { ...sum, read, dispose };
      };
      return { ...product, open };
    };
    return { ...backend, load };
  };
  const backend = await createFailoverBackend([{ name: "first", create }, plain]);
  const sum = (await backend.load(sides())).open(x);
  const [begin, end] = toBlocks([20]) as [RowBlock, RowBlock];
  await sum.add(begin);
  await sum.add({ ...end, bytes: new Uint8Array(end.bytes.byteLength) });
  await sum.add(end);
  t.true(relativeError(await sum.read(), expectedSum) < 1e-6);
  t.is(backend.name, "first");
});

test("a product that a backend cannot hold goes to the next, and others stay", async (t) => {
  const small = createSmallBackends(() => new UnavailableError("BACKEND_UNAVAILABLE", "too large"));
  const backend = await createFailoverBackend([small, plain]);
  const large = (await backend.load(sides())).open(x);
  for (const block of toBlocks([])) await large.add(block);
  t.true(relativeError(await large.read(), expectedSum) < 1e-6);
  t.is(backend.name, "small");
});
