import { readFile, writeFile } from "node:fs/promises";

/** Memory of a process, in bytes. */
export interface ProcessMemory {
  /** Resident now (VmRSS). */
  readonly residentBytes: number;
  /** Resident now and no mapped file (RssAnon): what the system cannot drop and read again. */
  readonly anonymousBytes: number;
  /** Most resident since the start or the last {@link resetPeakMemory} (VmHWM). */
  readonly peakBytes: number;
}

/** Processor time of a process since its start, user and system, in seconds. */
export interface ProcessCpu {
  readonly totalSeconds: number;
  /** Of the main thread alone: in Node, the event loop. */
  readonly mainThreadSeconds: number;
}

/** Clock ticks per second in /proc/PID/stat: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Reads /proc/PID/status. */
export async function readProcessMemory(pid: number): Promise<ProcessMemory> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const read = (name: string): number => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status);
    if (match === null) throw new Error(`/proc/${pid}/status has no ${name}`);
    return Number(match[1]) * 1024;
  };
  return { residentBytes: read("VmRSS"), anonymousBytes: read("RssAnon"), peakBytes: read("VmHWM") };
}

/** Makes the peak start again from what is resident now. The process must be the caller's own user's. */
export async function resetPeakMemory(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, "5");
}

/** Reads the processor time of a process and of its main thread. Resolution: 10 ms. */
export async function readProcessCpu(pid: number): Promise<ProcessCpu> {
  const [totalSeconds, mainThreadSeconds] = await Promise.all([
    readStat(`/proc/${pid}/stat`),
    readStat(`/proc/${pid}/task/${pid}/stat`),
  ]);
  return { totalSeconds, mainThreadSeconds };
}

/** Fields 14 and 15 of a stat file: user and system ticks. The name in field 2 may hold blanks and parentheses. */
async function readStat(path: string): Promise<number> {
  const text = await readFile(path, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
