import { copyFile, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { makeFolder } from "../../system/make-folder.js";
import type { HubModel } from "./hub-model.js";
import { inCache } from "./in-cache.js";

/** A commit, as git names it. */
export const commitPattern = /^[0-9a-f]{40}$/;

/** What is known of a file of a commit without asking the Hub. */
export type CachedState = "present" | "absent" | "unknown";

/**
 * The part of the Hub's cache that holds one model, laid out as the Hub's own tools do: contents in `blobs/` by their
 * digest; in `snapshots/COMMIT/` files by their path, links to blobs; in `refs/` the commit of each branch and tag; in
 * `.no_exist/COMMIT/` an empty file for each that the commit has not.
 *
 * @see https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export class HubCache {
  readonly folder: string;
  readonly #revision: string;

  constructor(cacheFolder: string, { name, revision }: HubModel) {
    this.folder = join(cacheFolder, `models--${name.replaceAll("/", "--")}`);
    this.#revision = revision;
  }

  /** Where the files of a commit lie. */
  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** Where a content lies, or will lie. */
  blob(digest: string): string {
    return join(this.folder, "blobs", digest);
  }

  /** The commit that the revision was when it was last asked for; undefined if it never was. */
  async readCommit(): Promise<string | undefined> {
    if (commitPattern.test(this.#revision)) return this.#revision;
    const text = await readFile(this.#ref, "utf8").catch(() => "");
    return commitPattern.test(text.trim()) ? text.trim() : undefined;
  }

  /** Remembers the revision's commit. */
  async writeCommit(commit: string): Promise<void> {
    if (commit === this.#revision) return;
    await writeWithFolder(this.#ref, commit);
  }

  async readState(commit: string, path: string): Promise<CachedState> {
    if (await exists(join(this.snapshot(commit), path))) return "present";
    return (await exists(this.#absence(commit, path))) ? "absent" : "unknown";
  }

  /** Remembers that a commit has no such file. */
  async markAbsent(commit: string, path: string): Promise<void> {
    await writeWithFolder(this.#absence(commit, path), "");
  }

  /** Whether a content is there. */
  hasBlob(digest: string): Promise<boolean> {
    return exists(this.blob(digest));
  }

  /** Gives a content its name in a commit. */
  async link(commit: string, path: string, digest: string): Promise<void> {
    const blob = this.blob(digest);
    const link = join(this.snapshot(commit), path);
    await inCache(link, async () => {
      await makeFolder(dirname(link));
      try {
        await symlink(relative(dirname(link), blob), link);
      } catch {
        // It is there already, or the file system (or Windows' rights) knows no links.
        if (!(await exists(link))) await copyFile(blob, link);
      }
    });
  }

  get #ref(): string {
    return join(this.folder, "refs", this.#revision);
  }

  #absence(commit: string, path: string): string {
    return join(this.folder, ".no_exist", commit, path);
  }
}

function writeWithFolder(path: string, text: string): Promise<void> {
  return inCache(path, async () => {
    await makeFolder(dirname(path));
    await writeFile(path, text);
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
