import type { ComputeBackend, Product, ProductSides } from "../compute-backend.js";
import type { Extents } from "../product-shape.js";
import type { Member, Members, Selected } from "./members.js";

/** L and R on whichever backends needed them so far. */
export interface SharedProduct {
  readonly left: Extents | undefined;
  readonly right: Extents | undefined;
  /**
   * The first backend in service that can hold the product, with it.
   *
   * @param refused members that are of no use to the caller, and why.
   * @throws UnavailableError `BACKEND_UNAVAILABLE` if there is none, or what the last said that was of no use, or why L
   * and R could not be made again.
   */
  select(refused?: ReadonlyMap<Member, unknown>): Promise<Selected & { readonly product: Product }>;
  /** Loads the product onto another backend for as long as the work takes. */
  borrow<T>(backend: ComputeBackend, work: (product: Product) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

/**
 * Shares a product among members; it is loaded where it is needed.
 *
 * Memory: L and R once more where there is no way to make them again.
 */
export function createSharedProduct(
  members: Members,
  sides: ProductSides,
  again: (() => Promise<ProductSides>) | undefined,
  onFault: (error: unknown) => void,
): SharedProduct {
  const loaded = new Map<ComputeBackend, Product>();
  /** Members that cannot hold it, and why: too small, say. They may be of use to other products. */
  const unfit = new Map<Member, unknown>();
  // A backend owns what it is given: where the sides cannot be made again, each gets a copy. Closures keep all that they
  // name, so none of them names the sides.
  const kept: ProductSides = again === undefined ? sides : {};
  let fresh: ProductSides | undefined = again === undefined ? undefined : sides;

  const take = async (): Promise<ProductSides> => {
    const given = fresh;
    fresh = undefined;
    if (given !== undefined) return given;
    return again === undefined ? copyOf(kept) : again();
  };

  return {
    left: toExtents(sides.left),
    right: toExtents(sides.right),
    borrow: async (backend, work) => {
      const product = await backend.load(await take());
      try {
        return await work(product);
      } finally {
        await product.dispose();
      }
    },
    select: async (refused = new Map()) => {
      const failed = new Map<Member, unknown>();
      for (;;) {
        const isOfNoUse = { has: (member: Member) => refused.has(member) || unfit.has(member) };
        const selected = await members.select(isOfNoUse).catch((error: unknown) => {
          const lasting = unfit.size === members.count ? unfit : new Map<Member, unknown>();
          throw [lasting, refused, failed].flatMap((reasons) => [...reasons.values()]).at(-1) ?? error;
        });
        const { member, backend } = selected;
        const known = loaded.get(backend);
        if (known !== undefined) return { ...selected, product: known };
        // What a backend held that is out of service went with it.
        for (const other of loaded.keys()) if (!members.isInService(other)) loaded.delete(other);
        const given = await take();
        try {
          const product = await backend.load(given);
          loaded.set(backend, product);
          return { ...selected, product };
        } catch (error) {
          // One that dies of it is made again, and dies of it again.
          if ((await members.survives(selected, error)) || failed.has(member)) unfit.set(member, error);
          failed.set(member, error);
        }
      }
    },
    dispose: async () => {
      for (const [backend, product] of loaded) {
        if (!members.isInService(backend)) continue;
        await product.dispose().catch(onFault);
      }
      loaded.clear();
    },
  };
}

function toExtents(matrix: Extents | undefined): Extents | undefined {
  return matrix === undefined ? undefined : { rows: matrix.rows, columns: matrix.columns };
}

function copyOf({ left, right }: ProductSides): ProductSides {
  return {
    ...(left !== undefined && { left: { ...left, values: left.values.slice() } }),
    ...(right !== undefined && { right: { ...right, values: right.values.slice() } }),
  };
}
