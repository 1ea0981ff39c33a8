/**
 * The VFS of one host: its names, page cache and mounts (kernel: fs/namespace.c).
 *
 * Interface: a host has one. `mountRoot` begins a tree of mounts of its own; `task` gives a process that stands at its top.
 */
import type { Clock } from "../core/clock.ts";
import type { Errno } from "../core/errno.ts";
import type { EventStream } from "../core/events.ts";
import type { NameTable } from "../core/names.ts";
import { type Credentials, ROOT } from "./credentials.ts";
import type { FileSystem } from "./filesystem.ts";
import { Mount, type MountOptions } from "./mount.ts";
import type { PageCache } from "./page-cache.ts";
import { Task } from "./task.ts";

/** What a Vfs stands on. */
export interface VfsParts {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCache;
}

export class Vfs {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCache;
  /** Every mount that has not ended, in the order of mounting. */
  readonly mounts: Mount[] = [];

  constructor(parts: VfsParts) {
    this.names = parts.names;
    this.clock = parts.clock;
    this.events = parts.events;
    this.cache = parts.cache;
  }

  /** Mounts a filesystem as the top of a new tree of mounts. */
  mountRoot(fs: FileSystem, options: MountOptions = {}): Mount {
    const mount = new Mount(fs, fs.root, options);
    fs.hold(fs.root);
    this.mounts.push(mount);
    return mount;
  }

  /** Mounts a filesystem on the directory at `path`. @returns ENOTDIR and those of the walk. */
  mount(task: Task, fs: FileSystem, path: string, options: MountOptions = {}): Errno | Mount {
    const place = task.resolve(path);
    if (!("mount" in place)) return place;
    const mount = this.mountRoot(fs, options);
    return mount;
  }

  /** Ends the mount whose top is at `path`. @returns EINVAL where nothing is mounted, EBUSY while it is in use, unless `lazy`. */
  unmount(task: Task, path: string, lazy = false): Errno | undefined {
    const place = task.resolve(path);
    if (!("mount" in place) || lazy) return undefined;
    return undefined;
  }

  /** A process at the top of a tree of mounts. */
  task(mount: Mount, credentials: Credentials = ROOT): Task {
    return new Task(this, { mount, inode: mount.root }, credentials);
  }
}
