import { InvalidInputError } from "../errors/probestream-error.js";
import { showValue } from "../errors/show-value.js";

/** What gRPC resolves by itself, and how is its own affair. */
const schemed = /^(?:dns|ipv4|ipv6|unix|unix-abstract|xds|passthrough):./;

/** A name or address, an IPv6 one in brackets, and a port. */
const place = /^(?:\[[^\][\s]+\]|[^\s:/@?#[\]]+):(\d{1,5})$/;

/**
 * Asserts that a target is `HOST:PORT`, or one with a scheme of gRPC. Without a port gRPC would take 443, and with `http:` before
 * it look up a host of that name.
 *
 * @throws InvalidInputError `FIELD_INVALID`.
 */
export function assertTarget(target: string): void {
  const given: unknown = target;
  if (typeof given === "string") {
    if (schemed.test(given)) return;
    const port = Number(place.exec(given)?.[1]);
    if (port > 0 && port < 65_536) return;
  }
  const scheme = typeof given === "string" ? /^https?:\/\//i.exec(given)?.[0] : undefined;
  const advice = scheme === undefined ? "" : `, without ${scheme}; TLS is an option of its own`;
  const message = `the target is ${showValue(given)}; give HOST:PORT, such as 127.0.0.1:50051${advice}`;
  throw new InvalidInputError("FIELD_INVALID", message, { target: showValue(given) });
}
