import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot } from "../../bench/repository-root.js";
import { copyClientPackage } from "../../scripts/build-client.js";

/** A folder with the package as `npm install` would put it there: it finds its two dependencies, and no other package. */
export async function installClient(folder: string): Promise<void> {
  const modules = join(folder, "node_modules");
  await copyClientPackage(join(modules, "@probestream/client"));
  for (const name of ["@bufbuild/protobuf", "@grpc/grpc-js"]) {
    await mkdir(join(modules, name, ".."), { recursive: true });
    await symlink(join(repositoryRoot, "node_modules", name), join(modules, name));
  }
}
