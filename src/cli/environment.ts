import { homedir } from "node:os";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import type { BackendChoice } from "../search/choose-backends.js";
import { defaultProbesFolder } from "../search/probing/default-probes-folder.js";

/** What the environment says; nothing else of the package reads it. */
export interface Environment {
  /** `HOST:PORT` of the server. */
  readonly server: string;
  /** Token of that server, or of another that is named. */
  readonly serverToken: string | undefined;
  /** Token of Hugging Face. */
  readonly hubToken: string | undefined;
  readonly hub: HubEnvironment;
  /** Folder where probes of servers' experts are kept. */
  readonly probesFolder: string;
  readonly useColor: boolean;
}

/** Where models of the Hugging Face Hub are, by the variables that its own tools read. */
export interface HubEnvironment {
  /** Address of the Hub, or of a mirror; absent for huggingface.co. */
  readonly endpoint: string | undefined;
  readonly cacheFolder: string;
  /** The Hub is not to be asked. */
  readonly isOffline: boolean;
}

/** Server where neither `--server` nor `PROBESTREAM_SERVER` says another, and where `serve` listens. */
export const defaultAddress = "127.0.0.1:50051";

/**
 * Reads `PROBESTREAM_SERVER`, `PROBESTREAM_TOKEN`, `NO_COLOR`, `HF_TOKEN`, `XDG_CACHE_HOME`, and what
 * {@link readHubEnvironment} reads; empty ones count as absent.
 */
export function readEnvironment(): Environment {
  const { PROBESTREAM_SERVER, PROBESTREAM_TOKEN, HF_TOKEN, NO_COLOR, XDG_CACHE_HOME } = process.env;
  return {
    server: PROBESTREAM_SERVER || defaultAddress,
    serverToken: PROBESTREAM_TOKEN || undefined,
    hubToken: HF_TOKEN || undefined,
    hub: readHubEnvironment(),
    probesFolder: defaultProbesFolder(XDG_CACHE_HOME),
    useColor: !NO_COLOR && process.stderr.isTTY === true,
  };
}

/**
 * Reads `HF_ENDPOINT`, `HF_HUB_OFFLINE`, and `HF_HUB_CACHE`, else `HF_HOME`, else `XDG_CACHE_HOME`.
 *
 * @see https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 */
export function readHubEnvironment(): HubEnvironment {
  const { HF_ENDPOINT, HF_HUB_OFFLINE = "", HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  const home = HF_HOME || join(XDG_CACHE_HOME || "~/.cache", "huggingface");
  return {
    endpoint: HF_ENDPOINT || undefined,
    cacheFolder: inHome(HF_HUB_CACHE || join(home, "hub")),
    isOffline: /^(?:1|on|yes|true)$/i.test(HF_HUB_OFFLINE),
  };
}

function inHome(path: string): string {
  return path.replace(/^~(?=\/|$)/, homedir());
}

/** What the processes of one server share. Their command line is the first one's, so it reaches them by this way. */
export interface ProcessSettings {
  readonly port: number;
  /** Folder of unfinished uploads, so that one may go on in another process. */
  readonly stateDir: string;
  /** What was measured before they were started; absent where a backend was named. */
  readonly choice: BackendChoice | undefined;
}

/** Settings as variables for a process that is started. */
export function toProcessEnvironment({ port, stateDir, choice }: ProcessSettings): Record<string, string> {
  return {
    PROBESTREAM_PROCESS_PORT: String(port),
    PROBESTREAM_PROCESS_STATE_DIR: stateDir,
    // Not JSON, which has no NaN: the error of a backend whose numbers are none.
    PROBESTREAM_PROCESS_BACKENDS: serialize(choice).toString("base64"),
  };
}

/** The settings that this process was started with. */
export function readProcessSettings(): ProcessSettings {
  const {
    PROBESTREAM_PROCESS_PORT: port,
    PROBESTREAM_PROCESS_STATE_DIR: stateDir = "",
    PROBESTREAM_PROCESS_BACKENDS: choice = "",
  } = process.env;
  return { port: Number(port), stateDir, choice: deserialize(Buffer.from(choice, "base64")) };
}
