import type { NewJob } from "../retrieval/job-queue.js";
import { toCount } from "./embed-report.js";
import { openQueue } from "./open-queue.js";
import { toPlain } from "./table.js";

/** Jobs that are added together, all or none. */
const jobsAtOnce = 1000;

/** Adds jobs to the queue that `--queue` names; gives the line that says how many. Throws what the queue throws. */
export async function addJobs(place: string, jobs: readonly NewJob[], signal: AbortSignal): Promise<string> {
  const queue = await openQueue(place);
  try {
    let added = 0;
    for (let at = 0; at < jobs.length; at += jobsAtOnce) {
      signal.throwIfAborted();
      added += await queue.add(jobs.slice(at, at + jobsAtOnce));
    }
    const known = jobs.length > added ? `, ${jobs.length - added} were there already` : "";
    return toPlain(`${toCount(added, "job")} added to ${queue.description}${known}`);
  } finally {
    await queue.close();
  }
}
