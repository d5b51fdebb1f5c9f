import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openServed } from "../../src/cli/open-served.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

function createContext(): { readonly remarks: string[]; readonly context: Parameters<typeof openServed>[1] } {
  const remarks: string[] = [];
  const terminal = {
    ...{ print: async () => {}, showStatus: () => {}, hasStatus: false, columns: 80 },
    remark: (line: string) => {
      remarks.push(line);
    },
  };
  const hub = { endpoint: undefined, cacheFolder: "/nowhere", isOffline: true };
  const own = { server: "127.0.0.1:1", hubToken: undefined, serverToken: undefined };
  const environment = { ...own, hub, probesFolder: "/nowhere", useColor: false };
  return { remarks, context: { terminal, environment, signal: new AbortController().signal } };
}

test("a server with a catalogue takes the text encoder beside its experts, and says what it has", async (t) => {
  const folder = await createTemporaryFolder(t);
  const { remarks, context } = createContext();
  const experts = join("demo", "experts");
  const served = await openServed({ experts, store: join(folder, "store") }, context);
  t.teardown(() => served.close());
  t.is(served.encoders?.length, 1);
  t.deepEqual(remarks, [`text encoder ${join("demo", "text-encoder")} (beside the experts)`]);
  const without = await openServed({ experts }, context);
  t.teardown(() => without.close());
  t.is(without.encoders?.length, 0, "what keeps no catalogue searches nothing");
});

test("a server says that it has no text encoder, and does without one beside its experts that does not start", async (t) => {
  const folder = await createTemporaryFolder(t);
  const { remarks, context } = createContext();
  const experts = join(folder, "experts");
  await cp(join("demo", "experts"), experts, { recursive: true });
  const options = { experts, store: join(folder, "store") };
  const bare = await openServed(options, context);
  await bare.close();
  t.deepEqual(remarks.splice(0), ["no text encoder: to search in words, give --text-encoder"]);
  await mkdir(join(folder, "text-encoder"));
  await writeFile(join(folder, "text-encoder", "tokenizer.json"), "{}");
  const broken = await openServed(options, context);
  await broken.close();
  t.is(broken.encoders?.length, 0);
  t.regex(remarks.join("\n"), /text-encoder \(beside the experts\) is not used: ./);
  const named = { ...options, textEncoder: [join(folder, "text-encoder")] };
  await t.throwsAsync(openServed(named, context), undefined, "one that is named is needed");
});
