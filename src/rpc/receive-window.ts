import type { Http2SecureServer, Http2Server, ServerHttp2Session, ServerOptions } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { InternalError } from "../errors/probestream-error.js";

/** Receive window of HTTP/2 where nobody sets one, in bytes: at 25 ms round trip it caps an upload at 2 MB/s. */
export const protocolWindowBytes = 65_535;

/** What this module touches of grpc-js that its types keep private. */
interface Internals {
  commonServerOptions?: ServerOptions;
  http2Servers?: Map<Http2Server | Http2SecureServer, unknown>;
}

/**
 * Sets the receive windows, of streams and of connections, of a grpc-js server: up to 1.14 it reads
 * `grpc-node.flow_control_window` on clients only (https://github.com/grpc/grpc-node/pull/3058). A test reads the
 * window off the wire, so that an upgrade that moves these members fails loudly.
 *
 * Call it before `bindAsync`; call what it returns after the server is bound.
 *
 * @param onSession gets every connection once its window is set.
 */
export function setReceiveWindow(
  server: Server,
  bytes: number,
  onSession: (session: ServerHttp2Session) => void = () => {},
): () => void {
  const internals = server as unknown as Internals;
  const { commonServerOptions, http2Servers } = internals;
  if (commonServerOptions === undefined || !(http2Servers instanceof Map)) {
    throw new InternalError(
      "INTERNAL",
      "this version of @grpc/grpc-js keeps its HTTP/2 server elsewhere: review setReceiveWindow",
    );
  }
  commonServerOptions.settings = { ...commonServerOptions.settings, initialWindowSize: bytes };
  return () => {
    for (const http2Server of http2Servers.keys()) {
      http2Server.on("session", (session: ServerHttp2Session) => {
        session.setLocalWindowSize(bytes);
        onSession(session);
      });
    }
  };
}
