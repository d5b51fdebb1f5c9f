import { type Command, Option } from "commander";
import type { BackendName } from "../compute/create-backend.js";
import { addConnectionOptions } from "./connection-options.js";
import { usageError } from "./exit-codes.js";
import { collectWord } from "./option-values.js";
import type { ConnectionOptions } from "./server-connection.js";

/** Folder of a catalogue in this process where nothing else is said. */
export const defaultStore = "probestream-store";

/** Options of every command that works on a catalogue. */
export interface RetrievalOptions extends ConnectionOptions {
  readonly local?: boolean;
  readonly store?: string;
  readonly experts?: string;
  readonly textEncoder?: readonly string[];
  /** Of commands that embed many models only. */
  readonly backend?: BackendName | "auto";
}

/** What `--help` says of servers and stores. */
export const storeHelp = `
The catalogue is a server's (\`serve --store\`), or with --local a store in this process:
--store names its folder (made by what writes into it) or a PostgreSQL database
(postgres://USER@HOST/NAME). Many processes may read a folder, also while a server uses it.
`;

/** Adds the options of {@link RetrievalOptions} to a command. */
export function addRetrievalOptions(command: Command, fallback: string): Command {
  return addConnectionOptions(command, fallback)
    .addOption(new Option("--local", "work in this process instead of on a server").conflicts("server"))
    .option("--store <place>", `with --local: folder or postgres:// URL of the catalogue (default: ${defaultStore})`)
    .option("--experts <folder>", "with --local: folder of expert folders (default: experts)")
    .option(
      "--text-encoder <place>",
      "with --local: folder or Hugging Face id of the text encoder that an expert names; repeatable",
      collectWord,
    );
}

/**
 * Guards that what is a server's to choose is not chosen here.
 *
 * @param isPrivate whether this process computes for the server, and so chooses its backend.
 */
export function assertRetrievalOptions(
  { local, store, experts, textEncoder, backend }: RetrievalOptions,
  isPrivate = false,
): void {
  if (local === true) return;
  const given = Object.entries({
    "--store": store,
    "--experts": experts,
    "--text-encoder": textEncoder,
    "--backend": isPrivate ? undefined : backend,
  });
  const [first] = given.flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (first !== undefined) throw usageError(`${first} is the server's to choose; with --local it is yours`);
}
