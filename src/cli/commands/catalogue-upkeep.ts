import { resolve } from "node:path";
import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { usageError } from "../exit-codes.js";
import { isPostgresUrl, openOwnStore } from "../open-store.js";
import {
  addRetrievalOptions,
  assertRetrievalOptions,
  defaultStore,
  type RetrievalOptions,
} from "../retrieval-options.js";
import { toPlain } from "../table.js";

const compactHelp = `
Room that replaced and deleted models hold is used for new ones. Safe beside a server and other
commands. The file of a folder does not become smaller by it; a snapshot is as small as it can be.

Exit codes: 0 done; 2 the command line is wrong; 3 no store.

Examples:
  $ probestream catalogue compact --local
  $ probestream catalogue compact --local --store postgres://probestream@db/models
`;

const snapshotHelp = `
Copies the store as it is now, beside a server and other commands that use it. The copy is a
store itself (--store FOLDER), and \`catalogue restore\` brings it back. Of a PostgreSQL database
pg_dump makes such a copy.

Exit codes: 0 done; 2 the command line is wrong; 3 no store, or there is something in FOLDER.

Examples:
  $ probestream catalogue snapshot /backup/monday --local --store models
`;

const restoreHelp = `
Copies a snapshot to a folder that is empty or not there: stop what uses the store and move it
away first.

Exit codes: 0 done; 2 the command line is wrong; 3 no snapshot, or there is something in FOLDER.

Examples:
  $ probestream catalogue restore /backup/monday models
`;

/** Adds `catalogue compact`. */
export function addCatalogueCompact(catalogue: Command, context: CommandContext): void {
  const command = catalogue.command("compact").description("Gives back room that replaced and deleted models hold.");
  addRetrievalOptions(command, context.environment.server)
    .addHelpText("after", compactHelp)
    .action(async (options: RetrievalOptions) => {
      const place = toPlace(options, "compact");
      await assertStore(place);
      const store = await openOwnStore(place, context, { makesStore: false });
      try {
        await store.compact();
        context.terminal.remark(toPlain(`${store.description}: compacted`));
      } finally {
        await store.close();
      }
    });
}

/** Adds `catalogue snapshot`. */
export function addCatalogueSnapshot(catalogue: Command, context: CommandContext): void {
  const command = catalogue.command("snapshot").description("Copies a store to another folder while it is used.");
  addRetrievalOptions(command.argument("<folder>", "where to; empty or not there"), context.environment.server)
    .addHelpText("after", snapshotHelp)
    .action(async (folder: string, options: RetrievalOptions) => {
      const place = toPlace(options, "snapshot");
      if (isPostgresUrl(place))
        throw usageError("a PostgreSQL database is copied with pg_dump; snapshots are of folders");
      await assertStore(place);
      const { openLmdbStore } = await import("../../vectors/stores/lmdb.js");
      const store = await openLmdbStore(place);
      try {
        await store.snapshot(folder);
        context.terminal.remark(toPlain(`${store.description}: copied to ${resolve(folder)}`));
      } finally {
        await store.close();
      }
    });
}

/** Adds `catalogue restore`. */
export function addCatalogueRestore(catalogue: Command, context: CommandContext): void {
  catalogue
    .command("restore")
    .description("Puts a snapshot in the place of a store.")
    .argument("<snapshot>", "folder that `catalogue snapshot` made")
    .argument("<folder>", "where to; empty or not there")
    .addHelpText("after", restoreHelp)
    .action(async (snapshot: string, folder: string) => {
      for (const place of [snapshot, folder]) {
        if (isPostgresUrl(place)) throw usageError("snapshots are of folders; a database is restored with pg_restore");
      }
      const { restoreSnapshot } = await import("../../vectors/stores/lmdb/snapshot.js");
      await restoreSnapshot(snapshot, folder);
      context.terminal.remark(toPlain(`${snapshot}: restored to ${resolve(folder)}`));
    });
}

/** The store that a command works on: only in this process. */
function toPlace(options: RetrievalOptions, name: string): string {
  assertRetrievalOptions(options);
  if (options.local === true) return options.store ?? defaultStore;
  throw usageError(
    `\`catalogue ${name}\` works on a store and not through a server; give --local, and --store where it is`,
  );
}

/** Opening would make a folder that is not there. */
async function assertStore(place: string): Promise<void> {
  if (isPostgresUrl(place)) return;
  const { assertSnapshot } = await import("../../vectors/stores/lmdb/snapshot.js");
  await assertSnapshot(place, "store");
}
