/**
 * A mounted dataset as a FileSystem (the ZPL of OpenZFS 2.1 on Linux 6.1): operations are in files of their own; this one says which, and keeps holds and
 * the page cache's side.
 *
 * Interface: an inode's handle is its object's number. Each mounted dataset has an st_dev of its own, so that rename and link between two give EXDEV.
 */

import { assert } from "../../../core/assert.ts";
import { timeSet } from "../../../core/clock.ts";
import { Content } from "../../../core/content.ts";
import { EINVAL, EIO, ENOTSUP, type Errno, isErrno } from "../../../core/errno.ts";
import type { Name } from "../../../core/names.ts";
import { bytes, type DeviceNumber, type InodeNumber, KIB } from "../../../core/units.ts";
import { PAGE_SIZE } from "../../../vfs/address-space.ts";
import { type FileHandles, NUMBER_HANDLES } from "../../../vfs/file-handles.ts";
import {
  type AttributeChange,
  type Attributes,
  type FileHandle,
  type FileSystem,
  fileHandle,
  type Inode,
  inodeHandle,
  type NewInode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  type StatFs,
  type VisitEntry,
} from "../../../vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE, NO_DUMP } from "../../../vfs/inode-flags.ts";
import { ZFS_MAGIC } from "../../../vfs/magic.ts";
import { atimeOfRead } from "../../../vfs/relatime.ts";
import { SECTOR } from "../compress.ts";
import type { SettledChange } from "../log-records.ts";
import {
  ATIME,
  BLOCK_SIZE,
  CTIME,
  EXTRA_SLOTS,
  FLAGS,
  GID,
  MODE,
  MTIME,
  NLINK,
  PARENT,
  RDEV,
  SIZE,
  UID,
  USED,
} from "../records.ts";
import { checkZpl } from "./check.ts";
import { fallocate, putPages, read, resize, seek, write } from "./files.ts";
import { mappingOf, store, writeBack } from "./mapped.ts";
import { create, directoryOf, freeWhole, link, lookup, rename, rmdir, tmpfile, unlink } from "./names.ts";
import { ATTRIBUTE_BYTES, type ZplState } from "./state.ts";
import { getxattr, listxattr, removexattr, setxattr } from "./xattrs.ts";

/** statfs counts in records of this size. */
const STATFS_BLOCK: number = KIB(128);
/** What zpl_ioctl_setflags takes. */
const SETTABLE_FLAGS = IMMUTABLE | APPEND_ONLY | NO_DUMP;

export class ZfsFileSystem implements FileSystem {
  readonly type = "zfs";
  readonly root: Inode;
  readonly device: DeviceNumber;
  readonly nameMax = 255;
  readonly stackDepth = 0;
  readonly handles: FileHandles = NUMBER_HANDLES;
  readonly dropsSetIdOfDirectories = true;
  readonly state: ZplState;

  constructor(state: ZplState) {
    this.state = state;
    this.device = state.environment.device;
    this.root = inodeHandle(state.set.store.profile.rootObject);
    state.space = {
      label: state.dataset.path,
      readPages: (inode, start, length) => {
        const found = read(state, inode, start, length);
        return isErrno(found) ? found : padded(found, length);
      },
      writePages: (inode, start, content) => (state.isUpdating ? undefined : putPages(state, inode, start, content)),
    };
  }

  get label(): string {
    return this.state.dataset.path;
  }

  /** SB_RDONLY: of a snapshot, of a filesystem with readonly=on from the moment that is set (readonly_changed_cb), or as it was mounted. */
  get readOnly(): boolean {
    return this.state.isReadOnly;
  }
  set readOnly(isReadOnly: boolean) {
    this.state.isReadOnly = isReadOnly;
  }

