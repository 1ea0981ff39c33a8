/**
 * tmpfs: a filesystem whose only place is memory (mm/shmem.c, Linux 6.18). Also the plainest FileSystem there is, for tests of what stands
 * on one.
 *
 * Interface: pages are pinned in the page cache: never dirty, never evicted, and counted against size=. A directory lists its newest entry
 * first, as libfs's offset directories do; each entry adds 20 bytes to its size. There is nothing to write back: sync does nothing.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import type { Content } from "../core/content.ts";
import { EINVAL, ENOENT, ENOSPC, ENOTEMPTY, ENOTSUP, type Errno, isErrno } from "../core/errno.ts";
import { type Name, utf8Length } from "../core/names.ts";
import { type Bytes, bytes, type DeviceNumber, deviceNumber } from "../core/units.ts";
import { chmodAcl } from "../vfs/acl.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import { DentryTable } from "../vfs/dentry-table.ts";
import {
  type AttributeChange,
  type Attributes,
  type FileHandle,
  type FileSystem,
  fileHandle,
  type Inode,
  inodeHandle,
  type NewInode,
  RENAME_EXCHANGE,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  type StatFs,
  type VisitEntry,
} from "../vfs/filesystem.ts";
import { NO_ATIME } from "../vfs/inode-flags.ts";
import { CachedMapping } from "../vfs/mapping.ts";
import { type Acl, type AclKind, keptAcl } from "../vfs/posix-acl.ts";
import { TmpfsAcls } from "./tmpfs-acl.ts";
import { changeAttributes, readAttributes, updateAtime } from "./tmpfs-attributes.ts";
import { checkTmpfs } from "./tmpfs-check.ts";
import { FALLOCATE_MODES, TmpfsFiles, type TmpfsHost } from "./tmpfs-files.ts";
import { TmpfsFlags } from "./tmpfs-flags.ts";
import { SHORT_TARGET, TmpfsInodes } from "./tmpfs-inodes.ts";
import { TmpfsSpace } from "./tmpfs-space.ts";
import { TmpfsXattrs } from "./tmpfs-xattrs.ts";

const TMPFS_MAGIC = 0x01021994;
/** What an entry adds to its directory's size (BOGO_DIRENT_SIZE). */
const ENTRY_BYTES = 20;
/** What RENAME_WHITEOUT leaves unless the caller says otherwise. */
const ROOTS_WHITEOUT: NewInode = { mode: S_IFCHR, uid: 0, gid: 0, rdev: 0, target: "" };
const ROOT: Inode = inodeHandle(1);

export interface TmpfsOptions {
  readonly label?: string;
  /** size=; 0 for no limit. Default: half of the host's memory for pages. */
  readonly size?: Bytes;
  /** nr_inodes=; 0 for no limit. Default: one for every page of half the memory. */
  readonly inodes?: number;
  /** st_dev. */
  readonly device?: DeviceNumber;
  /** mode= of the root, by default 01777. */
  readonly mode?: number;
}

export class Tmpfs implements FileSystem {
  readonly type = "tmpfs";
  readonly label: string;
  readonly root: Inode = ROOT;
  readonly device: DeviceNumber;
  readonly nameMax = 255;
  readonly stackDepth = 0;
  readonly exportable = true;
  readonly stampsEmptyReads = true;
  readonly fallocateModes: number = FALLOCATE_MODES;
  readonly #clock: Clock;
  readonly #inodes: TmpfsInodes;
  readonly #entries = new DentryTable();
  readonly #xattrs: TmpfsXattrs;
  readonly #flags = new TmpfsFlags();
  readonly #acls = new TmpfsAcls();
  readonly #space: TmpfsSpace;
  readonly #files: TmpfsFiles;

