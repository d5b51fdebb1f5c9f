import { LimitExceededError, NotFoundError } from "../errors/probestream-error.js";
import type { ByteSource } from "./byte-source.js";
import { MAX_CONFIG_BYTES } from "./lora/adapter-config.js";

/** The names under which PEFT saves an adapter. Others, of which a folder may have thousands, have no configuration. */
const adapterName = /(?:^|[/\\])adapter_model\.(?:safetensors|bin)$/;

/** Name of the file beside an adapter of PEFT that says how it is scaled. */
export const ADAPTER_CONFIG_NAME = "adapter_config.json";

/** Whether a path, or a URL without its query, is that of an adapter of PEFT. */
export function isPeftAdapterName(location: string): boolean {
  return adapterName.test(location);
}

/**
 * Reads the text of an adapter's configuration; undefined where there is none.
 *
 * @param open opens the file.
 * @throws LimitExceededError `LIMIT_EXCEEDED` for more than 1 MiB, before anything is read; and what `open` throws, but
 * for NotFoundError.
 */
export async function readAdapterConfig(
  open: () => Promise<ByteSource>,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const source = await open().catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
  if (source === undefined) return undefined;
  try {
    if (source.size > MAX_CONFIG_BYTES) {
      const message = `"${source.name}" has ${source.size} bytes; an adapter's configuration has at most ${MAX_CONFIG_BYTES}.`;
      throw new LimitExceededError("LIMIT_EXCEEDED", message, { fileSize: source.size, maxBytes: MAX_CONFIG_BYTES });
    }
    return new TextDecoder().decode(await source.read(0, source.size, signal));
  } finally {
    await source.close();
  }
}
