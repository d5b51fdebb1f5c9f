import test from "ava";
import { toMetadataFactory } from "../../src/rpc/client-credentials.js";
import { isLoopback, isLoopbackTarget } from "../../src/rpc/loopback.js";
import { assertRefused } from "../helpers/assert-refused.js";

const token = "0123456789abcdef";

for (const target of [
  "localhost:50051",
  "127.0.0.1:50051",
  "127.8.9.10:1",
  "[::1]:50051",
  "dns:localhost:50051",
  "dns:///127.0.0.1:50051",
  "ipv4:127.0.0.1:50051",
  "ipv6:[::1]:50051",
  "unix:/run/probestream.sock",
]) {
  test(`${target} is on this machine: a token goes there without TLS`, (t) => {
    t.true(isLoopbackTarget(target));
    t.deepEqual(toMetadataFactory(token, target, false)().get("authorization"), [`Bearer ${token}`]);
  });
}

for (const target of [
  "example.com:50051",
  "127.evil.example:50051",
  "127.0.0.1.evil.example:50051",
  "localhost.evil.example:50051",
  "10.0.0.1:50051",
  "[::2]:50051",
  "dns:///127.evil.example:50051",
  "ipv4:127.0.0.1:50051,10.0.0.1:50051",
]) {
  test(`${target} is not on this machine: a token goes there over TLS alone`, async (t) => {
    t.false(isLoopbackTarget(target));
    await assertRefused(t, () => toMetadataFactory(token, target, false), {
      reason: "FIELD_INVALID",
      message: `the token would go to ${target} unencrypted, for all to read; connect with tls`,
    });
    t.deepEqual(toMetadataFactory(token, target, true)().get("authorization"), [`Bearer ${token}`]);
  });
}

test("hosts are loopback by what they are, not by how they begin", (t) => {
  for (const host of ["localhost", "::1", "127.0.0.1", "127.255.0.3"]) t.true(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "127.evil.example"]) t.false(isLoopback(host), host);
});
