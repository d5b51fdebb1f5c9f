import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { connect } from "../../src/rpc/client.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { hasOpenssl, writeCertificates } from "../helpers/certificates.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";

/** A certificate with its key. */
interface Pair {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}

interface Certificates {
  readonly authority: Buffer;
  readonly server: Pair;
  readonly client: Pair;
  /** Signed by nobody that anyone knows. */
  readonly stranger: Pair;
}

const secure = hasOpenssl ? test : test.skip;
const reason = hasOpenssl ? "" : " (skipped: openssl is not installed)";

let made: Promise<Certificates> | undefined;

/** Makes certificates that live for a day, once for all tests. */
function certificates(): Promise<Certificates> {
  made ??= makeCertificates();
  return made;
}

async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), "probestream-tls-"));
  const read = async (name: string): Promise<Pair> => ({
    certificate: await readFile(join(folder, `${name}.pem`)),
    privateKey: await readFile(join(folder, `${name}.key`)),
  });
  try {
    await writeCertificates(folder);
    const { certificate: authority } = await read("ca");
    return { authority, server: await read("server"), client: await read("client"), stranger: await read("stranger") };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Which clients a server lets in. */
type Policy = "anybody" | "known clients";

const servers = new Map<Policy, Promise<TestServer>>();

/** Starts a server at first use, one of each for all tests. */
function serve(policy: Policy): Promise<TestServer> {
  const started = servers.get(policy) ?? start(policy);
  servers.set(policy, started);
  return started;
}

async function start(policy: Policy): Promise<TestServer> {
  const { server, authority } = await certificates();
  return startTestServer([], { tls: policy === "anybody" ? server : { ...server, clientAuthority: authority } });
}

test.after.always(async () => {
  for (const server of servers.values()) await (await server).close();
});

/** Asks a server for its version, and says what came of it. */
async function ask(
  policy: Policy,
  client: Omit<Parameters<typeof connect>[0], "target" | "deadlineMs">,
): Promise<string> {
  const server = await serve(policy);
  const connection = connect({ ...client, target: server.target, deadlineMs: 3000 });
  try {
    return (await connection.serverInfo()).version === "" ? "no version" : "answered";
  } catch (error) {
    return error instanceof ProbestreamError ? error.reason : String(error);
  } finally {
    await connection.close();
  }
}

secure(`over TLS the server is who its certificate says${reason}`, async (t) => {
  const { authority } = await certificates();
  t.is(await ask("anybody", { tls: { authority } }), "answered");
});

secure(`a client that does not know the authority does not talk to the server${reason}`, async (t) => {
  const { stranger } = await certificates();
  t.is(await ask("anybody", { tls: { authority: stranger.certificate } }), "SOURCE_UNAVAILABLE");
});

secure(`a plaintext client cannot talk to a TLS server${reason}`, async (t) => {
  t.is(await ask("anybody", {}), "SOURCE_UNAVAILABLE");
});

secure(`with a client authority, a client with its certificate is let in${reason}`, async (t) => {
  const { authority, client } = await certificates();
  t.is(await ask("known clients", { tls: { authority, ...client } }), "answered");
});

secure(`with a client authority, a client without a certificate is not let in${reason}`, async (t) => {
  const { authority } = await certificates();
  t.is(await ask("known clients", { tls: { authority } }), "SOURCE_UNAVAILABLE");
});

secure(`with a client authority, a stranger's certificate is not let in${reason}`, async (t) => {
  const { authority, stranger } = await certificates();
  const answer = await ask("known clients", { tls: { authority, ...stranger } });
  t.is(answer, "SOURCE_UNAVAILABLE");
});

for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.evil.example"]) {
  test(`plaintext beyond loopback is refused: ${host}`, async (t) => {
    await assertRefused(t, () => startTestServer([], { host }), {
      reason: "FIELD_INVALID",
      message: `refusing to serve plaintext on ${host}, which others can reach; give --tls-cert and --tls-key, or --insecure if the network is trusted`,
    });
  });
}

test("plaintext beyond loopback is served where it is allowed", async (t) => {
  const server = await startTestServer([], { host: "0.0.0.0", insecure: true });
  const client = connect({ target: `127.0.0.1:${server.port}` });
  t.not((await client.serverInfo()).version, "");
  await client.close();
  await server.close();
});

test("a port that is taken is refused with the address", async (t) => {
  const server = await startTestServer([]);
  await assertRefused(t, () => startTestServer([], { port: server.port }), {
    reason: "SOURCE_UNAVAILABLE",
    message: /^cannot listen on 127\.0\.0\.1:\d+: .+\. Choose another --listen, or stop what listens there$/,
  });
  await server.close();
});
