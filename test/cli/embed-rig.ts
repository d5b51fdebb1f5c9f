import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { makeExampleFolder, oneBackend } from "./run-cli.js";

/** A line of `embed --json`. */
export interface EmbedLine {
  readonly file: string;
  readonly spaceId?: string;
  readonly expert?: string;
  readonly representation?: readonly number[];
  readonly labels?: readonly { readonly label: string; readonly cosine: number }[];
  readonly bytes?: { readonly received: number; readonly total: number };
  readonly timings?: Readonly<Record<string, number>>;
  readonly error?: { readonly reason: string; readonly message: string };
}

/** Options of `embed` in the folder of {@link makeMixedFolder}. */
export const local: readonly string[] = ["--local", "--experts", "./experts", ...oneBackend];
/** As {@link local}. */
export const texts: readonly string[] = ["--texts", "./texts.safetensors"];

/**
 * Makes the example in a temporary folder, which the caller removes, with broken models among good ones in `mixed/`, other
 * formats in `foreign/`, and nothing in `empty/`.
 */
export async function makeMixedFolder(): Promise<string> {
  const cwd = await makeExampleFolder();
  await mkdir(join(cwd, "mixed", "deeper"), { recursive: true });
  for (const name of ["birds-lora-1", "chess-lora-2"]) {
    await copyFile(join(cwd, "models", `${name}.safetensors`), join(cwd, "mixed", "deeper", `${name}.safetensors`));
  }
  const whole = await readFile(join(cwd, "models", "birds-full.safetensors"));
  await writeFile(join(cwd, "mixed", "a-cut.safetensors"), whole.subarray(0, 1000));
  await writeFile(join(cwd, "mixed", "m-nonsense.safetensors"), "nothing of the kind");
  await writeFile(join(cwd, "mixed", "z-pickle.safetensors"), Buffer.from("\x80\x02}q\x00.", "latin1"));
  await mkdir(join(cwd, "empty"));
  await mkdir(join(cwd, "foreign", "deeper"), { recursive: true });
  for (const name of ["a.bin", "deeper/b.bin", "c.gguf", "d.txt"]) await writeFile(join(cwd, "foreign", name), "");
  return cwd;
}

/** Serves a model until the end of a test; gives its URL. */
export async function serveModel(t: ExecutionContext, onRequest: RequestListener): Promise<string> {
  const http = createServer(onRequest);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.teardown(() => {
    http.closeAllConnections();
    http.close();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/m.safetensors`;
}

/** Answers with the part of a file that is asked for. */
export function answerRange(file: Buffer, { headers }: IncomingMessage, response: ServerResponse): void {
  const [, from = "0", to = ""] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  const part = file.subarray(Number(from), to === "" ? file.length : Number(to) + 1);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${file.length}`;
  response.writeHead(206, { "content-range": range, "content-length": part.length, etag: '"1"' }).end(part);
}
