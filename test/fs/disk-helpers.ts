/** A filesystem on a fresh disk, and the few calls that tests need. */
import type { Disk } from "../../sim/block/disk.ts";
import { Clock } from "../../sim/core/clock.ts";
import type { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { NameTable } from "../../sim/core/names.ts";
import { type DeviceNumber, deviceNumber } from "../../sim/core/units.ts";
import {
  type Attributes,
  type FileSystem,
  type Inode,
  inodeHandle,
  newAttributes,
  S_IFDIR,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";

/** A mounted filesystem with a host of its own. */
export interface Mounted<F extends FileSystem = FileSystem> {
  readonly clock: Clock;
  readonly names: NameTable;
  readonly cache: PageCache;
  readonly fs: F;
}

export interface Lab<F extends FileSystem = FileSystem> extends Mounted<F> {
  readonly disk: Disk;
}

export function must<T>(value: T | Errno): T {
  if (isErrno(value)) throw new Error(`expected an answer, got ${value.code}`);
  return value as T;
}

interface Environment {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCache;
  readonly device: DeviceNumber;
}

/** Mounts on a host of its own: nothing but the device is shared. */
export function onOwnHost<F extends FileSystem>(mount: (environment: Environment) => F | Errno): Mounted<F> {
  const clock = new Clock();
  const events = new EventStream(() => clock.now);
  const names = new NameTable();
  const cache = new PageCache(clock, events);
  return { clock, names, cache, fs: must(mount({ names, clock, events, cache, device: deviceNumber(8, 1) })) };
}

export function make(on: Mounted, directory: Inode, name: string, mode: number = S_IFREG | 0o644, target = ""): Inode {
  return must(on.fs.create(directory, on.names.intern(name), { mode, uid: 0, gid: 0, rdev: 0, target }));
}
export function folder(on: Mounted, directory: Inode, name: string): Inode {
  return make(on, directory, name, S_IFDIR | 0o755);
}
export function put(on: Mounted, inode: Inode, offset: number, content: Content): number {
  const file = must(on.fs.open(inode, 1));
  const written = must(on.fs.write(file, offset, content));
  on.fs.close(file, 1);
  return written;
}
export function stat(on: Mounted, inode: number): Attributes {
  const into = newAttributes();
  on.fs.getattr(inodeHandle(inode), into);
  return into;
}
