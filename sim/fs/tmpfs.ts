/**
 * tmpfs: a filesystem whose only place is memory (mm/shmem.c, Linux 6.18). Also the plainest FileSystem there is, for tests of what stands
 * on one.
 *
 * Interface: pages are pinned in the page cache: never dirty, never evicted, and counted against size=. A directory lists its newest entry
 * first, as libfs's offset directories do; each entry adds 20 bytes to its size. There is nothing to write back: sync does nothing.
 */
import { assert } from "../core/assert.ts";
import type { Content } from "../core/content.ts";
import { EINVAL, ENOENT, ENOTSUP, type Errno, isErrno } from "../core/errno.ts";
import type { Name } from "../core/names.ts";
import { type Bytes, bytes, type DeviceNumber, deviceNumber } from "../core/units.ts";
import { chmodAcl } from "../vfs/acl.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import { type FileHandles, INO32_GEN } from "../vfs/file-handles.ts";
import {
  type AttributeChange,
  type Attributes,
  type FileHandle,
  type FileSystem,
  fileHandle,
  type Inode,
  inodeHandle,
  type NewInode,
  S_IFDIR,
  S_IFMT,
  type StatFs,
  type VisitEntry,
} from "../vfs/filesystem.ts";
import { NO_ATIME } from "../vfs/inode-flags.ts";
import { TMPFS_MAGIC } from "../vfs/magic.ts";
import { CachedMapping } from "../vfs/mapping.ts";
import { type Acl, type AclKind, keptAcl } from "../vfs/posix-acl.ts";
import { changeAttributes, readAttributes, updateAtime } from "./tmpfs-attributes.ts";
import { checkTmpfs } from "./tmpfs-check.ts";
import { FALLOCATE_MODES, TmpfsFiles, type TmpfsHost } from "./tmpfs-files.ts";
import type { TmpfsInodes } from "./tmpfs-inodes.ts";
import * as names from "./tmpfs-names.ts";
import { TmpfsSpace } from "./tmpfs-space.ts";
import { TmpfsState } from "./tmpfs-state.ts";

