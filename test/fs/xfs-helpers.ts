/** An xfs on a fresh disk, and the few calls that tests need. */

import type { BlockDevice } from "../../sim/block/device.ts";
import { Disk } from "../../sim/block/disk.ts";
import { Clock } from "../../sim/core/clock.ts";
import type { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { NameTable } from "../../sim/core/names.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { type MkfsOptions, mkfsXfs } from "../../sim/fs/xfs/mkfs.ts";
import { mountXfs } from "../../sim/fs/xfs/mount.ts";
import type { Xfs } from "../../sim/fs/xfs/xfs.ts";
import { type Attributes, type Inode, inodeHandle, newAttributes, S_IFDIR, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";

export interface Lab {
  readonly clock: Clock;
  readonly names: NameTable;
  readonly cache: PageCache;
  readonly disk: Disk;
  readonly fs: Xfs;
}

export function must<T>(value: T | Errno): T {
  if (isErrno(value)) throw new Error(`expected an answer, got ${value.code}`);
  return value as T;
}

/** Mounts a device on a host of its own: nothing but the device is shared. */
export function mounted(device: BlockDevice, options: { projectQuota?: boolean } = {}): Omit<Lab, "disk"> {
  const clock = new Clock();
  const events = new EventStream(() => clock.now);
  const names = new NameTable();
  const cache = new PageCache(clock, events);
  const environment = { names, clock, events, cache, device: deviceNumber(8, 1), ...options };
  return { clock, names, cache, fs: must(mountXfs(device, environment)) };
}

export function lab(size: number, options: MkfsOptions & { projectQuota?: boolean } = {}): Lab {
  const disk = new Disk({ size });
  must(mkfsXfs(disk, options));
  disk.flush();
  const { projectQuota } = options;
  return { disk, ...mounted(disk, projectQuota === undefined ? {} : { projectQuota }) };
}

export function make(on: Omit<Lab, "disk">, directory: Inode, name: string, mode: number = S_IFREG | 0o644, target = ""): Inode {
  return must(on.fs.create(directory, on.names.intern(name), { mode, uid: 0, gid: 0, rdev: 0, target }));
}
export function folder(on: Omit<Lab, "disk">, directory: Inode, name: string): Inode {
  return make(on, directory, name, S_IFDIR | 0o755);
}
export function put(on: Omit<Lab, "disk">, inode: Inode, offset: number, content: Content): number {
  const file = must(on.fs.open(inode, 1));
  const written = must(on.fs.write(file, offset, content));
  on.fs.close(file, 1);
  return written;
}
export function stat(on: Omit<Lab, "disk">, inode: number): Attributes {
  const into = newAttributes();
  on.fs.getattr(inodeHandle(inode), into);
  return into;
}
export const ROOT: Inode = inodeHandle(128);
