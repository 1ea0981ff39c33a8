/**
 * The VFS of one host: its names, page cache and mounts (fs/namespace.c, Linux 6.18).
 *
 * Interface: a host has one. `mountRoot` begins a tree of mounts of its own; `task` gives a process that stands at its top.
 */
import type { Clock } from "../core/clock.ts";
import { EBUSY, EINVAL, ENOENT, ENOTDIR, type Errno, isErrno } from "../core/errno.ts";
import type { EventStream } from "../core/events.ts";
import type { NameTable } from "../core/names.ts";
import { type Credentials, ROOT } from "./credentials.ts";
import { hasName } from "./dentries.ts";
import type { FileSystem, Inode } from "./filesystem.ts";
import { Mount, type MountOptions } from "./mount.ts";
import type { FileTable } from "./open-file.ts";
import type { PageCache } from "./page-cache.ts";
import { isDirectory } from "./permission.ts";
import { Pipes } from "./pipes.ts";
import type { Surroundings, Sysctls } from "./process.ts";
import { Task } from "./task.ts";
import { type Listener, type Watched, Watches } from "./watches.ts";

/** What a Vfs stands on. */
export interface VfsParts {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCache;
  readonly sysctls?: Sysctls;
}

/** The top of a mount's tree. */
function topOf(mount: Mount): Mount {
  let top = mount;
  while (top.parent !== undefined) top = top.parent;
  return top;
}

export class Vfs implements Surroundings {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCache;
  readonly sysctls: Sysctls;
  /** Every mount that has not ended, in the order of mounting. */
  readonly mounts: Mount[] = [];
  capabilityChanges = 0;
  watches: Watches | undefined = undefined;
  readonly pipes: Pipes = new Pipes();
  readonly tables: Set<FileTable> = new Set();

  constructor(parts: VfsParts) {
    this.names = parts.names;
    this.clock = parts.clock;
    this.events = parts.events;
    this.cache = parts.cache;
    this.sysctls = parts.sysctls ?? { protectedHardlinks: true };
  }

  /** Mounts a filesystem as the top of a new tree of mounts. @param top - its directory that is shown, by default its root. */
  mountRoot(fs: FileSystem, options: MountOptions = {}, top: Inode = fs.root): Mount {
    const mount = new Mount(fs, top, options);
    for (const other of this.mounts) if (other.fs === fs) other.isOneOfSeveral = mount.isOneOfSeveral = true;
    fs.hold(top);
    this.mounts.push(mount);
    return mount;
  }

  /** Mounts a filesystem on the directory at `path`. @param top - what of it is shown. @returns ENOTDIR, EBUSY where it is mounted already, and those of the walk. */
  mount(task: Task, fs: FileSystem, path: string, options: MountOptions = {}, top: Inode = fs.root): Mount | Errno {
    const place = task.resolve(path);
    // The same filesystem twice over one another (do_add_mount).
    if (!isErrno(place) && place.mount.fs === fs && place.inode === place.mount.root) return EBUSY;
    const isFirst = this.mountsOf(fs) === 0;
    const mounted = this.#mountAt(task, { fs, top, path, options });
    // Of its first mount "ro" or "rw" is said of the filesystem itself (SB_RDONLY); a union tells of itself, and may change by a remount.
    if (!isErrno(mounted) && isFirst && options.readOnly !== undefined && fs.remount === undefined)
      fs.readOnly = options.readOnly;
    return mounted;
  }

  /** mount --bind: shows the directory or file `from` also at `path`, over what is mounted there. */
  bind(task: Task, from: string, path: string, options: MountOptions = {}): Mount | Errno {
    const source = task.resolve(from);
    if (isErrno(source)) return source;
    // The flags of the mount that is shown are those of the new one (clone_mnt).
    const { text: _, source: device, ...flags } = source.mount.options;
    const shown = { ...flags, ...(device === undefined ? {} : { source: device }), ...options };
    return this.#mountAt(task, { fs: source.mount.fs, top: source.inode, path, options: shown });
  }

