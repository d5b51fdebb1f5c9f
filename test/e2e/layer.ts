import { randomValues } from "../helpers/random.js";
import type { TestExpertSpec } from "../helpers/rpc-experts.js";

/** The layer that clients in other languages embed. */
export const layerRows = 24;
export const layerColumns = 10;
export const layerValues = randomValues(layerRows * layerColumns, 11);

/** An expert that reads it. */
export const layerExpert: TestExpertSpec = { name: "small", module: "layer", shape: [layerRows, layerColumns] };

/** Most that representations of one layer may differ in, relative L2. */
export const sameResult = 1e-6;
