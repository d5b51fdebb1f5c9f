import { ProbestreamError } from "../errors/probestream-error.js";
import { assertText } from "./assert-texts.js";
import { type EncodedText, toEach } from "./encoded-text.js";
import type { TextEncoder } from "./text-encoder.js";

/**
 * Encodes texts of which some may be bad: each has its own answer, its vector or why it has none, in the order of the
 * texts. Empty and overlong texts are told before; where an encoder refuses others, it is asked again for the halves.
 *
 * @throws what concerns all texts: UnavailableError, AbortedError, the reason of `signal`.
 */
export async function encodeEach(
  encoder: TextEncoder,
  texts: readonly string[],
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<(EncodedText | ProbestreamError)[]> {
  const answers: (EncodedText | ProbestreamError | undefined)[] = texts.map(findFault);
  const good = [...texts.keys()].filter((index) => answers[index] === undefined);
  const encoded = await encodeHalves(
    encoder,
    good.map((index) => texts[index] ?? ""),
    options,
  );
  for (const [at, index] of good.entries()) answers[index] = encoded[at];
  return answers.filter((answer) => answer !== undefined);
}

function findFault(text: string): ProbestreamError | undefined {
  try {
    assertText(text);
    return undefined;
  } catch (error) {
    if (error instanceof ProbestreamError) return error;
    throw error;
  }
}

async function encodeHalves(
  encoder: TextEncoder,
  texts: readonly string[],
  options: { readonly signal?: AbortSignal | undefined },
): Promise<(EncodedText | ProbestreamError)[]> {
  if (texts.length === 0) return [];
  try {
    return toEach(await encoder.encode(texts, options));
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof ProbestreamError) || !isOfText(error)) throw error;
    if (texts.length === 1) return [error];
    const middle = Math.ceil(texts.length / 2);
    const first = await encodeHalves(encoder, texts.slice(0, middle), options);
    return [...first, ...(await encodeHalves(encoder, texts.slice(middle), options))];
  }
}

/** Whether an error may be one text's fault. */
function isOfText({ kind }: ProbestreamError): boolean {
  return kind === "invalid-input" || kind === "limit-exceeded";
}
