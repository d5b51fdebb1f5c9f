import test from "ava";
import { createRegions } from "../../../../src/compute/backends/wasm/regions.js";
import { pageBytes, wasmEngine } from "../../../../src/compute/backends/wasm/web-assembly.js";
import { createRandom } from "../../../helpers/random.js";

test("regions never overlap, and the memory holds all of them", (t) => {
  const memory = new wasmEngine.Memory({ initial: 1 });
  const regions = createRegions(memory);
  const random = createRandom(1);
  const open: { begin: number; end: number }[] = [];
  for (let i = 0; i < 3000; i++) {
    if (random() < 0.5 && open.length > 0) {
      const [one] = open.splice(Math.floor(random() * open.length), 1);
      regions.free(one?.begin ?? 0);
      continue;
    }
    const length = Math.ceil(random() * 100_000);
    const begin = regions.allocate(length);
    const end = begin + length;
    t.true(begin > 0 && begin % 64 === 0 && end <= memory.buffer.byteLength);
    t.true(open.every((other) => end <= other.begin || begin >= other.end));
    open.push({ begin, end });
  }
});

test("regions that were given back join, so that a larger one fits in their place", (t) => {
  const memory = new wasmEngine.Memory({ initial: 1 });
  const regions = createRegions(memory);
  const some = [100, 200, 300].map((length) => regions.allocate(length * 100));
  for (const address of [some[1], some[0], some[2]]) regions.free(address ?? 0);
  const before = memory.buffer.byteLength;
  t.is(regions.allocate(60_000), 64);
  t.is(memory.buffer.byteLength, before);
});

test("an empty region is a region", (t) => {
  const regions = createRegions(new wasmEngine.Memory({ initial: 0 }));
  t.not(regions.allocate(0), regions.allocate(0));
});

test("a region is given back only once", (t) => {
  const regions = createRegions(new wasmEngine.Memory({ initial: 1 }));
  const address = regions.allocate(1);
  regions.free(address);
  t.throws(() => regions.free(address), { message: /no region begins/ });
});

test("more than the memory can grow to is refused, with what is missing", (t) => {
  const memory = new wasmEngine.Memory({ initial: 1, maximum: 2 });
  const regions = createRegions(memory);
  t.throws(() => regions.allocate(3 * pageBytes), { message: /cannot take \d+ bytes beside the 65536 it has/ });
  t.is(regions.allocate(1), 64);
});
