import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** A text, its token ids, and its vector by the golden tower. */
export interface ClipCase {
  readonly text: string;
  readonly input_ids: readonly number[];
  readonly truncated: boolean;
  readonly text_embeds: readonly number[];
}

const folder = "test/fixtures/golden";

/** The golden texts. */
export async function readClipCases(): Promise<readonly ClipCase[]> {
  return JSON.parse(await readFile(`${folder}/clip-cases.json`, "utf8")) as ClipCase[];
}

/** What `tokenizer.json` of CLIP says, as far as the golden texts need it. */
export async function readClipTokenizer(): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse(await readFile(`${folder}/clip-tokenizer.json`, "utf8")) as Record<string, unknown>;
}

/** The ONNX model of the golden tower: `input_ids` to `text_embeds` [texts, 24] and `last_hidden_state` [texts, tokens, 16]. */
export async function readClipTower(): Promise<Uint8Array> {
  return gunzipSync(await readFile(`${folder}/clip-tower.onnx.gz`));
}

/** Lays the golden tower out as a text encoder's folder. */
export async function writeClipEncoder(to: string, model?: Uint8Array): Promise<void> {
  await writeFile(join(to, "text_model.onnx"), model ?? (await readClipTower()));
  await writeFile(join(to, "tokenizer.json"), JSON.stringify(await readClipTokenizer()));
}