  constructor(host: TmpfsHost, options: TmpfsOptions = {}) {
    this.label = options.label ?? "tmpfs";
    this.device = options.device ?? deviceNumber(0, 30);
    this.#clock = host.clock;
    const half = Math.floor(host.cache.memoryPages / 2);
    const blocks = options.size === undefined ? half : Math.ceil(options.size / PAGE_SIZE);
    this.#space = new TmpfsSpace(blocks, options.inodes ?? half);
    this.#xattrs = new TmpfsXattrs(this.#space);
    this.#inodes = new TmpfsInodes(host.clock.time());
    this.#files = new TmpfsFiles({ label: this.label, host, inodes: this.#inodes, space: this.#space });
    const mode = S_IFDIR | (options.mode ?? 0o1777);
    const root = this.#make({ mode, uid: 0, gid: 0, rdev: 0, target: "" }, 1);
    assert(root === ROOT, "a tmpfs begins with its root");
    this.#inodes.nlink[ROOT] = 2;
  }

  // Names

  lookup(directory: Inode, name: Name): Inode | Errno {
    const found = this.#entries.lookup(directory, name);
    return found === 0 ? ENOENT : (found as Inode);
  }

  parentOf(directory: Inode): Inode {
    return this.#inodes.extra[directory] as Inode;
  }

  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    if (this.#inodes.nlink[directory] === 0) return ENOENT;
    const made = this.#make(init, directory);
    if (isErrno(made)) return made;
    this.#entries.insert(directory, name, made);
    const { nlink } = this.#inodes;
    if ((init.mode & S_IFMT) === S_IFDIR) {
      nlink[made] = 2;
      nlink[directory] = (nlink[directory] as number) + 1;
    } else nlink[made] = 1;
    this.#changed(directory);
    return made;
  }

  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    const made = this.#make(init, directory);
    if (!isErrno(made)) this.hold(made);
    return made;
  }

  #make(init: NewInode, directory: number): Inode | Errno {
    const type = init.mode & S_IFMT;
    const pages = type === S_IFLNK && utf8Length(init.target) > SHORT_TARGET ? 1 : 0;
    if (pages > this.#space.freeBlocks || !this.#space.takeInode()) return ENOSPC;
    this.#space.usedBlocks += pages;
    const inodes = this.#inodes;
    const { mode, uid, gid } = init;
    const data = type === S_IFLNK ? init.target : undefined;
    const made = inodes.add({ mode, uid, gid, now: this.#clock.time(), data });
    if (type === S_IFDIR) inodes.extra[made] = directory;
    else if (type === S_IFLNK) inodes.size[made] = utf8Length(init.target);
    else inodes.extra[made] = init.rdev;
    this.#flags.inherit(made, directory);
    if (init.acls !== undefined) this.#acls.init(made, init.acls);
    return made as Inode;
  }

  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    const inodes = this.#inodes;
    if (inodes.nlink[directory] === 0) return ENOENT;
    // A file without names has paid for one when it was made.
    if (inodes.nlink[source] !== 0 && !this.#space.takeInode()) return ENOSPC;
    this.#entries.insert(directory, name, source);
    inodes.nlink[source] = (inodes.nlink[source] as number) + 1;
    this.#changed(directory);
    inodes.ctime[source] = this.#clock.time();
    return undefined;
  }

  unlink(directory: Inode, name: Name): Errno | undefined {
    const row = this.#entries.find(directory, name);
    const victim = this.#entries.child(row);
    this.#entries.remove(row);
    this.#changed(directory);
    this.#loseName(victim);
    return undefined;
  }

  rmdir(directory: Inode, name: Name): Errno | undefined {
    const row = this.#entries.find(directory, name);
    const victim = this.#entries.child(row);
    if (this.#entries.count(victim) > 0) return ENOTEMPTY;
    this.#entries.remove(row);
    this.#changed(directory);
    this.#loseName(victim);
    this.#inodes.nlink[directory] = (this.#inodes.nlink[directory] as number) - 1;
    return undefined;
  }

  /** Takes a name from an inode; an empty directory loses its own "." with it. */
  #loseName(victim: number): void {
    const inodes = this.#inodes;
    const left = this.#isDirectory(victim) ? 0 : (inodes.nlink[victim] as number) - 1;
    inodes.nlink[victim] = left;
    inodes.ctime[victim] = this.#clock.time();
    if (left > 0) this.#space.giveInode();
    else if (inodes.holders[victim] === 0) this.#free(victim);
  }

  rename(
    directory: Inode,
    name: Name,
    toDirectory: Inode,
    toName: Name,
    flags: number,
    left: NewInode = ROOTS_WHITEOUT,
  ): Errno | undefined {
    const entries = this.#entries;
    const row = entries.find(directory, name);
    const moved = entries.child(row);
    const targetRow = entries.find(toDirectory, toName);
    if ((flags & RENAME_EXCHANGE) !== 0) return this.#exchange(row, targetRow);
    const target = targetRow === 0 ? 0 : entries.child(targetRow);
    if (target !== 0 && entries.count(target) > 0) return ENOTEMPTY;
    const wanted = (flags & RENAME_WHITEOUT) !== 0;
    const whiteout = wanted ? this.#make(left, directory) : undefined;
    if (isErrno(whiteout)) return whiteout;
    if (target !== 0) {
      if (this.#isDirectory(target)) this.#countBelow(toDirectory, -1);
      entries.remove(targetRow);
      this.#loseName(target);
    }
    entries.move(row, toDirectory, toName);
    if (whiteout !== undefined) {
      entries.insert(directory, name, whiteout);
      this.#inodes.nlink[whiteout] = 1;
    }
    this.#reparent(moved, directory, toDirectory);
    this.#changed(directory);
    this.#changed(toDirectory);
    this.#inodes.ctime[moved] = this.#clock.time();
    return undefined;
  }

  #exchange(row: number, otherRow: number): undefined {
    const entries = this.#entries;
    const one = entries.child(row);
    const other = entries.child(otherRow);
    const directory = entries.directory(row);
    const otherDirectory = entries.directory(otherRow);
    entries.replace(row, other);
    entries.replace(otherRow, one);
    this.#reparent(one, directory, otherDirectory);
    this.#reparent(other, otherDirectory, directory);
    const now = this.#clock.time();
    for (const inode of [one, other]) this.#inodes.ctime[inode] = now;
    this.#changed(directory);
    this.#changed(otherDirectory);
    return undefined;
  }

  /** A directory that moves takes its ".." along. */
  #reparent(moved: number, from: number, to: number): void {
    if (from === to || !this.#isDirectory(moved)) return;
    this.#countBelow(from, -1);
    this.#countBelow(to, 1);
    this.#inodes.extra[moved] = to;
  }

  #countBelow(parent: number, by: number): void {
    this.#inodes.nlink[parent] = (this.#inodes.nlink[parent] as number) + by;
  }

  /** A directory's entries changed. */
  #changed(directory: number): void {
    const now = this.#clock.time();
    this.#inodes.mtime[directory] = now;
    this.#inodes.ctime[directory] = now;
  }

  #isDirectory(inode: number): boolean {
    return ((this.#inodes.mode[inode] as number) & S_IFMT) === S_IFDIR;
  }

  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    const entries = this.#entries;
    const { mode, number } = this.#inodes;
    for (let row = entries.last(directory); row !== 0; row = entries.previous(row)) {
      const child = entries.child(row);
      visit(entries.name(row), number[child] as number, (mode[child] as number) & S_IFMT);
    }
    return undefined;
  }

  readlink(link: Inode): string | Errno {
    const target = this.#inodes.data[link];
    return typeof target === "string" ? target : EINVAL;
  }

  // Inodes

  hold(inode: Inode): void {
    this.#inodes.holders[inode] = (this.#inodes.holders[inode] as number) + 1;
  }

  drop(inode: Inode): void {
    const left = (this.#inodes.holders[inode] as number) - 1;
    if (left < 0) assert(false, `${this.label}: inode ${inode} was dropped more often than held`);
    this.#inodes.holders[inode] = left;
    if (left === 0 && this.#inodes.nlink[inode] === 0) this.#free(inode);
  }

  #free(inode: number): void {
    const data = this.#inodes.data[inode];
    if (data instanceof CachedMapping) {
      this.#space.usedBlocks -= data.cachedPages;
      data.discard();
    } else if (typeof data === "string" && (this.#inodes.size[inode] as number) > SHORT_TARGET) this.#space.usedBlocks -= 1;
    this.#xattrs.removeAll(inode);
    this.#acls.removeAll(inode);
    this.#flags.remove(inode);
    this.#space.giveInode();
    this.#inodes.remove(inode);
  }

  mode(inode: Inode): number {
    return this.#inodes.mode[inode] as number;
  }
  uid(inode: Inode): number {
    return this.#inodes.uid[inode] as number;
  }
  gid(inode: Inode): number {
    return this.#inodes.gid[inode] as number;
  }
  size(inode: Inode): number {
    return this.#isDirectory(inode) ? (this.#entries.count(inode) + 2) * ENTRY_BYTES : (this.#inodes.size[inode] as number);
  }

  getattr(inode: Inode, into: Attributes): Errno | undefined {
    readAttributes(this.#inodes, inode, into);
    into.size = this.size(inode);
    into.device = this.device;
    return undefined;
  }

  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    const { size, mode } = change;
    const cuts = size !== undefined && size !== this.#inodes.size[inode];
    if (cuts) this.#files.setSize(inode, size);
    changeAttributes(this.#inodes, inode, change, this.#clock.time(), cuts);
    return mode === undefined ? undefined : chmodAcl(this, inode, mode);
  }

  touchAtime(inode: Inode): void {
    if ((this.#flags.get(inode) & NO_ATIME) === 0) updateAtime(this.#inodes, inode, this.#clock.time());
  }

  // Extended attributes, flags of chattr(1)
  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    return this.#xattrs.get(inode, name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    return this.#touched(inode, this.#xattrs.set(inode, name, value, flags));
  }
  removexattr(inode: Inode, name: string): Errno | undefined {
    return this.#touched(inode, this.#xattrs.remove(inode, name));
  }
  listxattr(inode: Inode): string[] | Errno {
    return [...this.#acls.names(inode), ...this.#xattrs.names(inode)];
  }
  acl(inode: Inode, kind: AclKind): Acl | undefined {
    return this.#acls.get(inode, kind);
  }
  /** simple_set_acl, which sets the mode beside a removal too. */
  setAcl(inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number): Errno | undefined {
    this.#acls.set(inode, kind, keptAcl(kind, acl));
    if (mode !== undefined) this.#inodes.mode[inode] = (this.mode(inode) & S_IFMT) | mode;
    return this.#touched(inode, undefined);
  }
  fileFlags(inode: Inode): number | Errno {
    return this.#flags.get(inode);
  }
  setFileFlags(inode: Inode, flags: number): Errno | undefined {
    return this.#touched(inode, this.#flags.set(inode, flags));
  }

  /** The end of a call that changed an inode, unless it failed. */
  #touched(inode: Inode, failed: Errno | undefined): Errno | undefined {
    if (failed === undefined) this.#inodes.ctime[inode] = this.#clock.time();
    return failed;
  }

  // Open files: the handle is the inode

  open(inode: Inode, _flags: number): FileHandle | Errno {
    this.hold(inode);
    return fileHandle(inode);
  }
  close(file: FileHandle, _flags: number): void {
    this.drop(inodeHandle(file));
  }

  read(file: FileHandle, offset: number, length: number): Content | Errno {
    return this.#files.read(file, offset, length);
  }
  write(file: FileHandle, offset: number, content: Content): number | Errno {
    return this.#files.write(file, offset, content);
  }
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    return this.#files.fallocate(file, mode, { offset, length });
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    return this.#files.seek(file, offset, hole);
  }
  cachedPages(file: FileHandle): number {
    return this.#files.pages(file)?.cachedPages ?? 0;
  }
  fsync(_file: FileHandle, _dataOnly: boolean): Errno | undefined {
    return undefined;
  }
  clone(): Errno | undefined {
    return ENOTSUP;
  }
  dropPages(_file: FileHandle): void {}

  // The whole

  statfs(): StatFs {
    return { type: TMPFS_MAGIC, blockSize: bytes(PAGE_SIZE), ...this.#space.counts(), nameLength: this.nameMax };
  }
  sync(): Errno | undefined {
    return undefined;
  }
  unmount(): Errno | undefined {
    for (let inode = 1; inode < this.#inodes.end; inode++) {
      const data = this.#inodes.data[inode];
      if (data instanceof CachedMapping) data.discard();
    }
    return undefined;
  }

  check(): void {
    this.#entries.check();
    checkTmpfs({ label: this.label, inodes: this.#inodes, entries: this.#entries, pages: this.#space.usedBlocks });
  }
}
