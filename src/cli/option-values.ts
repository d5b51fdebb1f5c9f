import { InvalidArgumentError } from "commander";
import { type BackendName, backendNames, isBackendName } from "../compute/create-backend.js";

/** A place to listen at or to connect to. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const maxPort = 65_535;

/** Reads `HOST:PORT`; IPv6 hosts stand in brackets. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port <= maxPort) return { host, port };
  if (host !== undefined) throw new InvalidArgumentError(`The port is ${digits}; ports are 0 to ${maxPort}.`);
  throw new InvalidArgumentError("An address is HOST:PORT, for example 127.0.0.1:50051 or [::1]:50051.");
}

/** Checks an address and leaves it as it is. */
export function parseTarget(text: string): string {
  parseAddress(text);
  return text;
}

/** `HOST:PORT`, with brackets where the host is an IPv6 address. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Reads a whole number from 1 on. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError("It must be a whole number from 1 on.");
}

/** Reads a number from 0 on. */
export function parseNumber(text: string): number {
  const number = Number(text);
  if (/^[\d.]/.test(text) && Number.isFinite(number)) return number;
  throw new InvalidArgumentError("It must be a number from 0 on, for example 0.002 or 2e-3.");
}

/** Reads the name of a compute backend, or `auto`. */
export function parseBackend(text: string): BackendName | "auto" {
  if (text === "auto" || isBackendName(text)) return text;
  throw new InvalidArgumentError(`It must be auto or one of ${backendNames.join(", ")}.`);
}

/** Adds `Name: value` to the headers so far. */
export function collectHeader(text: string, headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*([^\r\n]*?)\s*$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError("A header is 'Name: value', for example 'Authorization: Bearer TOKEN'.");
  }
  return { ...headers, [name]: value };
}

/** Adds a word to the words so far. */
export function collectWord(word: string, words: readonly string[] = []): string[] {
  return [...words, word];
}
