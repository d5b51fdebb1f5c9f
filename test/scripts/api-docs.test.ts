import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { toApiPage } from "../../scripts/api-docs/to-api-page.js";
import { readContract } from "../../scripts/write-api-docs.js";

test("the reference of the API is what the comments say, and leaves nothing of the contract out", async (t) => {
  const image = await readContract();
  const page = toApiPage(image, "probestream.v1");
  t.is(page, await readFile(join(repositoryRoot, "docs/api.md"), "utf8"), "run `npm run docs:api`");

  const headings = new Set(page.match(/(?<=^#{3,4} ).*/gm));
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  for (const file of registry.files) {
    if (file.proto.package !== "probestream.v1") continue;
    for (const service of file.services) {
      for (const { name } of service.methods) t.true(headings.has(`${service.name}.${name}`), name);
    }
    for (const { name } of [...file.messages, ...file.enums]) t.true(headings.has(name), name);
  }
  t.regex(page, /\| `digest` \| 2 \| `bytes` \| Integrity check, 32 bytes: .* \|/);
});

test("links of the reference lead to places that it has", async (t) => {
  const page = await readFile(join(repositoryRoot, "docs/api.md"), "utf8");
  const anchors = new Set(Array.from(page.matchAll(/^#+ (.*)$/gm), ([, heading = ""]) => heading.toLowerCase()));
  const links = Array.from(page.matchAll(/\]\(#([^)]+)\)/g), ([, anchor = ""]) => anchor);
  t.true(links.length > 100);
  t.deepEqual(
    links.filter((anchor) => !anchors.has(anchor)),
    [],
  );
});
