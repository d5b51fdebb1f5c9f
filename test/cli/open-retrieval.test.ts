import { join } from "node:path";
import test from "ava";
import { openCatalogueOf } from "../../src/cli/open-retrieval.js";
import { NotFoundError } from "../../src/errors/probestream-error.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const context = {
  terminal: { print: async () => {}, remark: () => {}, showStatus: () => {}, hasStatus: false, columns: 80 },
  environment: {
    ...{
      server: "127.0.0.1:1",
      hubToken: undefined,
      serverToken: undefined,
      probesFolder: "/nowhere",
      useColor: false,
    },
    hub: { endpoint: undefined, cacheFolder: "/nowhere", isOffline: true },
  },
  signal: new AbortController().signal,
  isDebug: false,
  exit: () => {},
};

test("an expert that was not there is looked for again when it is asked for again", async (t) => {
  const folder = await createTemporaryFolder(t);
  const experts = join(folder, "experts");
  await writeExpert(join(experts, "first"), createExpertParameters({ rows: 6, columns: 5 }));
  const opened = await openCatalogueOf({ local: true, experts, store: join(folder, "store") }, context, {
    makesStore: true,
  });
  t.teardown(() => opened.close());
  await t.throwsAsync(opened.embedder(["second"]), { instanceOf: NotFoundError });
  await writeExpert(join(experts, "second"), createExpertParameters({ rows: 6, columns: 5, seed: 9 }));
  const { port, experts: wanted } = await opened.embedder(["second"]);
  t.deepEqual(wanted, ["second"]);
  // The same again starts nothing again.
  t.is((await opened.embedder(["second"])).port, port);
});
