/** The server that PROBESTREAM_TEST_POSTGRES names, as a connection string. Throws, and says what to do, where it names none. */
export function requirePostgres(): string {
  const connectionString = process.env["PROBESTREAM_TEST_POSTGRES"];
  if (connectionString !== undefined) return connectionString;
  throw new Error("PROBESTREAM_TEST_POSTGRES names no server; `.ci/postgres -- COMMAND` runs a command beside one");
}
