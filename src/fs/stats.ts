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

/** A time in milliseconds since 1970, with a fraction. */
export function milliseconds(time: Time): number {
  return time.seconds * 1000 + time.nanoseconds / 1e6;
}

/** A Date of a number of milliseconds, rounded as Node rounds it. */
export function dateOf(ms: number | bigint): Date {
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

/** fs.BigIntStats: whole numbers as bigints, times to the nanosecond. */
export class BigIntStats {
  readonly dev: bigint;
  readonly mode: bigint;
  readonly nlink: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly rdev: bigint;
  readonly blksize: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly blocks: bigint;
  readonly atimeMs: bigint;
  readonly mtimeMs: bigint;
  readonly ctimeMs: bigint;
  readonly birthtimeMs: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;
  readonly atime: Date;
  readonly mtime: Date;
  readonly ctime: Date;
  readonly birthtime: Date;

  constructor(of: Attributes) {
    const [atime, mtime, ctime] = [of.atime, of.mtime, of.ctime].map(timeToNanoseconds) as [bigint, bigint, bigint];
    this.dev = BigInt(of.device);
    this.mode = BigInt(of.mode);
    this.nlink = BigInt(of.nlink);
    this.uid = BigInt(of.uid);
    this.gid = BigInt(of.gid);
    this.rdev = BigInt(of.rdev);
    this.blksize = BigInt(of.blockSize);
    this.ino = BigInt(of.inodeNumber);
    this.size = BigInt(of.size);
    this.blocks = BigInt(of.blocks);
    this.atimeMs = atime / 1_000_000n;
    this.mtimeMs = mtime / 1_000_000n;
    this.ctimeMs = ctime / 1_000_000n;
    this.birthtimeMs = this.ctimeMs;
    this.atimeNs = atime;
    this.mtimeNs = mtime;
    this.ctimeNs = ctime;
    this.birthtimeNs = ctime;
    this.atime = dateOf(this.atimeMs);
    this.mtime = dateOf(this.mtimeMs);
    this.ctime = dateOf(this.ctimeMs);
    this.birthtime = dateOf(this.birthtimeMs);
  }

  get #type(): number {
    return Number(this.mode) & S_IFMT;
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

/** fs.StatFs: numbers, or bigints where they are asked for. */
export class StatFs {
  readonly type: number | bigint;
  readonly bsize: number | bigint;
  readonly blocks: number | bigint;
  readonly bfree: number | bigint;
  readonly bavail: number | bigint;
  readonly files: number | bigint;
  readonly ffree: number | bigint;

  constructor(told: SpaceTold, bigint: boolean) {
    const shown = (value: number): number | bigint => (bigint ? BigInt(value) : value);
    this.type = shown(told.type);
    this.bsize = shown(told.blockSize);
    this.blocks = shown(told.blocks);
    this.bfree = shown(told.blocksFree);
    this.bavail = shown(told.blocksAvailable);
    this.files = shown(told.files);
    this.ffree = shown(told.filesFree);
  }
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
