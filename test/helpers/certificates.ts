import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Whether certificates can be made here. */
export const hasOpenssl = ((): boolean => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/**
 * Makes certificates that live for a day, as `NAME.pem` with `NAME.key` in a folder: of an authority `ca`, of `server`
 * (for 127.0.0.1 and localhost) and `client`, which it signed, and of `stranger`, which nobody that anyone knows did.
 */
export async function writeCertificates(folder: string): Promise<void> {
  const run = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  for (const name of ["ca", "stranger"]) {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
    run("req", "-x509", "-days", "1", ...key, "-subj", `/CN=${name}`, ...files);
  }
  await writeFile(join(folder, "names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  for (const name of ["server", "client"]) {
    run("req", ...key, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"];
    run("x509", "-req", "-days", "1", "-in", `${name}.csr`, ...signed, "-out", `${name}.pem`);
  }
}
