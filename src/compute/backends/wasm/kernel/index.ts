// The kernel's exports. Addresses are byte offsets in the imported memory, which `../regions.ts` shares out.
export { packPanels } from "./panel";
export { addStrip } from "./strip";
export { addSums, clearSum, isFiniteSum } from "./sum";
