import test from "ava";
import { NotFoundError } from "../../../../src/errors/probestream-error.js";
import { isConnectionLost, isUndone, toStoreError } from "../../../../src/vectors/stores/postgres/to-store-error.js";
import { assertError } from "../../../helpers/assert-refused.js";

/** An error as `pg` and Node make it. */
function named(message: string, code = ""): Error {
  return fail(code, message);
}

function fail(code: string, message = "it failed"): Error {
  return Object.assign(new Error(message), code === "" ? {} : { code });
}

const outcomes = [
  ["ECONNREFUSED", "unavailable", "SOURCE_UNAVAILABLE"],
  ["08006", "unavailable", "SOURCE_UNAVAILABLE"],
  ["57P01", "unavailable", "SOURCE_UNAVAILABLE"],
  ["53300", "unavailable", "SOURCE_UNAVAILABLE"],
  ["53100", "unavailable", "SOURCE_UNAVAILABLE"],
  ["25006", "unavailable", "SOURCE_UNAVAILABLE"],
  ["28P01", "access-denied", "ACCESS_DENIED"],
  ["42501", "access-denied", "ACCESS_DENIED"],
  ["3D000", "invalid-input", "FIELD_INVALID"],
  ["22P05", "invalid-input", "FIELD_INVALID"],
  ["42P01", "internal", "INTERNAL"],
] as const;

for (const [code, kind, reason] of outcomes) {
  test(`the code ${code} of PostgreSQL is an error of the kind ${kind}, with the place and the server's words`, (t) => {
    const cause = fail(code);
    const error = toStoreError(cause, "db.example:5432/models");
    t.like(error, { kind, reason, facts: { place: "db.example:5432/models", code } });
    t.regex(error.message, /db\.example:5432\/models.*it failed/);
    t.is(error.cause, cause);
  });
}

test("a connection that broke is told from a statement that is wrong", (t) => {
  for (const code of ["ECONNRESET", "EPIPE", "57P02", "57P03", "08003"]) t.true(isConnectionLost(fail(code)), code);
  for (const message of ["Connection terminated unexpectedly", "timeout exceeded when trying to connect"])
    t.true(isConnectionLost(fail("", message)), message);
  t.true(isConnectionLost(new AggregateError([fail("ECONNREFUSED"), fail("ECONNREFUSED")])));
  for (const code of ["42601", "57014", "23505", "40001"]) t.false(isConnectionLost(fail(code)), code);
  t.false(isConnectionLost(new TypeError("no function")));
  t.true(isUndone(fail("40P01")) && isUndone(fail("40001")));
  t.false(isUndone(fail("57P01")));
});

test("an error of ours stays as it is", (t) => {
  const error = new NotFoundError("SPACE_NOT_FOUND", "none");
  t.is(toStoreError(error, "anywhere"), error);
});

test("what a server refuses is told by a reason of its own, with what to do", (t) => {
  const told = [
    [named("canceling statement due to statement timeout", "57014"), "SOURCE_UNAVAILABLE", /raise statement_timeout/],
    [named("deadlock detected", "40P01"), "SOURCE_UNAVAILABLE", /undid this each time .*try again/],
    [named("could not serialize access", "40001"), "SOURCE_UNAVAILABLE", /undid this each time/],
    [named("terminating connection due to idle-in-transaction timeout", "25P03"), "SOURCE_UNAVAILABLE", /try again/],
    [
      named("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"),
      "ACCESS_DENIED",
      /there is none; .*PGPASSWORD/,
    ],
    [named("The server does not support SSL connections"), "FIELD_INVALID", /sslmode=disable/],
    [named("self-signed certificate", "DEPTH_ZERO_SELF_SIGNED_CERT"), "FIELD_INVALID", /sslrootcert=FILE/],
    [named("unable to verify the first certificate", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "FIELD_INVALID", /no-verify/],
    [named("Hostname does not match", "ERR_TLS_CERT_ALTNAME_INVALID"), "FIELD_INVALID", /no-verify/],
    [named("syntax error", "42601"), "INTERNAL", /answered: syntax error/],
  ] as const;
  for (const [error, reason, message] of told)
    assertError(t, toStoreError(error, "db:5432/models"), { reason, message });
});

test("a session that the server ended for standing still may be tried again", (t) => {
  t.true(isConnectionLost(named("terminating connection due to idle-in-transaction timeout", "25P03")));
  t.false(isConnectionLost(named("current transaction is aborted", "25P02")));
});
