/**
 * ext4 as a FileSystem (fs/ext4, Linux 6.18): operations are in files of their own; this one says which, and keeps holds, timers and the page cache's side.
 *
 * Interface: an inode's handle is its number. The running transaction commits every 5 seconds of virtual time, at fsync, sync and unmount.
 */
import { assert } from "../../core/assert.ts";
import { timeSet } from "../../core/clock.ts";
import type { Content } from "../../core/content.ts";
import { EINVAL, ENOENT, ENOTSUP, ENXIO, EPERM, type Errno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { bytes, type DeviceNumber, type InodeNumber, seconds } from "../../core/units.ts";
import { chmodAcl } from "../../vfs/acl.ts";
import type { FileHandles } from "../../vfs/file-handles.ts";
import {
  type AttributeChange,
  type Attributes,
  type FileHandle,
  type FileSystem,
  fileHandle,
  type Inode,
  inodeHandle,
  type NewInode,
  O_ACCMODE,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFMT,
  S_IFREG,
  type StatFs,
  type VisitEntry,
} from "../../vfs/filesystem.ts";
import { EXT4_MAGIC } from "../../vfs/magic.ts";
import type { Acl, AclKind } from "../../vfs/posix-acl.ts";
import { atimeOfRead } from "../../vfs/relatime.ts";
import { aclOf, setAcl } from "./acl.ts";
import { check } from "./check.ts";
import { lookupEntry, readDirectory } from "./directories.ts";
import { FALLOCATE_MODES, fallocate } from "./fallocate.ts";
import { FILE_SIZE_MAX, fileOf, flushAll, fsync, isImmutable, read, release, seek, truncate, write } from "./file.ts";
import { ext4Handles } from "./handles.ts";
import {
  ASKED,
  ATIME,
  BLOCKS,
  CTIME,
  EXTENT_FLAG,
  EXTRA,
  FLAGS,
  GID,
  HOLD,
  HOLDS,
  IMMUTABLE_FLAG,
  INDEX_FLAG,
  MODE,
  MTIME,
  NLINK,
  NOATIME_FLAG,
  sizeIn,
  UID,
} from "./inode-words.ts";
import { SymlinkData } from "./inodes.ts";
import { BLOCK_SIZE, overheadOf, ROOT_INODE } from "./layout.ts";
import { create, freeWhole, link, rmdir, tmpfile, unlink } from "./namei.ts";
import { visitRows } from "./readdir.ts";
import { writeRecord } from "./records.ts";
import { rename } from "./rename.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";
import { putTime } from "./times.ts";
import { addressSpace } from "./writeback.ts";
import { getxattr, listxattr, removexattr, setxattr } from "./xattrs.ts";

/** Flags that chattr may change (EXT4_FL_USER_MODIFIABLE), without those of the layout. */
const MODIFIABLE_FLAGS: number = 0x0b80f8ff & ~EXTENT_FLAG & ~INDEX_FLAG;
/** JBD2_DEFAULT_MAX_COMMIT_AGE. */
const COMMIT_SECONDS = 5;

export class Ext4 implements FileSystem {
  readonly type = "ext4";
  readonly label: string;
  readonly root: Inode = inodeHandle(ROOT_INODE);
  readonly device: DeviceNumber;
  readonly nameMax = 255;
  readonly stackDepth = 0;
  readonly handles: FileHandles;
  readonly fallocateModes: number = FALLOCATE_MODES;
  readonly directIo: FileSystem["directIo"] = () => ({ unit: this.#state.device.sectorSize, stampsRefused: true });
  readonly counters: Ext4State["journal"]["counters"];
  readonly #state: Ext4State;
  readonly #stopTimer: () => void;
  readonly #overhead: number;

  constructor(state: Ext4State) {
    this.#state = state;
    this.handles = ext4Handles(state);
    this.label = state.label;
    this.device = state.environment.device;
    this.counters = state.journal.counters;
    this.#overhead = overheadOf(state.geometry);
    const space = addressSpace(state);
    state.space = space;
    state.lonePages = state.environment.cache.lonePages(space, (inode) => fileOf(state, inode));
    this.#stopTimer = state.environment.clock.every(seconds(COMMIT_SECONDS), () => {
      state.commit();
      state.journal.writeExpired();
    });
  }

  // Names

  lookup(directory: Inode, name: Name): Inode | Errno {
    const found = lookupEntry(this.#state, directory, name);
    if (typeof found !== "number" || found === 0) return found === 0 ? ENOENT : found;
    return this.#state.isDoubtful(found) ? (this.#state.reach(found) ?? (found as Inode)) : (found as Inode);
  }
  parentOf(directory: Inode): Inode {
    return this.#state.word(directory, EXTRA) as Inode;
  }
  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    return create(this.#state, directory, name, init) as Inode | Errno;
  }
  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    return tmpfile(this.#state, directory, init) as Inode | Errno;
  }
  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    return link(this.#state, source, directory, name);
  }
  unlink(directory: Inode, name: Name): Errno | undefined {
    return unlink(this.#state, directory, name);
  }
  rmdir(directory: Inode, name: Name): Errno | undefined {
    return rmdir(this.#state, directory, name);
  }
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number, whiteout?: NewInode): Errno | undefined {
    return rename(this.#state, { directory, name }, { directory: toDirectory, name: toName }, flags, whiteout);
  }
  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    const state = this.#state;
    const unread = readDirectory(state, directory);
    if (unread !== undefined) return unread;
    visitRows(state, state.directory(directory), (row) => {
      const child = state.dentries.child(row);
      visit(state.dentries.name(row), child, state.word(child, MODE) & S_IFMT);
    });
    return undefined;
  }
  readlink(target: Inode): string | Errno {
    const data = this.#state.data(target);
    return data instanceof SymlinkData ? this.#state.targetOf(data) : EINVAL;
  }

  // Inodes

  hold(inode: Inode): void {
    const { inodes } = this.#state;
    const row = inodes.rowOf(inode);
    const words = inodes.wordsOf(row);
    const at = inodes.startOf(row);
    words[at + HOLDS] = (words[at + HOLDS] as number) + HOLD;
  }
  drop(inode: Inode): void {
    const state = this.#state;
    const { inodes } = state;
    const row = inodes.rowOf(inode);
    const words = inodes.wordsOf(row);
    const at = inodes.startOf(row);
    const left = (words[at + HOLDS] as number) - HOLD;
    if (left < 0) assert(false, `${this.label}: inode ${inode} was dropped more often than held`);
    words[at + HOLDS] = left;
    if (left < HOLD && words[at + NLINK] === 0 && state.begin() === undefined) freeWhole(state, inode);
  }
  mode(inode: Inode): number {
    return this.#state.word(inode, MODE);
  }
  uid(inode: Inode): number {
    return this.#state.word(inode, UID) >>> 0;
  }
  gid(inode: Inode): number {
    return this.#state.word(inode, GID) >>> 0;
  }
  size(inode: Inode): number {
    return this.#state.size(inode);
  }

  getattr(inode: Inode, into: Attributes, tells = false): Errno | undefined {
    const { inodes, times } = this.#state;
    const row = inodes.rowOf(inode);
    const words = inodes.wordsOf(row);
    const at = inodes.startOf(row);
    const mode = words[at + MODE] as number;
    const type = mode & S_IFMT;
    into.mode = mode;
    into.uid = (words[at + UID] as number) >>> 0;
    into.gid = (words[at + GID] as number) >>> 0;
    into.nlink = words[at + NLINK] as number;
    into.size = sizeIn(words, at);
    // Promised blocks count as if they were there (ext4_getattr).
    const delayed = type === S_IFREG && words[at + EXTRA] !== 0 ? this.#delayedBlocks(inode, words[at + EXTRA] as number) : 0;
    into.blocks = (((words[at + BLOCKS] as number) >>> 0) + delayed) * (BLOCK_SIZE / 512);
    into.blockSize = BLOCK_SIZE;
    into.rdev = type === S_IFCHR || type === S_IFBLK ? (words[at + EXTRA] as number) >>> 0 : 0;
    into.inodeNumber = inode as number as InodeNumber;
    into.device = this.device;
    into.atime = times.get(words, at + ATIME);
    into.mtime = times.get(words, at + MTIME);
    into.ctime = times.get(words, at + CTIME);
    if (tells) words[at + HOLDS] = (words[at + HOLDS] as number) | ASKED;
    return undefined;
  }

  #delayedBlocks(file: Inode, extra: number): number {
    return extra < 0 ? 1 : (fileOf(this.#state, file)?.delayedBlocks ?? 0);
  }

  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    const state = this.#state;
    if (isImmutable(state, inode)) return EPERM;
    if (change.size !== undefined) {
      const failed = truncate(state, inode, change.size);
      if (failed !== undefined) return failed;
    } else {
      const refused = state.begin();
      if (refused !== undefined) return refused;
    }
    if (change.mode !== undefined) state.setWord(inode, MODE, (state.word(inode, MODE) & S_IFMT) | (change.mode & 0o7777));
    if (change.uid !== undefined) state.setWord(inode, UID, change.uid);
    if (change.gid !== undefined) state.setWord(inode, GID, change.gid);
    const now = stamp(state, inode, false);
    const row = state.inodes.rowOf(inode);
    const at = state.inodes.startOf(row);
    if (change.atime !== undefined) putTime(state.inodes.wordsOf(row), at + ATIME, timeSet(change.atime, now));
    if (change.mtime !== undefined) putTime(state.inodes.wordsOf(row), at + MTIME, timeSet(change.mtime, now));
    return change.mode === undefined ? undefined : chmodAcl(this, inode, change.mode);
  }

  touchAtime(inode: Inode, above = false, strict = false): void {
    const state = this.#state;
    const { inodes, times } = state;
    const row = inodes.rowOf(inode);
    const words = inodes.wordsOf(row);
    const at = inodes.startOf(row);
    if (((words[at + FLAGS] as number) & NOATIME_FLAG) !== 0) return;
    const isAsked = ((words[at + HOLDS] as number) & ASKED) !== 0;
    const now = atimeOfRead(state.environment.clock, times.ofInode(words, at), isAsked, above, strict);
    if (now === undefined || state.begin() !== undefined) return;
    putTime(words, at + ATIME, now);
    state.dirtyInode(inode);
  }

  // Extended attributes

  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    return getxattr(this.#state, inode, name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    return setxattr(this.#state, inode, { name, value }, flags);
  }
  removexattr(inode: Inode, name: string): Errno | undefined {
    return removexattr(this.#state, inode, name);
  }
  listxattr(inode: Inode): string[] | Errno {
    return listxattr(this.#state, inode);
  }
  acl(inode: Inode, kind: AclKind): Acl | undefined {
    return aclOf(this.#state, inode, kind);
  }
  setAcl(inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number): Errno | undefined {
    return setAcl(this.#state, inode, { kind, acl, mode });
  }

  // Open files

  open(inode: Inode, flags: number): FileHandle | Errno {
    const state = this.#state;
    if ((flags & O_ACCMODE) !== O_RDONLY) state.writers.add(inode);
    if (!state.sampled && (state.word(inode, MODE) & S_IFMT) === S_IFREG && state.begin() === undefined) {
      // ext4_sample_last_mounted: the first file opened in a mount leaves the mount's path in the superblock.
      state.sampled = true;
      state.dirtySuperblock();
    }
    this.hold(inode);
    return fileHandle(inode);
  }
  close(file: FileHandle, flags: number): void {
    release(this.#state, file, (flags & O_ACCMODE) !== O_RDONLY);
    this.drop(inodeHandle(file));
  }
  read(file: FileHandle, offset: number, length: number): Content | Errno {
    return read(this.#state, file, offset, length);
  }
  write(file: FileHandle, offset: number, content: Content): number | Errno {
    return write(this.#state, file, offset, content);
  }
  fsync(file: FileHandle, dataOnly: boolean): Errno | undefined {
    return fsync(this.#state, file, dataOnly);
  }
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    return fallocate(this.#state, file, mode, { offset, length });
  }
  /** Positions are hashes of names, not bytes, but in a removed directory, which has none (fs/ext4/dir.c, ext4_dir_llseek). */
  directoryEnd(directory: Inode): number {
    return this.#state.size(directory) === 0 ? 0 : 2 ** 63;
  }

  positionMax(): number {
    return FILE_SIZE_MAX;
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    if (offset < 0 || offset >= this.#state.size(file)) return ENXIO;
    const found = this.#state.reachTree(file) ?? seek(this.#state, file, offset, hole);
    return typeof found === "number" && found < 0 ? ENXIO : found;
  }
  clone(): Errno {
    return ENOTSUP;
  }
  cachedPages(file: FileHandle): number {
    return fileOf(this.#state, file)?.mapping?.cachedPages ?? 0;
  }
  dropPages(file: FileHandle): void {
    fileOf(this.#state, file)?.mapping?.drop();
  }

  fileFlags(inode: Inode): number | Errno {
    return this.#state.word(inode, FLAGS);
  }
  setFileFlags(inode: Inode, flags: number): Errno | undefined {
    const state = this.#state;
    // What stays immutable keeps its other flags too (ext4_ioctl_check_immutable).
    const changed = state.word(inode, FLAGS) ^ flags;
    if (isImmutable(state, inode) && (changed & IMMUTABLE_FLAG) === 0 && (changed & MODIFIABLE_FLAGS) !== 0) return EPERM;
    const refused = state.begin();
    if (refused !== undefined) return refused;
    state.setWord(inode, FLAGS, (state.word(inode, FLAGS) & ~MODIFIABLE_FLAGS) | (flags & MODIFIABLE_FLAGS));
    stamp(state, inode, false);
    return undefined;
  }

  // The whole

  statfs(): StatFs {
    const { geometry, freeBlocks, delayedBlocks, freeInodes } = this.#state;
    const free = Math.max(0, freeBlocks - delayedBlocks);
    return {
      type: EXT4_MAGIC,
      blockSize: bytes(BLOCK_SIZE),
      blocks: geometry.blocks - this.#overhead,
      blocksFree: free,
      blocksAvailable: Math.max(0, free - geometry.reservedBlocks - geometry.reservedClusters),
      files: geometry.inodes,
      filesFree: freeInodes,
      nameLength: this.nameMax,
    };
  }

  /** Writes data, commits, and writes metadata in place as sync(2) does through the device's cache; metadata also if data cannot be written (sync_filesystem). */
  sync(): Errno | undefined {
    const state = this.#state;
    const lost = flushAll(state);
    const failed = state.journal.isIdle ? state.device.flush() : state.commit();
    return failed ?? state.journal.writeBack() ?? lost;
  }

  unmount(): Errno | undefined {
    const state = this.#state;
    const lost = flushAll(state);
    const failed = state.commit() ?? state.journal.close();
    this.#stopTimer();
    for (const ino of state.inodesInMemory()) fileOf(state, ino)?.mapping?.truncate(0);
    if (failed !== undefined) return failed;
    state.needsRecovery = false;
    return writeRecord(state.device, 0, state.superblock()) ?? state.device.flush() ?? lost;
  }

  check(): void {
    check(this.#state);
  }

  /** The extents of a file as filefrag tells them: neighbours on the disk are one. Triples of logical start, blocks, physical start. */
  extents(inode: Inode): number[] {
    const data = fileOf(this.#state, inode);
    const out: number[] = [];
    const list = data?.tree.list;
    for (let index = 0; list !== undefined && index < list.count; index++) {
      const last = out.length - 3;
      const joins =
        last >= 0 &&
        (out[last] as number) + (out[last + 1] as number) === list.logical(index) &&
        (out[last + 2] as number) + (out[last + 1] as number) === list.physical(index);
      if (joins) out[last + 1] = (out[last + 1] as number) + list.length(index);
      else out.push(list.logical(index), list.length(index), list.physical(index));
    }
    return out;
  }
}
