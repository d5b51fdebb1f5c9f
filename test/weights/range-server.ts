import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A file server on this machine, for tests of reading over HTTP. */
export interface RangeServer {
  readonly origin: string;
  /** Requests so far, in order. */
  readonly requests: readonly IncomingMessage[];
  close(): Promise<void>;
}

/** Answers one request; returns false to have it served as usual. */
export type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => boolean;

/** Starts a server that gives byte ranges of files, unless `answer` does something else. */
export async function startRangeServer(
  files: Readonly<Record<string, Uint8Array>>,
  answer: Answer = () => false,
): Promise<RangeServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    if (answer(request, response, requests.length)) return;
    const path = new URL(request.url ?? "/", "http://x").pathname;
    const file = files[decodeURIComponent(path)];
    if (file === undefined) response.writeHead(404).end("no");
    else serveRange(request, response, file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Serves the range that a request asks for. */
export function serveRange(
  request: IncomingMessage,
  response: ServerResponse,
  file: Uint8Array,
  headers: Record<string, string> = { etag: '"v1"' },
): void {
  const [begin, last] = toRange(request);
  if (begin >= file.length) {
    response.writeHead(416, { "content-range": `bytes */${file.length}` }).end();
    return;
  }
  const end = Math.min(file.length, last + 1);
  const contentRange = `bytes ${begin}-${end - 1}/${file.length}`;
  response.writeHead(206, { ...headers, "content-range": contentRange, "content-length": String(end - begin) });
  response.end(file.subarray(begin, end));
}

/** First and last byte of a request's range. */
export function toRange(request: IncomingMessage): [number, number] {
  const [, begin, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  return [Number(begin), Number(last)];
}
