import type { status } from "@grpc/grpc-js";
import type { ErrorReason } from "../../../src/errors/error-reason.js";
import type { RawClient } from "../../helpers/rpc-client.js";
import type { TestServer } from "../../helpers/rpc-server.js";

/** What a row works with. */
export interface Context {
  server: TestServer;
  client: RawClient;
  folder: string;
}

/** How something was refused: as a whole call, as one model of a batch, or as a file that the client reads. */
export interface Refusal {
  readonly of: "call" | "model" | "file";
  readonly code: keyof typeof status;
  /** Absent where grpc-js refuses a message before the server sees it. */
  readonly reason: ErrorReason | undefined;
  readonly message: string;
}

/** Something malformed, and how it is refused. */
export interface Row extends Omit<Refusal, "message"> {
  readonly name: string;
  readonly message: string | RegExp;
  readonly find: (context: Context) => Promise<Refusal>;
}
