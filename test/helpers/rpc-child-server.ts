import { openCatalogue } from "../../src/experts/catalogue.js";
import { startServer } from "../../src/rpc/server.js";

// Run as a program: node rpc-child-server.js CATALOGUE [COMPUTE-MODULE]. Prints its port and serves until it is killed.
const [catalogue = "", computeModule] = process.argv.slice(2);
const { port } = await startServer({
  catalogue: openCatalogue(catalogue),
  ...(computeModule !== undefined && { computeModule: new URL(computeModule) }),
});
process.stdout.write(`${port}\n`);
