import { readdir, readFile } from "node:fs/promises";

/** Process ids of the GPU processes that this process started. */
export async function findGpuProcesses(): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const read = (file: string): Promise<string> => readFile(`/proc/${name}/${file}`, "utf8").catch(() => "");
    const parent = /^PPid:\s*(\d+)/m.exec(await read("status"))?.[1];
    if (Number(parent) === process.pid && (await read("cmdline")).includes("gpu-main.js")) found.push(Number(name));
  }
  return found;
}
