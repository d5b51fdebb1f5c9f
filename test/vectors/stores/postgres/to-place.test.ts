import test from "ava";
import { toPlace } from "../../../../src/vectors/stores/postgres/to-place.js";
import { assertRefused } from "../../../helpers/assert-refused.js";

test("a connection string is shown by its server and database alone", (t) => {
  t.is(toPlace("postgres://user:p%23secret@db:5433/models?sslmode=disable"), "db:5433/models");
  t.is(toPlace("postgresql://user:secret@[::1]/models?options=-c%20a@b"), "::1:5432/models");
  t.is(toPlace("postgres://user:se@cret@db/models"), "db:5432/models");
});

test("a connection string that cannot be read, or would be read wrongly, is refused without its password", async (t) => {
  for (const given of [
    "postgres://user:p#secret@host/db",
    "postgres://user:1#secret@host/db",
    "postgres://user:p/secret@host/db",
    "postgres://user:1/secret@host/db",
    "postgres://user:1?secret@host/db",
    "postgres://user:secret@host:99999/db",
    "host=db password=secret",
  ]) {
    const expected = {
      kind: "invalid-input",
      reason: "FIELD_INVALID",
      message: /percent-encode the password/,
    } as const;
    await assertRefused(t, async () => toPlace(given), expected);
    const thrown = t.throws(() => toPlace(given), undefined, given);
    t.notRegex(`${thrown?.stack} ${JSON.stringify(thrown)} ${String(thrown?.cause)}`, /secret/);
  }
  const files = { reason: "FIELD_INVALID", message: /cannot be read \(\/nowhere\/root.crt\)/ } as const;
  await assertRefused(t, async () => toPlace("postgres://u@host/db?sslrootcert=/nowhere/root.crt"), files);
});