  /** Whether an inode has gone with a rollback (zfs_verify_zp). */
  #isLost(inode: number): boolean {
    return this.state.lost.size > 0 && this.state.lost.has(inode);
  }

  // Names

  lookup(directory: Inode, name: Name): Inode | Errno {
    if (this.#isLost(directory)) return EIO;
    const { stayed } = this.state;
    const gone = stayed.length > 0 ? stayed.find((one) => one.directory === directory && one.name === name) : undefined;
    return gone === undefined ? (lookup(this.state, directory, name) as Inode | Errno) : inodeHandle(gone.object);
  }
  parentOf(directory: Inode): Inode {
    if (this.#isLost(directory)) return this.root;
    return this.state.set.word(directory, PARENT) as Inode;
  }
  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    if (this.#isLost(directory)) return EIO;
    return create(this.state, directory, name, init) as Inode | Errno;
  }
  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    if (this.#isLost(directory)) return EIO;
    return tmpfile(this.state, directory, init) as Inode | Errno;
  }
  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    if (this.#isLost(source) || this.#isLost(directory)) return EIO;
    return link(this.state, source, directory, name);
  }
  unlink(directory: Inode, name: Name): Errno | undefined {
    if (this.#isLost(directory)) return EIO;
    return unlink(this.state, directory, name);
  }
  rmdir(directory: Inode, name: Name): Errno | undefined {
    if (this.#isLost(directory)) return EIO;
    return rmdir(this.state, directory, name);
  }
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number): Errno | undefined {
    if (this.#isLost(directory) || this.#isLost(toDirectory)) return EIO;
    return rename(this.state, { directory, name }, { directory: toDirectory, name: toName }, flags);
  }
  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    if (this.#isLost(directory)) return EIO;
    const { state } = this;
    const loaded = directoryOf(state, directory);
    if (isErrno(loaded)) return loaded;
    const { dentries, set } = state;
    for (let row = dentries.first(directory); row !== 0; row = dentries.next(row)) {
      const child = dentries.child(row);
      // A real entry has the type itself.
      const failed = set.load(child);
      if (failed !== undefined) return failed;
      visit(dentries.name(row), child, set.word(child, MODE) & S_IFMT);
    }
    return undefined;
  }
  readlink(target: Inode): string | Errno {
    if (this.#isLost(target)) return EIO;
    const body = this.state.set.body(target);
    return isErrno(body) ? body : (body?.target ?? EINVAL);
  }

  cover(directory: Inode, isCovered: boolean): void {
    if (isCovered) this.state.covered.add(directory);
    else this.state.covered.delete(directory);
  }

  // Inodes

  hold(inode: Inode): void {
    const { holds } = this.state;
    holds.set(inode, (holds.get(inode) ?? 0) + 1);
  }
  drop(inode: Inode): void {
    const { holds, set } = this.state;
    const left = (holds.get(inode) ?? 0) - 1;
    if (left < 0) assert(false, `${this.label}: object ${inode} was dropped more often than held`);
    if (left > 0) holds.set(inode, left);
    else {
      holds.delete(inode);
      if (this.state.lost.delete(inode)) return;
      if (set.word(inode, NLINK) === 0) freeWhole(this.state, inode);
    }
  }
  mode(inode: Inode): number {
    return this.#isLost(inode) ? (this.state.lost.get(inode)?.mode ?? 0) : this.state.set.word(inode, MODE);
  }
  uid(inode: Inode): number {
    return this.#isLost(inode) ? (this.state.lost.get(inode)?.uid ?? 0) : this.state.set.word(inode, UID);
  }
  gid(inode: Inode): number {
    return this.#isLost(inode) ? (this.state.lost.get(inode)?.gid ?? 0) : this.state.set.word(inode, GID);
  }
  size(inode: Inode): number {
    if (this.#isLost(inode)) return 0;
    if (!this.state.isDirectory(inode)) return this.state.set.word(inode, SIZE);
    directoryOf(this.state, inode);
    // Of a directory: its entries, "." and ".." among them.
    return this.state.dentries.count(inode) + 2;
  }

  getattr(inode: Inode, into: Attributes): Errno | undefined {
    if (this.#isLost(inode)) return EIO;
    const { set } = this.state;
    const mode = set.word(inode, MODE);
    const type = mode & S_IFMT;
    into.mode = mode;
    into.uid = set.word(inode, UID);
    into.gid = set.word(inode, GID);
    into.nlink = set.word(inode, NLINK);
    into.size = type === S_IFDIR ? this.size(inode) : set.word(inode, SIZE);
    // What the last transaction group left allocated, and the dnode itself (dmu_object_size_from_db).
    into.blocks = Math.floor((set.word(inode, USED) + SECTOR / 2) / SECTOR) + 1 + set.word(inode, EXTRA_SLOTS);
    into.blockSize = set.word(inode, BLOCK_SIZE) || STATFS_BLOCK;
    into.rdev = type === S_IFCHR || type === S_IFBLK ? set.word(inode, RDEV) : 0;
    into.inodeNumber = inode as number as InodeNumber;
    into.device = this.device;
    into.atime = set.time(inode, ATIME);
    into.mtime = set.time(inode, MTIME);
    into.ctime = set.time(inode, CTIME);
    return undefined;
  }

  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    if (this.#isLost(inode)) return EIO;
    const { state } = this;
    const { set } = state;
    const { size, atime, mtime, ...rest } = change;
    const { now } = state;
    const settled: SettledChange = {
      ...rest,
      ...(size === undefined ? {} : { size }),
      ...(atime === undefined ? {} : { atime: timeSet(atime, now) }),
      ...(mtime === undefined ? {} : { mtime: timeSet(mtime, now) }),
    };
    // What is cut off is gone even where there is no room for the rest (zfs_setattr).
    const failed = size === undefined ? undefined : resize(state, inode, size);
    const refused = failed ?? state.begin(ATTRIBUTE_BYTES);
    if (refused !== undefined) return refused;
    state.stamp(inode, size !== undefined);
    if (change.mode !== undefined) set.setWord(inode, MODE, (set.word(inode, MODE) & S_IFMT) | (change.mode & 0o7777));
    if (change.uid !== undefined) set.setWord(inode, UID, change.uid);
    if (change.gid !== undefined) set.setWord(inode, GID, change.gid);
    if (settled.atime !== undefined) set.setTime(inode, ATIME, settled.atime);
    if (settled.mtime !== undefined) set.setTime(inode, MTIME, settled.mtime);
    if (Object.keys(settled).length > 0) state.dataset.intend({ op: "setattr", object: inode, change: settled });
    return undefined;
  }

  /** atime=off is SB_NOATIME; relatime=on holds beside what the mount says, which is relatime too for mount(2) without flags (zpl_file_accessed). */
  touchAtime(inode: Inode, above = false, strict = false): void {
    const { state } = this;
    const { set, dataset, environment } = state;
    if (this.#isLost(inode) || dataset.atime === "off") return;
    const times = { atime: set.time(inode, ATIME), mtime: set.time(inode, MTIME), ctime: set.time(inode, CTIME) };
    const now = atimeOfRead(environment.clock, times, false, above, strict && dataset.atime !== "relative");
    if (now === undefined || state.begin(ATTRIBUTE_BYTES) !== undefined) return;
    set.setTime(inode, ATIME, now);
  }

  // Extended attributes

  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    if (this.#isLost(inode)) return EIO;
    return getxattr(this.state, inode, name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    if (this.#isLost(inode)) return EIO;
    return setxattr(this.state, inode, { name, value }, flags);
  }
  removexattr(inode: Inode, name: string): Errno | undefined {
    if (this.#isLost(inode)) return EIO;
    return removexattr(this.state, inode, name);
  }
  listxattr(inode: Inode): string[] | Errno {
    if (this.#isLost(inode)) return EIO;
    return listxattr(this.state, inode);
  }

  // Open files

  open(inode: Inode, _flags: number): FileHandle | Errno {
    this.hold(inode);
    return fileHandle(inode);
  }
  close(file: FileHandle, _flags: number): void {
    this.drop(inodeHandle(file));
  }
  read(file: FileHandle, offset: number, length: number): Content | Errno {
    if (this.#isLost(file)) return EIO;
    return read(this.state, file, offset, length);
  }
  /** A mapping's read: through the page cache, where pages belong to this file alone. */
  readMapped(file: FileHandle, offset: number, length: number): Content | Errno {
    if (this.#isLost(file)) return EIO;
    const count = Math.min(length, this.state.set.word(file, SIZE) - offset);
    const mapping = count > 0 ? mappingOf(this.state, file) : undefined;
    return mapping === undefined ? read(this.state, file, offset, length) : mapping.read(offset, count);
  }
  write(file: FileHandle, offset: number, content: Content): number | Errno {
    if (this.#isLost(file)) return EIO;
    return write(this.state, file, offset, content);
  }
  writeMapped(file: FileHandle, offset: number, content: Content): number | Errno {
    if (this.#isLost(file)) return EIO;
    return store(this.state, file, offset, content);
  }
  fsync(file: FileHandle, _dataOnly: boolean): Errno | undefined {
    if (this.#isLost(file)) return EIO;
    return writeBack(this.state, file) ?? this.state.dataset.commitIntents(file);
  }
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    if (this.#isLost(file)) return EIO;
    return fallocate(this.state, file, mode, { offset, length });
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    if (this.#isLost(file)) return EIO;
    return seek(this.state, file, offset, hole);
  }
  /** Blocks cannot be shared between files before OpenZFS 2.2. */
  clone(): Errno {
    return ENOTSUP;
  }
  cachedPages(file: FileHandle): number {
    return this.state.files.get(file)?.mapping?.cachedPages ?? 0;
  }
  dropPages(file: FileHandle): void {
    this.state.files.get(file)?.mapping?.drop();
  }

  fileFlags(inode: Inode): number | Errno {
    if (this.#isLost(inode)) return EIO;
    return this.state.set.word(inode, FLAGS);
  }
  setFileFlags(inode: Inode, flags: number): Errno | undefined {
    if (this.#isLost(inode)) return EIO;
    if ((flags & ~SETTABLE_FLAGS) !== 0) return ENOTSUP;
    const refused = this.state.begin(ATTRIBUTE_BYTES);
    if (refused !== undefined) return refused;
    this.state.set.setWord(inode, FLAGS, flags);
    this.state.stamp(inode, false);
    return undefined;
  }

  // The whole

  statfs(): StatFs {
    const { referenced, available, set } = this.state.dataset;
    const free = Math.floor(available / STATFS_BLOCK);
    // Those of the system count too (dmu_objset_space).
    const objects = set.objects + set.store.profile.systemObjects.length;
    const filesFree = Math.min(2 ** 48 - objects, Math.floor(available / SECTOR));
    return {
      type: ZFS_MAGIC,
      blockSize: bytes(STATFS_BLOCK),
      blocks: Math.floor((referenced + available) / STATFS_BLOCK),
      blocksFree: free,
      blocksAvailable: free,
      files: filesFree + objects,
      filesFree,
      nameLength: this.nameMax,
    };
  }

  /** Makes durable what was done, in the log: no group is written for it (zfs_sync). */
  sync(): Errno | undefined {
    return writeBack(this.state) ?? this.state.dataset.commitIntents();
  }

  unmount(): Errno | undefined {
    const unwritten = writeBack(this.state);
    const failed = this.state.dataset.closeLog() ?? unwritten;
    for (const data of this.state.files.values()) data.discard();
    this.state.dataset.release();
    return failed;
  }

  /** Of the dataset alone: its pool, which others are mounted from too, is checked by itself. */
  check(): void {
    checkZpl(this.state);
  }
}

/** Whole pages: zeros behind the end of the file. */
function padded(content: Content, length: number): Content {
  const missing = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE - content.length;
  return missing === 0 ? content : Content.concat([content, Content.zeros(missing)]);
}