/** What an entry adds to its directory's size (BOGO_DIRENT_SIZE). */
const ENTRY_BYTES = 20;
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
  /** shmem_encode_fh: a generation and the number, which is never used again; here the inode's row takes the place of the generation. */
  readonly handles: FileHandles = {
    type: INO32_GEN,
    words: 3,
    encode: (inode) => [inode, this.#inodes.number[inode] as number, 0],
    decode: ([inode = 0, number]) => (inode > 0 && this.#inodes.number[inode] === number ? inode : undefined),
  };
  readonly stampsEmptyReads = true;
  readonly fallocateModes: number = FALLOCATE_MODES;
  readonly #state: TmpfsState;
  readonly #inodes: TmpfsInodes;
  readonly #files: TmpfsFiles;

  constructor(host: TmpfsHost, options: TmpfsOptions = {}) {
    this.label = options.label ?? "tmpfs";
    this.device = options.device ?? deviceNumber(0, 30);
    const half = Math.floor(host.cache.memoryPages / 2);
    const blocks = options.size === undefined ? half : Math.ceil(options.size / PAGE_SIZE);
    this.#state = new TmpfsState(host.clock, new TmpfsSpace(blocks, options.inodes ?? half));
    this.#inodes = this.#state.inodes;
    this.#files = new TmpfsFiles({ label: this.label, host, inodes: this.#inodes, space: this.#state.space });
    const mode = S_IFDIR | (options.mode ?? 0o1777);
    const root = this.#state.make({ mode, uid: 0, gid: 0, rdev: 0, target: "" }, 1);
    assert(root === ROOT, "a tmpfs begins with its root");
    this.#inodes.nlink[ROOT] = 2;
  }

  // Names

  lookup(directory: Inode, name: Name): Inode | Errno {
    const found = this.#state.entries.lookup(directory, name);
    return found === 0 ? ENOENT : (found as Inode);
  }

  parentOf(directory: Inode): Inode {
    return this.#inodes.extra[directory] as Inode;
  }

  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    return names.create(this.#state, directory, name, init);
  }
  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    const made = this.#state.make(init, directory);
    if (!isErrno(made)) this.hold(made);
    return made;
  }
  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    return names.link(this.#state, source, directory, name);
  }
  unlink(directory: Inode, name: Name): Errno | undefined {
    return names.unlink(this.#state, directory, name);
  }
  rmdir(directory: Inode, name: Name): Errno | undefined {
    return names.rmdir(this.#state, directory, name);
  }
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number, left?: NewInode): Errno | undefined {
    return names.rename(this.#state, { directory, name, toDirectory, toName }, flags, left);
  }

  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    const entries = this.#state.entries;
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
    if (left === 0 && this.#inodes.nlink[inode] === 0) this.#state.free(inode);
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
    return this.#state.isDirectory(inode)
      ? (this.#state.entries.count(inode) + 2) * ENTRY_BYTES
      : (this.#inodes.size[inode] as number);
  }

  getattr(inode: Inode, into: Attributes, tells = false): Errno | undefined {
    readAttributes(this.#inodes, inode, into);
    if (tells) this.#inodes.asked[inode] = 1;
    into.size = this.size(inode);
    into.device = this.device;
    return undefined;
  }

  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    const { size, mode } = change;
    const cuts = size !== undefined && size !== this.#inodes.size[inode];
    if (cuts) this.#files.setSize(inode, size);
    // Where there are pages they are asked to go from the new end on, and that counts as a change, though none goes (shmem_truncate_range).
    const moves = cuts || (size !== undefined && (this.#files.pages(inode)?.cachedPages ?? 0) > 0);
    changeAttributes(this.#inodes, inode, change, this.#state.clock, moves);
    return mode === undefined ? undefined : chmodAcl(this, inode, mode);
  }

  touchAtime(inode: Inode, above = false, strict = false): void {
    if ((this.#state.flags.get(inode) & NO_ATIME) === 0) updateAtime(this.#inodes, inode, this.#state.clock, above, strict);
  }

  // Extended attributes, flags of chattr(1)
  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    return this.#state.xattrs.get(inode, name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    return this.#touched(inode, this.#state.xattrs.set(inode, name, value, flags));
  }
  removexattr(inode: Inode, name: string): Errno | undefined {
    return this.#touched(inode, this.#state.xattrs.remove(inode, name));
  }
  listxattr(inode: Inode): string[] | Errno {
    return [...this.#state.acls.names(inode), ...this.#state.xattrs.names(inode)];
  }
  acl(inode: Inode, kind: AclKind): Acl | undefined {
    return this.#state.acls.get(inode, kind);
  }
  /** simple_set_acl, which sets the mode beside a removal too. */
  setAcl(inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number): Errno | undefined {
    this.#state.acls.set(inode, kind, keptAcl(kind, acl));
    if (mode !== undefined) this.#inodes.mode[inode] = (this.mode(inode) & S_IFMT) | mode;
    return this.#touched(inode, undefined);
  }
  fileFlags(inode: Inode): number | Errno {
    return this.#state.flags.get(inode);
  }
  setFileFlags(inode: Inode, flags: number): Errno | undefined {
    return this.#touched(inode, this.#state.flags.set(inode, flags));
  }

  /** The end of a call that changed an inode, unless it failed. */
  #touched(inode: Inode, failed: Errno | undefined): Errno | undefined {
    if (failed === undefined) this.#state.stamp(inode);
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
  /** Pages that were read through a writable mapping are mapped to be written at once (vma_wants_writenotify). */
  writeMapped(file: FileHandle, offset: number, content: Content): number | Errno {
    return this.#files.store(file, offset, content);
  }
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    return this.#files.fallocate(file, mode, { offset, length });
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    return this.#files.seek(file, offset, hole);
  }
  cachedPages(file: FileHandle): number {
    return this.#files.presentPages(file);
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
    return { type: TMPFS_MAGIC, blockSize: bytes(PAGE_SIZE), ...this.#state.space.counts(), nameLength: this.nameMax };
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
    this.#state.entries.check();
    checkTmpfs({ label: this.label, inodes: this.#inodes, entries: this.#state.entries, pages: this.#state.space.usedBlocks });
  }
}
