import type { Command } from "commander";
import { parseTarget } from "./option-values.js";

/** Adds the options of {@link ConnectionOptions} to a command. */
export function addConnectionOptions(command: Command, fallback: string): Command {
  return command
    .option("--server <host:port>", `server to use (default: PROBESTREAM_SERVER, now ${fallback})`, parseTarget)
    .option("--tls", "connect with TLS, trusting the system's authorities")
    .option("--tls-ca <file>", "connect with TLS, trusting this authority (PEM)")
    .option("--tls-cert <file>", "the client's certificate for mutual TLS (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--server-token-file <file>", "file with the server's token (default: the one in PROBESTREAM_TOKEN)");
}
