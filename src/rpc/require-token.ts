import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { UnauthenticatedError } from "../errors/probestream-error.js";
import { Health } from "../gen/health/v1/health_pb.js";
import { type ReportFault, toStatus } from "./to-status.js";
import type { TokenSet } from "./tokens/token-set.js";

/** Load balancers ask for health and bring no token; it tells no more than whether the server serves. */
const openPath = `/${Health.typeName}/`;

/**
 * Lets calls in that bring `authorization: Bearer TOKEN` with one of the tokens, and answers all others UNAUTHENTICATED, before
 * a message is read: nothing of theirs is decoded or kept. A call is checked once, at its start; one that is under way goes
 * on when its token is taken away.
 */
export function requireToken(tokens: TokenSet, report: ReportFault): ServerInterceptor {
  return ({ path }, call) => {
    if (path.startsWith(openPath)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, letIn) => {
            const refusal = check(metadata, tokens);
            if (refusal !== undefined) {
              call.sendStatus(toStatus(refusal, report));
              return;
            }
            // Nothing behind this has a use for it.
            metadata.remove("authorization");
            letIn(metadata);
          },
        }),
    });
  };
}

/** Messages never hold the token. */
function check(metadata: Metadata, tokens: TokenSet): UnauthenticatedError | undefined {
  const [authorization = ""] = metadata.get("authorization");
  const token = /^bearer +(\S+)$/i.exec(String(authorization))?.[1];
  if (token === undefined) {
    const found = authorization === "" ? "the call brought none" : "`authorization` is not `Bearer TOKEN`";
    const message = `this server wants a token, and ${found}; give the client its token (PROBESTREAM_TOKEN or --server-token-file for the command line, whose --token is for URLs)`;
    return new UnauthenticatedError("TOKEN_MISSING", message);
  }
  if (tokens.has(token)) return undefined;
  const message =
    "the token is not one that this server takes; look for a mistake in it, or ask the operator for another";
  return new UnauthenticatedError("TOKEN_INVALID", message);
}
