/**
 * fs.watch with `recursive`, as Node does it on Linux, where the kernel knows no such watch (Node 20 lib/internal/fs/recursive_watch.js): a watch on
 * each file and folder of the tree, and a look at what is there whenever one of them hears something.
 *
 * Interface: so what is told is coarser than what a watch of one folder tells: a new name, what has gone, and a change of a file, each by its path from
 * the top. What is there at the beginning is not told.
 */
import { posix } from "node:path";
import { ENOENT, isErrno } from "../../sim/core/errno.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { systemError } from "./errors.ts";
import type { Kernel } from "./kernel.ts";
import { resolvePath } from "./name-calls.ts";
import { scan } from "./tree-calls.ts";

type Told = (eventType: "change" | "rename", name: string) => void;

/** What a watch of a tree is made of. */
export interface TreeParts {
  readonly told: Told;
  readonly failed: (error: unknown) => void;
  /** Begins the watch of one file or folder. @returns what ends it. @throws an error of node:fs */
  readonly begin: (name: string, told: () => void) => () => void;
}

class TreeWatch {
  readonly #kernel: Kernel;
  readonly #parts: TreeParts;
  readonly #top: string;
  /** What ends the watch of each path. */
  readonly #watches = new Map<string, () => void>();
  readonly #links = new Set<string>();
  #isFile = false;
  #began = false;

  constructor(kernel: Kernel, name: string, parts: TreeParts) {
    this.#kernel = kernel;
    this.#parts = parts;
    this.#top = resolvePath(kernel.cwd, name);
  }

  /** @throws ENOENT; what else is in the way is passed over, as Node does. */
  begin(): void {
    const of = this.#kernel.task.stat(this.#top, this.#kernel.attributes);
    if (of === ENOENT) throw Object.assign(systemError(of, "stat", { path: this.#top }), { filename: this.#top });
    if (isErrno(of)) return;
    this.#isFile = (of.mode & S_IFMT) === S_IFREG;
    const isFolder = (of.mode & S_IFMT) === S_IFDIR;
    try {
      this.#watch(this.#top);
      if (isFolder) this.#lookInto(this.#top);
    } catch {
      // What was looked at until then is watched.
    }
    this.#began = true;
  }

  end(): void {
    for (const end of this.#watches.values()) end();
    this.#watches.clear();
  }

  #tell(eventType: "change" | "rename", name: string): void {
    if (this.#began) this.#parts.told(eventType, name);
  }

  /** Watches what is new in a folder, and tells of it. */
  #lookInto(folder: string): void {
    try {
      for (const { name, type } of scan(this.#kernel, folder)) {
        const path = posix.join(folder, name);
        if (this.#watches.has(path)) continue;
        this.#tell("rename", posix.relative(this.#top, path));
        if (type === S_IFLNK) this.#links.add(path);
        if (this.#watch(path) && type === S_IFDIR) this.#lookInto(path);
      }
    } catch (error) {
      // At the beginning nobody listens to it yet, and it ends the whole look.
      if (!this.#began) throw error;
      this.#parts.failed(error);
    }
  }

  /** @returns whether it is there. @throws an error of node:fs where that cannot be said. */
  #watch(path: string): boolean {
    const { task, attributes } = this.#kernel;
    const of = task.stat(path, attributes);
    if (of === ENOENT) return false;
    if (isErrno(of)) throw systemError(of, "stat", { path });
    if (!this.#watches.has(path))
      this.#watches.set(
        path,
        this.#parts.begin(path, () => this.#heard(path)),
      );
    return true;
  }

  #heard(path: string): void {
    if (!this.#watches.has(path)) return;
    const name = posix.relative(this.#top, path);
    const of = this.#kernel.task.stat(path, this.#kernel.attributes);
    if (isErrno(of)) {
      this.#tell("rename", name);
      this.#forget(path);
    } else if (path === this.#top && this.#isFile) this.#tell("change", posix.basename(path));
    else if (this.#links.has(path)) this.#tell("rename", name);
    else if ((of.mode & S_IFMT) === S_IFDIR) this.#lookInto(path);
    else this.#tell("change", name);
  }

  /** Ends the watches of what has gone: every path that begins so. */
  #forget(path: string): void {
    this.#links.delete(path);
    for (const [known, end] of this.#watches) {
      if (!known.startsWith(path)) continue;
      end();
      this.#watches.delete(known);
    }
  }
}

/** Begins to watch a tree. @returns what ends it. @throws ENOENT. */
export function watchTree(kernel: Kernel, name: string, parts: TreeParts): () => void {
  const tree = new TreeWatch(kernel, name, parts);
  tree.begin();
  return () => tree.end();
}
