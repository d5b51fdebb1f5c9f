import anyTest, { type TestFn } from "ava";
import { openRawClient, type RawClient } from "./rpc-client.js";
import { startTestServer, type TestServer } from "./rpc-server.js";
import { large, small } from "./rpc-uploads.js";

/** The test function of a file whose tests upload to one server, which has the experts `large` and `small`. */
export function createUploadsTest(): TestFn<{ server: TestServer; client: RawClient }> {
  const test = anyTest as TestFn<{ server: TestServer; client: RawClient }>;
  test.before(async (t) => {
    const server = await startTestServer([large, small], { backend: "onnx" });
    t.context = { server, client: openRawClient(server.target) };
  });
  test.after.always(async (t) => {
    t.context.client.close();
    await t.context.server.close();
  });
  return test;
}
