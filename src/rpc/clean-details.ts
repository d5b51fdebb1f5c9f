/** What grpc-js says of a connection, without what only its makers can read: `connect ECONNREFUSED 127.0.0.1:1`. */
export function cleanDetails(details: string): string {
  const cleaned = details
    .replace(/No connection established\.\s*/g, "")
    .replace(/No address added out of total \d+ resolved;?\s*/g, "")
    .replace(/\bLast error: (?:Error: )?/g, "")
    .replace(/\berrors?: \[([^\]]*)\]/g, "$1")
    .replace(/\s*Resolution note:\s*(?=$|;)/g, "")
    .replace(/[\s.;:]+$/, "");
  return cleaned === "" ? "no connection" : cleaned;
}
