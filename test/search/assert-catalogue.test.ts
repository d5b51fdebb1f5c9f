import test from "ava";
import { startEmbedder, startServer } from "../../src/index.js";
import { assertRefused } from "../helpers/assert-refused.js";

const wrongOptions: readonly (readonly [options: unknown, found: string])[] = [
  [undefined, "undefined as options"],
  ["experts", '"experts" as options'],
  [{}, "undefined as options.catalogue"],
  [{ catalogue: null }, "null as options.catalogue"],
  [{ catalogue: "experts" }, '"experts" as options.catalogue'],
  [{ catalogue: { list: () => [] } }, "a value of type object as options.catalogue"],
];

for (const start of [startEmbedder, startServer]) {
  for (const [options, found] of wrongOptions) {
    test(`${start.name} refuses ${found}, ${JSON.stringify(options)}`, async (t) => {
      await assertRefused(t, () => Reflect.apply(start, undefined, [options]), {
        kind: "invalid-input",
        reason: "FIELD_INVALID",
        message: `${start.name} was given ${found}; it needs { catalogue: openCatalogue(FOLDER) }`,
      });
    });
  }
}
