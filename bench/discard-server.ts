/**
 * The server with its projection taken out: it parses, orders, digests and answers, but its backend adds nothing up.
 * What it takes in per second is what the transport allows; `ingest.ts` compares the real server with it.
 */
import { parseArgs } from "node:util";
import { tuneCollector } from "../src/cli/tune-collector.js";

const { values } = parseArgs({ options: { experts: { type: "string", default: "experts" } } });
tuneCollector();
// As the real one: the flag is set before anything else is loaded.
const { openCatalogue } = await import("../src/experts/catalogue.js");
const { startServer } = await import("../src/rpc/server.js");
const server = await startServer({
  catalogue: openCatalogue(values.experts),
  computeModule: new URL("./discard-backend.js", import.meta.url),
});
process.stdout.write(`listening on ${server.host}:${server.port} (pid ${process.pid}, projection discarded)\n`);
process.once("SIGTERM", () => void server.close(0).then(() => process.exit(0)));
