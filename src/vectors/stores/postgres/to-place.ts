import pg from "pg";
import { InvalidInputError } from "../../../errors/probestream-error.js";

const encode = "percent-encode the password (# is %23, / is %2F, ? is %3F, @ is %40)";
/** What a connection string begins with: a URL, or a socket's folder. */
const beginning = /^(?:postgres(?:ql)?:\/\/|socket:|\/)/i;

/**
 * The server and database that a connection string means, for people: `HOST:PORT/DATABASE`.
 *
 * @throws InvalidInputError `FIELD_INVALID` for one that cannot be read, or was read otherwise than it was meant, as when its
 * password has a `#` or `/`. The message holds nothing of it.
 */
export function toPlace(connectionString: string): string {
  if (!beginning.test(connectionString)) {
    throw invalid("it is no postgres:// URL: postgres://USER:PASSWORD@HOST:PORT/DATABASE");
  }
  // What follows a user's name of such a password would be taken for the port, and the rest for a database or an option.
  const [, afterPath] = /^postgres(?:ql)?:\/\/[^/?#]*[/?#](.*)$/is.exec(connectionString) ?? [];
  const [path = "", search = ""] = (afterPath ?? "").split("?", 2);
  const names = search.split("&").map((option) => option.split("=", 1)[0] ?? "");
  if (connectionString.includes("#") || path.includes("@") || names.some((name) => name.includes("@"))) {
    throw invalid("its password, or another part, has one of # / ? @ as it is");
  }
  try {
    const { host, port, database } = new pg.Client({ connectionString });
    return `${host}:${port}/${database ?? ""}`;
  } catch (error) {
    if (error instanceof Error && "path" in error) {
      throw invalid(`a file that it names cannot be read (${String(error.path)})`, "name one that can");
    }
    throw invalid("it is no URL, or its port is none of 1 to 65535");
  }
}

function invalid(why: string, remedy = encode): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", `the PostgreSQL connection string cannot be used: ${why}; ${remedy}`);
}
