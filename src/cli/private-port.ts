import { Option } from "commander";
import type { BackendName } from "../compute/create-backend.js";
import type { EmbedPort } from "../search/embed-port.js";
import { createProbingPort } from "../search/probing/create-probing-port.js";
import type { ProbingServer } from "../search/probing/probing-server.js";
import type { Environment } from "./environment.js";

/** What `--help` says of `--private`. */
export const privateHelp = `
With --private the weights never leave this machine: it fetches the expert's probes (kept in
~/.cache/probestream/probes), projects the layer itself, and sends the server the sums, some
64 KiB, with what it plans by: names and shapes of tensors, the file's metadata, a hash of the
layer. The results are the same. A layer hardly larger than its sums could be worked out from
them: 128 by 128 numbers at 128 probes.
`;

/** Adds `--private`. */
export function createPrivateOption(): Option {
  return new Option("--private", "project in this process: weights never leave this machine, see below").conflicts(
    "local",
  );
}

/** A server as one who keeps his weights to himself uses it. Closing the port leaves the connection open. */
export function openPrivatePort(
  server: ProbingServer,
  { probesFolder }: Pick<Environment, "probesFolder">,
  backend?: BackendName | "auto",
): Promise<EmbedPort> {
  return createProbingPort(server, { cacheFolder: probesFolder, ...(backend !== undefined && { backend }) });
}
