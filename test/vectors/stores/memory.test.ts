import { createMemoryStore } from "../../../src/vectors/stores/memory.js";
import { testVectorStore } from "../../contracts/vector-store.js";

testVectorStore({
  name: "memory",
  create: async (t) => {
    const store = createMemoryStore();
    t.teardown(() => store.close());
    return store;
  },
  tolerance: 1e-12,
});
