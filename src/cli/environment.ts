/** What the environment says; nothing else of the package reads it. */
export interface Environment {
  /** `HOST:PORT` of the server. */
  readonly server: string;
  /** Token of Hugging Face. */
  readonly hubToken: string | undefined;
  readonly useColor: boolean;
}

/** Server where neither `--server` nor `PROBESTREAM_SERVER` says another, and where `serve` listens. */
export const defaultAddress = "127.0.0.1:50051";

/** Reads `PROBESTREAM_SERVER`, `HF_TOKEN` and `NO_COLOR`; empty ones count as absent. */
export function readEnvironment(): Environment {
  const { PROBESTREAM_SERVER, HF_TOKEN, NO_COLOR } = process.env;
  return {
    server: PROBESTREAM_SERVER || defaultAddress,
    hubToken: HF_TOKEN || undefined,
    useColor: !NO_COLOR && process.stderr.isTTY === true,
  };
}

/** What the processes of one server share. Their command line is the first one's, so it reaches them by this way. */
export interface ProcessSettings {
  readonly port: number;
  /** Folder of unfinished uploads, so that one may go on in another process. */
  readonly stateDir: string;
}

/** Settings as variables for a process that is started. */
export function toProcessEnvironment({ port, stateDir }: ProcessSettings): Record<string, string> {
  return { PROBESTREAM_PROCESS_PORT: String(port), PROBESTREAM_PROCESS_STATE_DIR: stateDir };
}

/** The settings that this process was started with. */
export function readProcessSettings(): ProcessSettings {
  const { PROBESTREAM_PROCESS_PORT: port, PROBESTREAM_PROCESS_STATE_DIR: stateDir = "" } = process.env;
  return { port: Number(port), stateDir };
}
