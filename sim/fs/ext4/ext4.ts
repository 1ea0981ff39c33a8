/**
 * ext4 as the VFS sees it: the FileSystem whose calls are in the files by operation (namei.ts, rename.ts, file.ts, fallocate.ts, xattrs.ts …).
 *
 * Interface: an inode's handle is its number, an open file's too. Calls that change metadata join the running transaction of the journal; it commits every
 * five seconds, at fsync, sync and unmount. Dirty pages are the page cache's; `sync` writes them first.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { Content } from "../../core/content.ts";
import { ENOENT, ENOTSUP, ENXIO, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { bytes, type DeviceNumber, inodeNumber, seconds } from "../../core/units.ts";
import {
  type AttributeChange,
  type Attributes,
  type FileHandle,
  type FileSystem,
  type Inode,
  inodeHandle,
  type NewInode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  type StatFs,
  type VisitEntry,
} from "../../vfs/filesystem.ts";
import { needsAtime } from "../../vfs/relatime.ts";
import { check } from "./check.ts";
import { loadDirectory, lookupEntry } from "./directories.ts";
import { fallocate } from "./fallocate.ts";
import * as file from "./file.ts";
import { FileData } from "./file-data.ts";
import { ATIME, BLOCKS, CTIME, EXTRA, FLAGS, GID, HOLDS, MODE, MTIME, NLINK, SymlinkData, TIMES, UID, WORDS } from "./inodes.ts";
import { BLOCK_SIZE, overheadOf, ROOT_INODE } from "./layout.ts";
import { close, load } from "./mount.ts";
import * as namei from "./namei.ts";
import { rename } from "./rename.ts";
import type { Ext4Environment, Ext4State } from "./state.ts";
import * as xattrs from "./xattrs.ts";

export type { Ext4Environment } from "./state.ts";

/** EXT4_SUPER_MAGIC. */
const MAGIC = 0xef53;
/** EXT4_DEF_MAX... JBD2_DEFAULT_MAX_COMMIT_AGE. */
const COMMIT_SECONDS = 5;
const PERMISSIONS = 0o7777;
/** Flags that chattr may change (EXT4_FL_USER_MODIFIABLE), without those that need a feature. */
const MODIFIABLE_FLAGS = 0x0b80f8ff & ~namei.EXTENT_FLAG & ~namei.INDEX_FLAG;

/** What an ext4 has done since it was mounted. */
export interface Ext4Counters {
  /** Transactions of the journal. */
  commits: number;
  /** Blocks written to the journal. */
  journalBlocks: number;
  /** Metadata blocks written in place. */
  checkpointBlocks: number;
}

class Ext4 implements FileSystem {
  readonly type = "ext4";
  readonly root: Inode = inodeHandle(ROOT_INODE);
  readonly nameMax = 255;
  readonly stackDepth = 0;
  readonly exportable = true;
  readonly label: string;
  readonly device: DeviceNumber;
  readonly #state: Ext4State;
  readonly #stopTimer: () => void;
  /** f_blocks: what is neither fixed metadata nor journal. */
  readonly #usableBlocks: number;
  #mountPointNoted = false;

