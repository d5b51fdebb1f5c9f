import test from "ava";
import { Client } from "../../clients/typescript/src/client.js";
import type { ProbestreamClient } from "../../src/rpc/client.js";

test("a question where a model belongs leaves its training log out, as embedding does", async (t) => {
  const asked: [string, string][] = [];
  const port: Pick<ProbestreamClient, "route"> = {
    route: async ({ metadata }) => {
      asked.push(...metadata);
      return { decision: "no-expert", candidates: [], tensors: [], prefixBytes: 0 };
    },
  };
  const arrays = { a: { shape: [1], data: Float32Array.of(1) } };
  await new Client(port as ProbestreamClient).route({ arrays, metadata: { log: "x".repeat(1025), rank: "8" } });
  t.deepEqual(asked, [["rank", "8"]]);
});
