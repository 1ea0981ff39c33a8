/**
 * xfs as a FileSystem (fs/xfs, Linux 6.18): operations are in files of their own; this one says which, and keeps holds, timers and the page cache's side.
 *
 * Interface: an inode's handle is its number. Every 30 seconds of virtual time, and at fsync, sync and unmount, the log is forced and buffers go in place.
 */
import { assert } from "../../core/assert.ts";
import type { Time } from "../../core/clock.ts";
import type { Content } from "../../core/content.ts";
import { EINVAL, EIO, ENOENT, ENOTSUP, ENXIO, type Errno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { bytes, type DeviceNumber, type InodeNumber, seconds } from "../../core/units.ts";
import { chmodAcl } from "../../vfs/acl.ts";
import type { FileHandles } from "../../vfs/file-handles.ts";
import {
  type AttributeChange,
  type Attributes,
  accessOf,
  type FileHandle,
  type FileSystem,
  fileHandle,
  type Inode,
  inodeHandle,
  type NewInode,
  type ProjectQuota,
  S_IFBLK,
  S_IFCHR,
  S_IFMT,
  type StatFs,
  type VisitEntry,
  WRITES,
} from "../../vfs/filesystem.ts";
import { NO_ATIME } from "../../vfs/inode-flags.ts";
import { XFS_MAGIC } from "../../vfs/magic.ts";
import type { Acl, AclKind } from "../../vfs/posix-acl.ts";
import { atimeOfRead } from "../../vfs/relatime.ts";
import { aclOf, setAcl, withAclNames } from "./acl.ts";
import { check } from "./check.ts";
import { clone } from "./clone.ts";
import { enter, lookupEntry } from "./directories.ts";
import { fallocate } from "./fallocate.ts";
import { addressSpace, flushAll, fsync, hasNothing, read, release, seek, trimAll, truncate, write } from "./file.ts";
import { FileData } from "./file-data.ts";
import { fileOf } from "./file-of.ts";
import { xfsHandles } from "./handles.ts";
import { countInodes, inodesMax } from "./inode-space.ts";
import {
  ASKED,
  ATIME,
  BLOCKS,
  CTIME,
  EXTRA,
  FLAGS,
  GID,
  HOLD,
  HOLDS,
  MODE,
  MTIME,
  NLINK,
  SymlinkData,
  TIMES,
  UID,
  WORDS,
} from "./inodes.ts";
import { BLOCK_SIZE, CHUNK_INODES, rootInode } from "./layout.ts";
import type { LogCounters } from "./log.ts";
import { create, freeWhole, link, PROJECT_INHERIT, rmdir, tmpfile, unlink } from "./namei.ts";
import { ownLimit, projectQuota } from "./project-quota.ts";
import { rename } from "./rename.ts";
import { setTimes, stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { getxattr, listxattr, removexattr, setxattr } from "./xattrs.ts";

/** Flags that chattr may change: sync, immutable, append-only, nodump, noatime, project (xfs_fileattr_set). */
const MODIFIABLE_FLAGS: number = 0x08 | 0x10 | 0x20 | 0x40 | 0x80 | PROJECT_INHERIT;
/** xfssyncd_centisecs. */
const LOG_SECONDS = 30;
/** speculative_prealloc_lifetime. */
const TRIM_SECONDS = 300;

export class Xfs implements FileSystem {
  readonly type = "xfs";
  readonly label: string;
  readonly root: Inode;
  readonly device: DeviceNumber;
  readonly nameMax = 255;
  readonly stackDepth = 0;
  readonly handles: FileHandles;
  readonly specialsHaveFlags = true;
  readonly whiteoutsFollowTarget = true;
  readonly directIo: FileSystem["directIo"] = () => ({ unit: this.#state.device.sectorSize, stampsRefused: false });
  readonly counters: LogCounters;
  readonly projects: ProjectQuota;
  readonly #state: XfsState;
  readonly #stopTimers: readonly (() => void)[];

  constructor(state: XfsState) {
    this.#state = state;
    this.handles = xfsHandles(state);
    this.label = state.label;
    this.root = inodeHandle(rootInode(state.geometry));
    this.device = state.environment.device;
    this.counters = state.log.counters;
    this.projects = projectQuota(state);
    state.space = addressSpace(state);
    const { clock } = state.environment;
    this.#stopTimers = [
      // xfs_log_worker.
      clock.every(seconds(LOG_SECONDS), () => {
        if (state.force() === undefined) state.log.push();
      }),
      clock.every(seconds(TRIM_SECONDS), () => trimAll(state)),
    ];
  }

  // Names

  lookup(directory: Inode, name: Name): Inode | Errno {
    const state = this.#state;
    const unread = enter(state, directory);
    if (unread !== undefined) return unread;
    const found = lookupEntry(state, directory, name);
    // Names that are known are found in the dentry cache after a shutdown, too.
    if (found === 0) return state.isShutDown ? EIO : ENOENT;
    return state.reach(found) ?? (found as Inode);
  }
  parentOf(directory: Inode): Inode {
    return this.#state.parentOf(directory) as Inode;
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
    const unread = state.isShutDown ? EIO : enter(state, directory);
    if (unread !== undefined) return unread;
    for (let row = state.dentries.first(directory); row !== 0; row = state.dentries.next(row)) {
      const child = state.dentries.child(row);
      // Without the feature ftype an entry does not tell (DT_UNKNOWN). The type is kept with the inode here, which need not be readable.
      const isTold = state.geometry.ftype && state.reach(child) === undefined;
      visit(state.dentries.name(row), child, isTold ? state.word(child, MODE) & S_IFMT : 0);
    }
    return undefined;
  }
  readlink(target: Inode): string | Errno {
    const state = this.#state;
    const unread = state.isShutDown ? EIO : state.reachBody(target);
    if (unread !== undefined) return unread;
    const data = state.data(target);
    return data instanceof SymlinkData ? data.target : EINVAL;
  }

  // Inodes

  hold(inode: Inode): void {
    this.#state.setWord(inode, HOLDS, this.#state.word(inode, HOLDS) + HOLD);
  }
  drop(inode: Inode): void {
    const state = this.#state;
    const left = state.word(inode, HOLDS) - HOLD;
    if (left < 0) assert(false, `${this.label}: inode ${inode} was dropped more often than held`);
    state.setWord(inode, HOLDS, left);
    if (left < HOLD && state.word(inode, NLINK) === 0 && state.begin() === undefined) freeWhole(state, inode);
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
    if (this.#state.isShutDown) return EIO;
    const chunk = this.#state.chunk(inode);
    const index = inode % CHUNK_INODES;
    const at = index * WORDS;
    const { words, times } = chunk;
    const mode = words[at + MODE] as number;
    const type = mode & S_IFMT;
    into.mode = mode;
    into.uid = (words[at + UID] as number) >>> 0;
    into.gid = (words[at + GID] as number) >>> 0;
    into.nlink = words[at + NLINK] as number;
    into.size = chunk.sizes[index] as number;
    // Promised blocks count as if they were there (i_delayed_blks).
    const data = chunk.data[index];
    const unsettled = data instanceof FileData ? data.unsettledBlocks : 0;
    into.blocks = (((words[at + BLOCKS] as number) >>> 0) + unsettled) * (BLOCK_SIZE / 512);
    into.blockSize = BLOCK_SIZE;
    into.rdev = type === S_IFCHR || type === S_IFBLK ? (words[at + EXTRA] as number) >>> 0 : 0;
    into.inodeNumber = inode as number as InodeNumber;
    into.device = this.device;
    into.atime = times[index * TIMES + ATIME] as Attributes["atime"];
    into.mtime = times[index * TIMES + MTIME] as Attributes["mtime"];
    into.ctime = times[index * TIMES + CTIME] as Attributes["ctime"];
    if (tells) words[at + HOLDS] = (words[at + HOLDS] as number) | ASKED;
    return undefined;
  }

  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    const state = this.#state;
    const isSizeAlone = change.size !== undefined && change.mode === undefined && change.mtime === undefined;
    // What has neither bytes nor extents is not cut: its set-id bits stay, too, unless times are set with them (xfs_setattr_size).
    if (change.size === 0 && change.mtime === undefined && hasNothing(state, inode)) return state.begin();
    if (change.size !== undefined) {
      const failed = truncate(state, inode, change.size, !isSizeAlone);
      if (failed !== undefined) return failed;
    } else {
      const refused = state.begin();
      if (refused !== undefined) return refused;
      stamp(state, inode, false);
    }
    if (change.mode !== undefined) state.setWord(inode, MODE, (state.word(inode, MODE) & S_IFMT) | (change.mode & 0o7777));
    if (change.uid !== undefined) state.setWord(inode, UID, change.uid);
    if (change.gid !== undefined) state.setWord(inode, GID, change.gid);
    const { times } = state.chunk(inode);
    const at = (inode % CHUNK_INODES) * TIMES;
    setTimes(times, at, change);
    return change.mode === undefined ? undefined : chmodAcl(this, inode, change.mode);
  }

  touchAtime(inode: Inode, above = false, strict = false): void {
    const state = this.#state;
    if ((state.word(inode, FLAGS) & NO_ATIME) !== 0) return;
    const { times } = state.chunk(inode);
    const at = (inode % CHUNK_INODES) * TIMES;
    const [atime, mtime, ctime] = times.slice(at, at + TIMES) as [Time, Time, Time];
    const isAsked = (state.word(inode, HOLDS) & ASKED) !== 0;
    const now = atimeOfRead(state.environment.clock, { atime, mtime, ctime }, isAsked, above, strict);
    if (now === undefined || state.begin() !== undefined) return;
    times[at + ATIME] = now;
    state.dirtyTimes(inode);
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
    return withAclNames(listxattr(this.#state, inode));
  }
  acl(inode: Inode, kind: AclKind): Acl | undefined {
    return aclOf(this.#state, inode, kind);
  }
  setAcl(inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number): Errno | undefined {
    return setAcl(this.#state, inode, { kind, acl, mode });
  }

  // Open files

  open(inode: Inode, _flags: number): FileHandle | Errno {
    if (this.#state.isShutDown) return EIO;
    this.hold(inode);
    return fileHandle(inode);
  }
  close(file: FileHandle, flags: number): void {
    release(this.#state, file, (accessOf(flags) & WRITES) !== 0);
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
  /** What the VFS takes for its size, not what stat shows. */
  directoryEnd(directory: Inode): number {
    return this.#state.directory(directory).sizeWhenRead;
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    if (this.#state.isShutDown) return EIO;
    if (offset < 0 || offset >= this.#state.size(file)) return ENXIO;
    const unread = this.#state.reachBody(file);
    if (unread !== undefined) return unread;
    const found = seek(this.#state, file, offset, hole);
    return found < 0 ? ENXIO : found;
  }
  clone(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined {
    return clone(this.#state, { source, sourceOffset, target, targetOffset, length });
  }
  dedupe(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined {
    return clone(this.#state, { source, sourceOffset, target, targetOffset, length }, true);
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
    if ((flags & ~MODIFIABLE_FLAGS) !== 0) return ENOTSUP;
    const refused = state.begin();
    if (refused !== undefined) return refused;
    state.setWord(inode, FLAGS, flags);
    stamp(state, inode, false);
    return undefined;
  }

  // The whole

  statfs(inode: Inode = this.root): StatFs {
    const state = this.#state;
    const { geometry } = state;
    const free = Math.max(0, state.available);
    const inodes = countInodes(state);
    const most = inodes.count + Math.min(free, 2 ** 40) * geometry.inodesPerBlock;
    const files = Math.max(inodes.count, Math.min(most, inodesMax(geometry)));
    return {
      type: XFS_MAGIC,
      blockSize: bytes(BLOCK_SIZE),
      ...ownLimit(state, inode, { blocks: geometry.blocks - geometry.logBlocks, free }),
      files,
      filesFree: Math.max(0, files - (inodes.count - inodes.free)),
      nameLength: this.nameMax,
    };
  }

  /** Writes data and forces the log, also if data cannot be written (sync_filesystem); buffers stay where they are. Only a log that is forced flushes the device. */
  sync(): Errno | undefined {
    const state = this.#state;
    const lost = flushAll(state);
    return state.force() ?? lost;
  }

  unmount(): Errno | undefined {
    const state = this.#state;
    const lost = flushAll(state);
    trimAll(state);
    const failed = state.force() ?? state.log.close(state);
    for (const stop of this.#stopTimers) stop();
    state.visitInodes((ino) => fileOf(state, ino)?.mapping?.truncate(0));
    return failed ?? state.device.flush() ?? lost;
  }

  check(): void {
    check(this.#state);
  }

  /** The extents of a file as fiemap tells them: neighbours on the disk are one. Triples of logical start, blocks, physical start. */
  extents(inode: Inode): number[] {
    const out: number[] = [];
    const list = fileOf(this.#state, inode)?.fork.list;
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
