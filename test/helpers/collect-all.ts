import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");

/**
 * Collects all garbage, buffers outside the heap included. Asked for by its type alone, Node 20's collector leaves those
 * that have outlived two collections.
 */
export const collectAll: () => void = runInNewContext("gc");
