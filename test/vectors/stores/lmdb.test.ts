import { openLmdbStore } from "../../../src/vectors/stores/lmdb.js";
import { testVectorStore } from "../../contracts/vector-store.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

testVectorStore({
  name: "lmdb",
  create: async (t) => {
    const store = await openLmdbStore(await createTemporaryFolder(t), { threads: 1 });
    t.teardown(() => store.close());
    return store;
  },
  tolerance: 1e-6,
});
