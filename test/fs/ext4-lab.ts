/** A host for tests of ext4: a disk, what is mounted from it, and the means to mount it again as a new host would. */
import { expect } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { assert } from "../../sim/core/assert.ts";
import { Clock } from "../../sim/core/clock.ts";
import type { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import type { KernelProfile } from "../../sim/core/kernel-profile.ts";
import { NameTable } from "../../sim/core/names.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { type MkfsOptions, mkfsExt4 as mkfs } from "../../sim/fs/ext4/mkfs.ts";
import { mountExt4 } from "../../sim/fs/ext4/mount.ts";
import { type Attributes, type FileSystem, O_RDONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Mount } from "../../sim/vfs/mount.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { Vfs } from "../../sim/vfs/vfs.ts";

export const MIB: number = 2 ** 20;

export interface MountOptions {
  readonly memoryPages?: number;
  readonly privileged?: () => boolean;
  readonly discard?: boolean;
  /** Whose kernel mounts; default 6.18. */
  readonly kernel?: KernelProfile | undefined;
  /** The wall clock at the mount, so that a later host's times are later. */
  readonly epochSeconds?: number;
}

/** A host that has mounted an ext4 as its root. */
export class Ext4Host {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly cache: PageCache;
  readonly vfs: Vfs;
  readonly fs: FileSystem;
  /** root, umask 0. */
  readonly task: Task;
  readonly #mount: Mount;

  constructor(disk: Disk, options: MountOptions = {}) {
    this.disk = disk;
    this.clock = new Clock(options.epochSeconds === undefined ? {} : { epochSeconds: options.epochSeconds });
    const events = new EventStream(() => this.clock.now);
    const names = new NameTable();
    const { clock } = this;
    this.cache = new PageCache(clock, events, { memoryPages: options.memoryPages ?? 65_536 });
    this.vfs = new Vfs({ names, clock, events, cache: this.cache });
    const { privileged, discard, kernel } = options;
    const fs = mountExt4(disk, {
      names,
      clock,
      events,
      cache: this.cache,
      device: deviceNumber(254, 0),
      ...(privileged === undefined ? {} : { privileged }),
      ...(discard === undefined ? {} : { discard }),
      ...(kernel === undefined ? {} : { profile: kernel.ext4 }),
    });
    assert(!isErrno(fs), `mount: ${isErrno(fs) ? fs.code : ""}`);
    this.fs = fs;
    this.#mount = this.vfs.mountRoot(fs);
    this.task = this.vfs.task(this.#mount);
    this.task.umask = 0;
  }

  /** Checks every engine. */
  check(): void {
    this.fs.check();
    this.cache.check();
  }

  /** Ends the task and the mount, and marks the filesystem clean. */
  unmount(): void {
    this.task.exit();
    expect(this.vfs.unmountMount(this.#mount)).toBeUndefined();
    expect(this.fs.unmount()).toBeUndefined();
    this.cache.check();
    this.cache.stop();
  }

  /** Unmounts, and mounts the same disk on a new host. */
  remount(options: MountOptions = {}): Ext4Host {
    this.unmount();
    return new Ext4Host(this.disk, options);
  }
}

/** A disk with an empty ext4. */
export function ext4Disk(size: number = 16 * MIB, options: MkfsOptions = {}): Disk {
  const disk = new Disk({ size });
  expect(mkfs(disk, options)).toBeUndefined();
  return disk;
}

/** The value of a call that must not fail. */
export function value<T>(answer: T): Exclude<T, { readonly code: string }> {
  assert(!isErrno(answer), `failed: ${isErrno(answer) ? answer.code : ""}`);
  return answer as Exclude<T, { readonly code: string }>;
}

/** Writes content at an offset of a file that is made if need be. */
export function put(task: Task, path: string, content: Content, offset = 0): number {
  const fd = value(task.open(path, 0o102)) as number;
  const written = value(task.pwrite(fd, content, offset)) as number;
  value(task.close(fd));
  return written;
}

/** The whole content of a file. */
export function readAll(task: Task, path: string): Content {
  const fd = value(task.open(path, O_RDONLY)) as number;
  const size = (value(task.fstat(fd)) as Attributes).size;
  const read = value(task.pread(fd, size, 0)) as Content;
  value(task.close(fd));
  return read;
}

/** The whole content of a file as text of one byte a character. */
export function contentOf(task: Task, path: string): string {
  return latin(readAll(task, path));
}

function latin(content: Content): string {
  const raw = content.toBytes();
  return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("latin1");
}

function shortContent(task: Task, path: string): unknown {
  const fd = value(task.open(path, O_RDONLY)) as number;
  const size = (value(task.fstat(fd)) as Attributes).size;
  const read = latin(value(task.pread(fd, size, 0)) as Content);
  const holes: number[] = [];
  for (let at = 0; at < size && holes.length < 2000; ) {
    const data = task.lseek(fd, at, 3);
    if (isErrno(data)) break;
    const hole = value(task.lseek(fd, data, 4)) as number;
    holes.push(data, hole);
    at = hole;
  }
  const flags = task.getFlags(fd);
  value(task.close(fd));
  return { read, holes, flags };
}

/** Everything there is to see below a folder. Reading sets atimes: of two walks at one time the second shows what stays. */
export function everything(task: Task, folder = "/", out: Map<string, unknown> = new Map()): Map<string, unknown> {
  const list = value(task.readdir(folder)) as readonly { name: string; type: number; inodeNumber?: number }[];
  for (const entry of [...list].sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = folder === "/" ? `/${entry.name}` : `${folder}/${entry.name}`;
    const attributes = value(task.lstat(path)) as Attributes;
    const type = attributes.mode & S_IFMT;
    const names = value(task.llistxattr(path)) as string[];
    const row: Record<string, unknown> = { attributes, entry };
    row["xattrs"] = names.toSorted().map((name) => [name, value(task.lgetxattr(path, name))]);
    if (type === S_IFLNK) row["target"] = value(task.readlink(path));
    if (type === S_IFREG) row["data"] = shortContent(task, path);
    out.set(path, row);
    if (type === S_IFDIR) everything(task, path, out);
  }
  return out;
}