  #mountAt(task: Task, what: { fs: FileSystem; top: Inode; path: string; options: MountOptions }): Mount | Errno {
    const place = task.resolve(what.path);
    if (isErrno(place)) return place;
    if (!hasName(task, place)) return ENOENT;
    if (isDirectory(place.mount.fs.mode(place.inode)) !== isDirectory(what.fs.mode(what.top))) return ENOTDIR;
    const mount = this.mountRoot(what.fs, what.options, what.top);
    mount.parent = place.mount;
    mount.coveredInode = place.inode;
    place.mount.fs.hold(place.inode);
    place.mount.covers ??= new Map();
    place.mount.covers.set(place.inode, mount);
    place.mount.fs.cover?.(place.inode, true);
    const { events } = this;
    if (events.listening) {
      events.emit({ op: "mount", filesystem: what.fs.label, path: what.path, options: what.options.text ?? "" });
    }
    return mount;
  }

  /**
   * Ends the mount whose top is at `path`. The filesystem itself lives on: whoever made it unmounts it when its last mount is gone.
   * @param lazy - MNT_DETACH: takes it out of the tree though it is in use.
   * @returns EINVAL where no mount's top is, EBUSY while files are open, tasks stand in it or something is mounted in it.
   */
  unmount(task: Task, path: string, lazy = false): Errno | undefined {
    const place = task.resolve(path);
    if (isErrno(place)) return place;
    if (place.inode !== place.mount.root) return EINVAL;
    return this.unmountMount(place.mount, lazy);
  }

  /**
   * Gives a mount other flags; those that are not named stay (mount(8) -o remount). "ro" and "rw" are said of the filesystem too, unless it tells of itself.
   * @returns EBUSY for a filesystem that is to be read-only while a file of it is open for writing (sb_prepare_remount_readonly).
   */
  remount(mount: Mount, flags: MountOptions): Errno | undefined {
    const { fs } = mount;
    if (flags.readOnly === true && !mount.readOnly) {
      for (const table of this.tables) if (table.isWriting(fs)) return EBUSY;
      fs.sync();
    }
    if (flags.readOnly !== undefined && fs.remount === undefined) fs.readOnly = flags.readOnly;
    mount.options = { ...mount.options, ...flags };
    return undefined;
  }

  /** Ends a mount that is at hand. */
  unmountMount(mount: Mount, lazy = false): Errno | undefined {
    if (!lazy && (mount.users > 0 || mount.covers !== undefined)) return EBUSY;
    if (mount.covers !== undefined) for (const over of [...mount.covers.values()]) this.unmountMount(over, true);
    const { parent } = mount;
    if (parent?.covers !== undefined) {
      parent.covers.delete(mount.coveredInode);
      if (parent.covers.size === 0) parent.covers = undefined;
      const isCovered = this.mounts.some(({ fs, covers }) => fs === parent.fs && covers?.has(mount.coveredInode) === true);
      if (!isCovered) parent.fs.cover?.(mount.coveredInode, false);
      parent.fs.drop(mount.coveredInode);
      mount.parent = undefined;
    }
    mount.detached = true;
    mount.fs.drop(mount.root);
    const place = this.mounts.indexOf(mount);
    if (place >= 0) this.mounts.splice(place, 1);
    return undefined;
  }

  isMountPoint(mount: Mount, inode: Inode): boolean {
    if (mount.covers?.has(inode) === true) return true;
    if (!mount.isOneOfSeveral) return false;
    const top = topOf(mount);
    return this.mounts.some((other) => other.fs === mount.fs && other.covers?.has(inode) === true && topOf(other) === top);
  }

  /** Begins a watch on an inode. @param mask - IN_* of interest. @returns what ends it */
  watch(watched: Watched, mask: number, listener: Listener): () => void {
    this.watches ??= new Watches(this.names);
    const end = this.watches.add(watched, mask, listener);
    return () => {
      end();
      if (this.watches?.isEmpty === true) this.watches = undefined;
    };
  }

  /** How many mounts show a filesystem. */
  mountsOf(fs: FileSystem): number {
    return this.mounts.filter((mount) => mount.fs === fs).length;
  }

  /** A process at the top of a tree of mounts. */
  task(mount: Mount, credentials: Credentials = ROOT): Task {
    return new Task(this, { mount, inode: mount.root }, credentials);
  }
}
