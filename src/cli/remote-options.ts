import { Option } from "commander";
import { isHttpUrl } from "../weights/http-url.js";
import type { ModelOptions } from "../weights/model-file.js";
import { collectHeader } from "./option-values.js";

/** `--header`, of every command that reads models. */
export function createHeaderOption(): Option {
  return new Option("--header <header>", "'Name: value' sent to the URLs' own servers; repeatable").argParser(
    collectHeader,
  );
}

/** `--token`, of every command that reads models. */
export function createTokenOption(): Option {
  return new Option("--token <token>", "bearer token for URLs (default: HF_TOKEN, for Hugging Face only)");
}

/** What remote models are read with. */
export interface RemoteOptions {
  /** From `--header`; sent to every server that the command line names. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** From `--token`; likewise. */
  readonly token: string | undefined;
  /** From HF_TOKEN; sent to Hugging Face only. */
  readonly hubToken: string | undefined;
}

const hubHosts: ReadonlySet<string> = new Set(["huggingface.co", "www.huggingface.co", "hf.co"]);

/** Chooses headers and token by location. A token of the environment goes to the one place it is for. */
export function toModelOptions({ headers, token, hubToken }: RemoteOptions): (location: string) => ModelOptions {
  return (location) => {
    const isHub = isHttpUrl(location) && URL.canParse(location) && isHubUrl(new URL(location));
    return { headers, token: token ?? (isHub ? hubToken : undefined) };
  };
}

function isHubUrl({ protocol, hostname }: URL): boolean {
  return protocol === "https:" && hubHosts.has(hostname);
}
