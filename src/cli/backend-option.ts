import { Option } from "commander";
import { backendNames } from "../compute/create-backend.js";
import { parseBackend } from "./option-values.js";

/** The option `--backend` of a command that may compute in this process. */
export function createBackendOption(): Option {
  const names = backendNames.join(", ");
  const text = `with --local or --private: compute backend, ${names} (default: auto, the fastest here)`;
  return new Option("--backend <name>", text).argParser(parseBackend);
}
