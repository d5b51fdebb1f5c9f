import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A model of a hub: its files by path. Those of 1,000 bytes and more are large files, kept by a server of their own. */
export interface HubModelFiles {
  readonly [path: string]: Uint8Array | string;
}

/** A request as a hub saw it. */
export interface HubRequest {
  readonly server: "hub" | "content";
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** Answers a request in the hub's place; returns false to have it answered as usual. */
export type HubAnswer = (request: HubRequest, response: ServerResponse) => boolean;

/** A server that answers as the Hugging Face Hub does, and another that has its large files. */
export interface HubServer {
  readonly endpoint: string;
  readonly requests: readonly HubRequest[];
  /** Takes a request in the hub's place. */
  answer: HubAnswer;
  close(): Promise<void>;
}

/** The commit of every model of a {@link HubServer}. */
export const hubCommit = "0123456789abcdef0123456789abcdef01234567";

/** Git's SHA-1 of a small file, SHA-256 of a large one. */
export function toHubDigest(content: Uint8Array | string): string {
  const bytes = Buffer.from(content);
  if (bytes.length >= 1000) return createHash("sha256").update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/**
 * Starts a hub. A model of the owner `private` is only for who brings the token `right`; one of the owner `gated` for
 * nobody.
 */
export async function startHub(models: Readonly<Record<string, HubModelFiles>>): Promise<HubServer> {
  const requests: HubRequest[] = [];
  const hub = { answer: (() => false) as HubAnswer };
  const serve = (server: HubRequest["server"], usual: (request: HubRequest, response: ServerResponse) => void) =>
    listen((incoming, response) => {
      const { method = "", url = "", headers } = incoming;
      const request = { server, method, path: decodeURIComponent(url), headers };
      requests.push(request);
      if (!hub.answer(request, response)) usual(request, response);
    });
  const content = await serve("content", (request, response) => {
    // Of this server the ETag looks like a digest, and is none.
    const headers = { etag: `"${"f".repeat(64)}"` };
    sendFile(request, response, findFile(models, request.path.replace(/^\/[^/]*\//, "/")) ?? "", headers);
  });
  const main = await serve("hub", (request, response) => {
    const [, name = ""] = /^\/(?:api\/(?:models|resolve-cache)\/)?([^/]+\/[^/]+)/.exec(request.path) ?? [];
    const refused = refuse(models, name, request);
    if (refused !== undefined) {
      response.writeHead(refused[0], { "x-error-code": refused[1] }).end();
    } else if (request.path.startsWith("/api/models/")) {
      sendModel(response, models[name] ?? {}, request.path.replace(/^.*\/revision\//, ""));
    } else if (request.path.startsWith("/api/resolve-cache/")) {
      const path = `/${name}/resolve${request.path.slice("/api/resolve-cache/".length + name.length)}`;
      const file = findFile(models, path) ?? "";
      sendFile(request, response, file, { etag: `W/"${toHubDigest(file)}"`, "x-repo-commit": hubCommit });
    } else {
      const file = findFile(models, request.path);
      if (file === undefined) response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
      else redirect(response, request.path, name, file, toOrigin(content));
    }
  });
  const endpoint = toOrigin(main);
  return {
    endpoint,
    requests,
    get answer() {
      return hub.answer;
    },
    set answer(answer) {
      hub.answer = answer;
    },
    close: async () => {
      await Promise.all([main, content].map(stop));
    },
  };
}

function refuse(
  models: Readonly<Record<string, HubModelFiles>>,
  name: string,
  { headers }: HubRequest,
): readonly [number, string] | undefined {
  const isKnown = headers.authorization === "Bearer right";
  if (name.startsWith("gated/")) return [403, "GatedRepo"];
  if (models[name] === undefined) return isKnown ? [404, "RepoNotFound"] : [401, "RepoNotFound"];
  return name.startsWith("private/") && !isKnown ? [401, "RepoNotFound"] : undefined;
}

function sendModel(response: ServerResponse, files: HubModelFiles, revision: string): void {
  if (!["main", "v1", hubCommit].includes(revision)) {
    response.writeHead(404, { "x-error-code": "RevisionNotFound" }).end();
    return;
  }
  const siblings = [".gitattributes", ...Object.keys(files)].map((rfilename) => ({ rfilename }));
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ sha: hubCommit, siblings }));
}

/** Large files are redirected to the other server, with what is known of them; small ones within the hub. */
function redirect(response: ServerResponse, path: string, name: string, file: Uint8Array | string, to: string): void {
  const bytes = Buffer.from(file);
  const location =
    bytes.length >= 1000 ? `${to}/signed${path}` : `/api/resolve-cache/${name}${path.slice(`/${name}/resolve`.length)}`;
  const linked = { "x-linked-etag": `"${toHubDigest(file)}"`, "x-linked-size": String(bytes.length) };
  response.writeHead(bytes.length >= 1000 ? 302 : 307, { location, ...(bytes.length >= 1000 && linked) }).end();
}

/** Sends a file, or the part from a byte on. */
export function sendFile(
  { method, headers: asked }: HubRequest,
  response: ServerResponse,
  file: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(file);
  const begin = Number(/^bytes=(\d+)-$/.exec(asked.range ?? "")?.[1] ?? 0);
  const length = { "content-length": String(bytes.length - begin) };
  const range = { "content-range": `bytes ${begin}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(asked.range === undefined ? 200 : 206, {
    ...headers,
    ...length,
    ...(asked.range !== undefined && range),
  });
  response.end(method === "HEAD" ? undefined : bytes.subarray(begin));
}

function findFile(models: Readonly<Record<string, HubModelFiles>>, path: string): Uint8Array | string | undefined {
  const [, name = "", file = ""] = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(path) ?? [];
  return models[name]?.[file];
}

async function listen(handle: RequestListener): Promise<Server> {
  const server = createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}

function toOrigin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
