/**
 * Watches on inodes, and who is told what (fs/notify, inotify(7); Linux 6.18): a change of an inode is told to the watches of the directory that
 * it was reached by, with its name there, then to its own; what happens to a name, to the directory's.
 *
 * Interface: a watch holds its inode. Events come from system calls: what a filesystem does by itself, such as overlayfs copying a file up into
 * another one, is silent there.
 */
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

/**
 * The name that an inode was reached by (struct dentry). That of an open file follows where it is moved, and stays as it was when it is gone: a parent
 * hears of children that have lost their names.
 */
export interface Dentry {
  directory: Inode;
  name: string;
  gone: boolean;
}

/** An inode with the name that it was reached by; undefined where that is not known, of a directory's one name too. */
export interface Reached extends Position {
  readonly dentry: Dentry | undefined;
}

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

  isWatched(fs: FileSystem, inode: Inode): boolean {
    return this.#watched.get(fs)?.has(inode) === true;
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

  /** An inode changed: the directory hears of it by the name that it was reached by, then the inode itself (fsnotify_parent). */
  changed({ mount: { fs }, inode, dentry }: Reached, mask: number): void {
    const inodes = this.#watched.get(fs);
    if (inodes === undefined) return;
    const whole = typeOf(fs, inode) === S_IFDIR ? mask | IN_ISDIR : mask;
    const by = dentry ?? this.#search(fs, inode, inodes);
    if (by !== undefined && by.directory !== inode) this.#tell(fs, by.directory, whole, by.name);
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

  /** A name of an inode in a directory that is watched: of a directory its only one, of a file that was opened before anybody watched the first. */
  #search(fs: FileSystem, inode: Inode, watched: ReadonlyMap<Inode, unknown>): Dentry | undefined {
    const directories = typeOf(fs, inode) === S_IFDIR ? [fs.parentOf(inode)] : watched.keys();
    for (const directory of directories) {
      const name = watched.has(directory) && typeOf(fs, directory) === S_IFDIR ? this.#nameIn(fs, directory, inode) : undefined;
      if (name !== undefined) return { directory, name, gone: false };
    }
    return undefined;
  }

  /** The first name of an inode in a directory. O(entries). */
  #nameIn(fs: FileSystem, directory: Inode, inode: Inode): string | undefined {
    let found: string | undefined;
    fs.iterate(directory, (name) => {
      if (found === undefined && fs.lookup(directory, name) === inode) found = this.#names.text(name);
    });
    return found;
  }
}
