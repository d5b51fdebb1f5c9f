import test from "ava";
import { isConnectionLost, toStoreError } from "../../../../src/vectors/stores/postgres/to-store-error.js";
import { assertError } from "../../../helpers/assert-refused.js";

const place = "db:5432/models";

/** An error as `pg` and Node make it. */
function failure(message: string, code?: string): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

test("what a server refuses is told by a reason of its own, with what to do", (t) => {
  const told = [
    [failure("canceling statement due to statement timeout", "57014"), "SOURCE_UNAVAILABLE", /raise statement_timeout/],
    [failure("deadlock detected", "40P01"), "SOURCE_UNAVAILABLE", /undid this each time .*try again/],
    [failure("could not serialize access", "40001"), "SOURCE_UNAVAILABLE", /undid this each time/],
    [failure("terminating connection due to idle-in-transaction timeout", "25P03"), "SOURCE_UNAVAILABLE", /try again/],
    [
      failure("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"),
      "ACCESS_DENIED",
      /there is none; .*PGPASSWORD/,
    ],
    [failure("The server does not support SSL connections"), "FIELD_INVALID", /sslmode=disable/],
    [failure("self-signed certificate", "DEPTH_ZERO_SELF_SIGNED_CERT"), "FIELD_INVALID", /sslrootcert=FILE/],
    [
      failure("unable to verify the first certificate", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
      "FIELD_INVALID",
      /no-verify/,
    ],
    [failure("Hostname does not match", "ERR_TLS_CERT_ALTNAME_INVALID"), "FIELD_INVALID", /no-verify/],
    [failure("syntax error", "42601"), "INTERNAL", /answered: syntax error/],
  ] as const;
  for (const [error, reason, message] of told) assertError(t, toStoreError(error, place), { reason, message });
});

test("a session that the server ended for standing still may be tried again", (t) => {
  t.true(isConnectionLost(failure("terminating connection due to idle-in-transaction timeout", "25P03")));
  t.false(isConnectionLost(failure("current transaction is aborted", "25P02")));
});
