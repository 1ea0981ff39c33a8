/**
 * Watches on inodes, and who is told what (fs/notify, inotify(7); Linux 6.18): a change of an inode is told to the watches of the directory that
 * it was reached by, with its name there, then to its own; what happens to a name, to the directory's.
 *
 * Interface: a watch holds its inode. Events come from system calls: what a filesystem does by itself, such as overlayfs copying a file up into
 * another one, is silent there. Which of several names of one file a call went by is known from the call's path.
 */

import { isErrno } from "../core/errno.ts";
import type { NameTable } from "../core/names.ts";
import { type FileSystem, type Inode, S_IFDIR, typeOf } from "./filesystem.ts";
import type { Position } from "./mount.ts";

/** Events (include/uapi/linux/inotify.h). */
export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
/** The watch is gone: its inode is. */
export const IN_IGNORED = 0x8000;
/** What it is about is a directory. */
export const IN_ISDIR = 0x4000_0000;

/** Takes an event's mask, and the name in a watched directory; "" for the watched inode itself. */
export type Listener = (mask: number, name: string) => void;

/** An inode that is watched. */
export interface Watched {
  readonly fs: FileSystem;
  readonly inode: Inode;
}

interface Watch {
  readonly mask: number;
  readonly listener: Listener;
}

export class Watches {
  readonly #names: NameTable;
  readonly #watched = new Map<FileSystem, Map<Inode, Watch[]>>();

  constructor(names: NameTable) {
    this.#names = names;
  }

  /** Whether there is none any more. */
  get isEmpty(): boolean {
    return this.#watched.size === 0;
  }

  /** Begins a watch. @param mask - IN_* of interest. @returns what ends it; once is enough */
  add({ fs, inode }: Watched, mask: number, listener: Listener): () => void {
    fs.hold(inode);
    const watch: Watch = { mask, listener };
    let inodes = this.#watched.get(fs);
    if (inodes === undefined) this.#watched.set(fs, (inodes = new Map()));
    const known = inodes.get(inode);
    if (known === undefined) inodes.set(inode, [watch]);
    else known.push(watch);
    return () => this.#end(fs, inode, watch);
  }

  #end(fs: FileSystem, inode: Inode, watch: Watch): void {
    const inodes = this.#watched.get(fs);
    const watches = inodes?.get(inode);
    const place = watches?.indexOf(watch) ?? -1;
    if (inodes === undefined || watches === undefined || place < 0) return;
    watches.splice(place, 1);
    if (watches.length === 0) inodes.delete(inode);
    if (inodes.size === 0) this.#watched.delete(fs);
    fs.drop(inode);
  }

  #tell(fs: FileSystem, inode: Inode, mask: number, name: string): void {
    const watches = this.#watched.get(fs)?.get(inode);
    if (watches === undefined) return;
    for (const watch of [...watches]) if ((watch.mask & mask) !== 0) watch.listener(mask, name);
  }

  /** Something happened to a name of a directory. */
  named(directory: Position, mask: number, name: string): void {
    this.#tell(directory.mount.fs, directory.inode, mask, name);
  }

  /** Something happened to an inode, whatever its names are. */
  self({ mount, inode }: Position, mask: number): void {
    this.#tell(mount.fs, inode, mask, "");
  }

  /** An inode changed that was reached by a path, whose last name may be one of its names. */
  changed({ mount: { fs }, inode }: Position, mask: number, path: string): void {
    const inodes = this.#watched.get(fs);
    if (inodes === undefined) return;
    const whole = typeOf(fs, inode) === S_IFDIR ? mask | IN_ISDIR : mask;
    for (const directory of [...inodes.keys()]) {
      const name = directory === inode ? undefined : this.#nameIn(fs, directory, inode, path);
      if (name !== undefined) this.#tell(fs, directory, whole, name);
    }
    this.#tell(fs, inode, whole, "");
  }

  /** The last link of an inode is gone: its watches are told, and end. */
  gone({ mount: { fs }, inode }: Position): void {
    const watches = this.#watched.get(fs)?.get(inode);
    for (const watch of watches === undefined ? [] : [...watches]) {
      watch.listener(IN_DELETE_SELF, "");
      watch.listener(IN_IGNORED, "");
      this.#end(fs, inode, watch);
    }
  }

  /** The name of an inode in a directory, the path's last one if that is one of several. O(entries). */
  #nameIn(fs: FileSystem, directory: Inode, inode: Inode, path: string): string | undefined {
    if (typeOf(fs, directory) !== S_IFDIR) return undefined;
    const last = path.replace(/\/+$/, "").replace(/^.*\//, "");
    let found: string | undefined;
    fs.iterate(directory, (name) => {
      const child = fs.lookup(directory, name);
      if (isErrno(child) || child !== inode) return;
      const text = this.#names.text(name);
      if (found === undefined || text === last) found = text;
    });
    return found;
  }
}
