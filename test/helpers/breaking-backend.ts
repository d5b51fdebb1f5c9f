import { createPlainBackend } from "../../src/compute/backends/plain.js";
import type { ComputeBackend } from "../../src/compute/compute-backend.js";

/** How a backend breaks. */
export interface Breakage {
  /** Calls of `add` that work, over all sums. */
  readonly afterAdds: number;
  /** What goes wrong then: a call throws for good, or numbers come out as NaN. */
  readonly how: "throw" | "nan";
  /** Whether its sums are gone with it. */
  readonly isVolatile: boolean;
  /** How often it breaks: once, and works when it is created again; or always. Default once. */
  readonly often?: "once" | "always";
}

/** A device that dies: the plain backend until it has added so many blocks. */
export function createBreakingBackends({ afterAdds, how, isVolatile, often = "once" }: Breakage): {
  readonly create: () => Promise<ComputeBackend>;
  readonly created: () => number;
  readonly disposed: () => number;
  /** Breaks the one that was created last, whatever it has added. */
  readonly kill: () => void;
} {
  let created = 0;
  let kill = (): void => {};
  let disposed = 0;
  const create = async (): Promise<ComputeBackend> => {
    created++;
    const breaks = often === "always" || created === 1;
    let left = afterAdds;
    let isDead = false;
    kill = () => {
      isDead = true;
    };
    const plain = createPlainBackend();
    const assertAlive = (): void => {
      if (isDead && (how === "throw" || !isVolatile)) throw new Error("the device is lost");
    };
    return {
      name: "breaking",
      device: "a device that dies",
      isVolatile,
      load: async (sides) => {
        if (isDead) throw new Error("the device is lost");
        const product = await plain.load(sides);
        return {
          ...product,
          dispose: async () => {
            assertAlive();
            await product.dispose();
          },
          open: (shape) => {
            const sum = product.open(shape);
            let isSpoilt = false;
            return {
              ...sum,
              uses: () => [],
              add: async (block) => {
                if (breaks && left-- <= 0) isDead = true;
                if (isDead && how === "throw") throw new Error("the device is lost");
                await sum.add(block);
                isSpoilt ||= isDead;
              },
              isFinite: async () => {
                if (isVolatile) assertAlive();
                return !isSpoilt && (await sum.isFinite());
              },
              read: async () => {
                if (isVolatile) assertAlive();
                const values = await sum.read();
                return isSpoilt ? values.fill(Number.NaN) : values;
              },
            };
          },
        };
      },
      dispose: async () => {
        disposed++;
      },
    };
  };
  return { create, created: () => created, disposed: () => disposed, kill: () => kill() };
}
