/**
 * What stat, statfs and readdir tell, in Node's shape: Stats, its bigint twin, StatFs and Dirent.
 *
 * Interface: a simulated filesystem keeps no time of creation, so birthtime is ctime, as Node shows it where the kernel has none.
 */
import { type Time, timeToNanoseconds } from "../../sim/core/clock.ts";
import {
  type Attributes,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type StatFs as SpaceTold,
} from "../../sim/vfs/filesystem.ts";

function milliseconds(time: Time): number {
  return time.seconds * 1000 + time.nanoseconds / 1e6;
}

/** A Date of a number of milliseconds, rounded as Node rounds it. */
function dateOf(ms: number | bigint): Date {
  return new Date(Math.round(Number(ms)));
}

/** A date that somebody puts in the place of the file's own. */
function replace(of: Stats, name: string, value: Date): void {
  Object.defineProperty(of, name, { value, enumerable: true, configurable: true, writable: true });
}

/** fs.Stats. Its dates are made when they are asked for. */
export class Stats {
  readonly dev: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly blksize: number;
  readonly ino: number;
  readonly size: number;
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number;

  constructor(of: Attributes) {
    this.dev = of.device;
    this.mode = of.mode;
    this.nlink = of.nlink;
    this.uid = of.uid;
    this.gid = of.gid;
    this.rdev = of.rdev;
    this.blksize = of.blockSize;
    this.ino = of.inodeNumber;
    this.size = of.size;
    this.blocks = of.blocks;
    this.atimeMs = milliseconds(of.atime);
    this.mtimeMs = milliseconds(of.mtime);
    this.ctimeMs = milliseconds(of.ctime);
    this.birthtimeMs = this.ctimeMs;
  }

  get atime(): Date {
    return dateOf(this.atimeMs);
  }
  set atime(value: Date) {
    replace(this, "atime", value);
  }
  get mtime(): Date {
    return dateOf(this.mtimeMs);
  }
  set mtime(value: Date) {
    replace(this, "mtime", value);
  }
  get ctime(): Date {
    return dateOf(this.ctimeMs);
  }
  set ctime(value: Date) {
    replace(this, "ctime", value);
  }
  get birthtime(): Date {
    return dateOf(this.birthtimeMs);
  }
  set birthtime(value: Date) {
    replace(this, "birthtime", value);
  }
  isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }
  isFile(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }
  isSymbolicLink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }
  isFIFO(): boolean {
    return (this.mode & S_IFMT) === S_IFIFO;
  }
  isSocket(): boolean {
    return (this.mode & S_IFMT) === S_IFSOCK;
  }
  isBlockDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFBLK;
  }
  isCharacterDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFCHR;
  }
}

const TYPE_CHECKS: readonly (readonly [name: string, type: number])[] = [
  ["isDirectory", S_IFDIR],
  ["isFile", S_IFREG],
  ["isSymbolicLink", S_IFLNK],
  ["isFIFO", S_IFIFO],
  ["isSocket", S_IFSOCK],
  ["isBlockDevice", S_IFBLK],
  ["isCharacterDevice", S_IFCHR],
];

/** fs.BigIntStats: whole numbers as bigints, times to the nanosecond. */
export function bigIntStats(of: Attributes): object {
  const times: Record<string, unknown> = {};
  for (const [name, time] of [
    ["atime", of.atime],
    ["mtime", of.mtime],
    ["ctime", of.ctime],
    ["birthtime", of.ctime],
  ] as const) {
    const nanos = timeToNanoseconds(time);
    times[`${name}Ms`] = nanos / 1_000_000n;
    times[`${name}Ns`] = nanos;
    times[name] = dateOf(nanos / 1_000_000n);
  }
  const stats = {
    dev: BigInt(of.device),
    mode: BigInt(of.mode),
    nlink: BigInt(of.nlink),
    uid: BigInt(of.uid),
    gid: BigInt(of.gid),
    rdev: BigInt(of.rdev),
    blksize: BigInt(of.blockSize),
    ino: BigInt(of.inodeNumber),
    size: BigInt(of.size),
    blocks: BigInt(of.blocks),
    ...times,
  };
  for (const [name, type] of TYPE_CHECKS)
    Object.defineProperty(stats, name, { value: () => (of.mode & S_IFMT) === type, enumerable: false });
  return stats;
}

/** fs.StatFs, or its bigint twin. */
export function statFs(told: SpaceTold, bigint: boolean): object {
  const numbers = {
    type: told.type,
    bsize: told.blockSize,
    blocks: told.blocks,
    bfree: told.blocksFree,
    bavail: told.blocksAvailable,
    files: told.files,
    ffree: told.filesFree,
  };
  if (!bigint) return numbers;
  return Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, BigInt(value)]));
}

/** fs.Dirent. */
export class Dirent {
  readonly name: unknown;
  readonly parentPath: string;
  readonly path: string;
  readonly #type: number;

  /** @param type - type bits of a mode (S_IFMT). */
  constructor(name: unknown, parentPath: string, type: number) {
    this.name = name;
    this.parentPath = parentPath;
    this.path = parentPath;
    this.#type = type;
  }

  isDirectory(): boolean {
    return this.#type === S_IFDIR;
  }
  isFile(): boolean {
    return this.#type === S_IFREG;
  }
  isSymbolicLink(): boolean {
    return this.#type === S_IFLNK;
  }
  isFIFO(): boolean {
    return this.#type === S_IFIFO;
  }
  isSocket(): boolean {
    return this.#type === S_IFSOCK;
  }
  isBlockDevice(): boolean {
    return this.#type === S_IFBLK;
  }
  isCharacterDevice(): boolean {
    return this.#type === S_IFCHR;
  }
}
