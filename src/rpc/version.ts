import { readFileSync } from "node:fs";

/** Version of the package. */
export const version = toVersion(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));

function toVersion(packageJson: string): string {
  const parsed: { version?: unknown } = JSON.parse(packageJson);
  return String(parsed.version);
}