  constructor(state: Ext4State) {
    this.#state = state;
    this.label = state.label;
    this.device = state.environment.device;
    this.#usableBlocks = state.geometry.blocks - overheadOf(state.geometry);
    state.space = {
      label: state.label,
      readPages: (inode, start, length) => file.readPages(state, inode, start, length),
      writePages: (inode, start, content) => file.writePages(state, inode, start, content),
    };
    this.#stopTimer = state.environment.clock.every(seconds(COMMIT_SECONDS), () => {
      state.commit();
      state.journal.writeExpired();
    });
  }

  get counters(): Ext4Counters {
    const { commits, logBlocks, checkpointBlocks } = this.#state.journal.counters;
    return { commits, journalBlocks: logBlocks, checkpointBlocks };
  }

  // Names

  lookup(directory: Inode, name: Name): Inode | Errno {
    const found = lookupEntry(this.#state, directory, name);
    return found === 0 ? ENOENT : inodeHandle(found);
  }
  parentOf(directory: Inode): Inode {
    return inodeHandle(this.#state.word(directory, EXTRA));
  }
  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    const made = namei.create(this.#state, directory, name, init);
    return isErrno(made) ? made : inodeHandle(made);
  }
  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    const made = namei.tmpfile(this.#state, directory, init);
    return isErrno(made) ? made : inodeHandle(made);
  }
  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    return namei.link(this.#state, source, directory, name);
  }
  unlink(directory: Inode, name: Name): Errno | undefined {
    return namei.unlink(this.#state, directory, name);
  }
  rmdir(directory: Inode, name: Name): Errno | undefined {
    return namei.rmdir(this.#state, directory, name);
  }
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number, whiteout?: NewInode): Errno | undefined {
    return rename(this.#state, { directory, name }, { directory: toDirectory, name: toName }, flags, whiteout);
  }
  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    const state = this.#state;
    const data = state.directory(directory);
    if (!data.loaded) loadDirectory(state, directory, data);
    const { dentries } = state;
    for (let row = dentries.first(directory); row !== 0; row = dentries.next(row)) {
      const child = dentries.child(row);
      visit(dentries.name(row), child, state.word(child, MODE) & S_IFMT);
    }
    return undefined;
  }
  readlink(link: Inode): string | Errno {
    const data = this.#state.data(link);
    return data instanceof SymlinkData ? data.target : "";
  }

  // Inodes

  hold(inode: Inode): void {
    this.#state.setWord(inode, HOLDS, this.#state.word(inode, HOLDS) + 1);
  }
  drop(inode: Inode): void {
    const state = this.#state;
    const holds = state.word(inode, HOLDS) - 1;
    state.setWord(inode, HOLDS, holds);
    if (holds === 0 && state.word(inode, NLINK) === 0) {
      state.begin();
      namei.freeWhole(state, inode);
    }
  }
  mode(inode: Inode): number {
    return this.#state.word(inode, MODE);
  }
  uid(inode: Inode): number {
    return this.#state.word(inode, UID);
  }
  gid(inode: Inode): number {
    return this.#state.word(inode, GID);
  }
  size(inode: Inode): number {
    return this.#state.size(inode);
  }
  getattr(inode: Inode, into: Attributes): Errno | undefined {
    const chunk = this.#state.chunk(inode);
    const at = (inode - 1) & 63;
    const { words, times } = chunk;
    const base = at * WORDS;
    const mode = words[base + MODE] as number;
    const type = mode & S_IFMT;
    const data = chunk.data[at];
    into.mode = mode;
    into.uid = words[base + UID] as number;
    into.gid = words[base + GID] as number;
    into.nlink = words[base + NLINK] as number;
    into.size = chunk.sizes[at] as number;
    // Promised blocks count as if they were there (ext4_file_getattr).
    const promised = data instanceof FileData ? data.delayedBlocks : 0;
    into.blocks = ((words[base + BLOCKS] as number) + promised) * (BLOCK_SIZE / 512);
    into.blockSize = BLOCK_SIZE;
    into.rdev = type === S_IFCHR || type === S_IFBLK ? (words[base + EXTRA] as number) : 0;
    into.inodeNumber = inodeNumber(inode);
    into.device = this.device;
    into.atime = times[at * TIMES + ATIME] as Attributes["atime"];
    into.mtime = times[at * TIMES + MTIME] as Attributes["mtime"];
    into.ctime = times[at * TIMES + CTIME] as Attributes["ctime"];
    return undefined;
  }
  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    const state = this.#state;
    if (change.size !== undefined) {
      const failed = file.truncate(state, inode, change.size);
      if (failed !== undefined) return failed;
    }
    const refused = state.begin();
    if (refused !== undefined) return refused;
    const chunk = state.chunk(inode);
    const at = (inode - 1) & 63;
    const { words, times } = chunk;
    const base = at * WORDS;
    if (change.mode !== undefined)
      words[base + MODE] = ((words[base + MODE] as number) & ~PERMISSIONS) | (change.mode & PERMISSIONS);
    if (change.uid !== undefined) words[base + UID] = change.uid;
    if (change.gid !== undefined) words[base + GID] = change.gid;
    if (change.atime !== undefined) times[at * TIMES + ATIME] = change.atime;
    namei.stamp(state, inode, false);
    if (change.mtime !== undefined) times[at * TIMES + MTIME] = change.mtime;
    return undefined;
  }
  touchAtime(inode: Inode): void {
    const state = this.#state;
    const chunk = state.chunk(inode);
    const at = ((inode - 1) & 63) * TIMES;
    const now = state.environment.clock.time();
    const { times } = chunk;
    const known = {
      atime: times[at + ATIME] as Attributes["atime"],
      mtime: times[at + MTIME] as Attributes["mtime"],
      ctime: times[at + CTIME] as Attributes["ctime"],
    };
    if (!needsAtime(known, now) || state.begin() !== undefined) return;
    times[at + ATIME] = now;
    state.dirtyInode(inode);
  }

  // Extended attributes

  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    return xattrs.getxattr(this.#state, inode, name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    return xattrs.setxattr(this.#state, inode, name, value, flags);
  }
  removexattr(inode: Inode, name: string): Errno | undefined {
    return xattrs.removexattr(this.#state, inode, name);
  }
  listxattr(inode: Inode): string[] | Errno {
    return xattrs.listxattr(this.#state, inode);
  }

  // Open files

  open(inode: Inode, _flags: number): FileHandle | Errno {
    this.hold(inode);
    if (!this.#mountPointNoted && (this.mode(inode) & S_IFMT) === S_IFREG) this.#noteMountPoint();
    return inode as number as FileHandle;
  }
  /** The first open of a file since the mount writes where that is into the superblock (ext4_sample_last_mounted). */
  #noteMountPoint(): void {
    this.#mountPointNoted = true;
    if (this.#state.begin() === undefined) this.#state.journal.dirty(this.#state);
  }
  close(handle: FileHandle, _flags: number): void {
    this.drop(inodeHandle(handle));
  }
  read(handle: FileHandle, offset: number, length: number): Content | Errno {
    return file.read(this.#state, handle, offset, length);
  }
  write(handle: FileHandle, offset: number, content: Content): number | Errno {
    return file.write(this.#state, handle, offset, content);
  }
  fsync(handle: FileHandle, _dataOnly: boolean): Errno | undefined {
    return file.fsync(this.#state, handle);
  }
  fallocate(handle: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    return fallocate(this.#state, handle, mode, { offset, length });
  }
  seek(handle: FileHandle, offset: number, hole: boolean): number | Errno {
    if (offset >= this.#state.size(handle)) return ENXIO;
    const found = file.seek(this.#state, handle, offset, hole);
    return found < 0 ? ENXIO : found;
  }
  clone(_source: FileHandle, _sourceOffset: number, _target: FileHandle, _targetOffset: number, _length: number): Errno {
    return ENOTSUP;
  }
  cachedPages(handle: FileHandle): number {
    return file.fileOf(this.#state, handle)?.mapping?.cachedPages ?? 0;
  }
  dropPages(handle: FileHandle): void {
    file.fileOf(this.#state, handle)?.mapping?.drop();
  }
  fileFlags(inode: Inode): number | Errno {
    const state = this.#state;
    const indexed = (state.word(inode, MODE) & S_IFMT) === S_IFDIR && state.directory(inode).leaves !== undefined;
    return state.word(inode, FLAGS) | (indexed ? namei.INDEX_FLAG : 0);
  }
  setFileFlags(inode: Inode, flags: number): Errno | undefined {
    const state = this.#state;
    const refused = state.begin();
    if (refused !== undefined) return refused;
    state.setWord(inode, FLAGS, (state.word(inode, FLAGS) & ~MODIFIABLE_FLAGS) | (flags & MODIFIABLE_FLAGS));
    namei.stamp(state, inode, false);
    return undefined;
  }

  // The whole

  statfs(): StatFs {
    const { geometry, freeBlocks, delayedBlocks, freeInodes } = this.#state;
    const free = Math.max(0, freeBlocks - delayedBlocks);
    return {
      type: MAGIC,
      blockSize: bytes(BLOCK_SIZE),
      blocks: this.#usableBlocks,
      blocksFree: free,
      blocksAvailable: Math.max(0, free - geometry.reservedBlocks - geometry.reservedClusters),
      files: geometry.inodes,
      filesFree: freeInodes,
      nameLength: this.nameMax,
    };
  }
  /** Writes dirty pages, commits, and writes metadata in place, as syncfs does by writing the block device's buffers. */
  sync(): Errno | undefined {
    const state = this.#state;
    let failed: Errno | undefined;
    state.visitInodes((ino) => {
      const mapping = file.fileOf(state, ino)?.mapping;
      if (mapping !== undefined && mapping.dirtyPages > 0) failed ??= mapping.flush();
    });
    return failed ?? state.commit() ?? state.journal.writeBack() ?? state.device.flush();
  }
  unmount(): Errno | undefined {
    const state = this.#state;
    const failed = this.sync();
    this.#stopTimer();
    const closed = close(state);
    state.visitInodes((ino) => {
      const data = file.fileOf(state, ino);
      data?.mapping?.discard();
      if (data !== undefined) data.mapping = undefined;
    });
    return failed ?? closed;
  }
  check(): void {
    check(this.#state);
  }
}

/**
 * Mounts the ext4 that a device holds; its journal is replayed first.
 * @returns EINVAL when the device holds none, EIO when the device fails.
 */
export function mountExt4(device: BlockDevice, environment: Ext4Environment): FileSystem | Errno {
  const state = load(device, environment);
  return isErrno(state) ? state : new Ext4(state);
}
