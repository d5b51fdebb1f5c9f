/** Whether a host is this machine: what is sent there passes no line that others could read. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Whether a target as gRPC takes it, `HOST:PORT` with a scheme before it or none, is on this machine. */
export function isLoopbackTarget(target: string): boolean {
  if (target.startsWith("unix:")) return true;
  const address = target.replace(/^(?:dns|ipv4|ipv6):(?:\/\/[^/]*\/)?/, "").replace(/:\d+$/, "");
  return isLoopback(address.replace(/^\[(.*)\]$/, "$1"));
}
