/**
 * btrfs as a FileSystem (fs/btrfs, Linux 6.18): operations are in files of their own; this one says which, and keeps holds, the timer and the page cache's side.
 *
 * Interface: an inode's handle is its subvolume and its number. The running transaction commits every 30 seconds of virtual time, at fsync, sync and unmount. What ioctls
 * do is in the methods at the end.
 */

import { assert } from "../../core/assert.ts";
import { timeSet } from "../../core/clock.ts";
import type { Content } from "../../core/content.ts";
import { EINVAL, ENOENT, ENXIO, EROFS, type Errno, ESTALE, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { alignUp, bytes, type DeviceNumber, type InodeNumber, seconds } from "../../core/units.ts";
import { chmodAcl } from "../../vfs/acl.ts";
import type { CopyRange } from "../../vfs/copy-range.ts";
import type { Credentials } from "../../vfs/credentials.ts";
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
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type StatFs,
  type VisitEntry,
} from "../../vfs/filesystem.ts";
import { NO_ATIME } from "../../vfs/inode-flags.ts";
import { MAY_WRITE } from "../../vfs/permission.ts";
import type { Acl, AclKind } from "../../vfs/posix-acl.ts";
import { atimeOfRead } from "../../vfs/relatime.ts";
import { aclOf, setAcl } from "./acl.ts";
import { check } from "./check.ts";
import { clone, prepareCopy } from "./clone.ts";
import { writeNodes } from "./commit.ts";
import { handleOfEntry, iterate, lookupEntry, renewPlaceholder } from "./directories.ts";
import { FALLOCATE_MODES, fallocate } from "./fallocate.ts";
import { read, readPages, seek, seekFromBefore, truncate, write } from "./file.ts";
import { extentsIn } from "./file-extents.ts";
import { fileFlags, setFileFlags } from "./file-flags.ts";
import { btrfsHandles } from "./handles.ts";
import { flushCyclic, type InodeState } from "./inode-state.ts";
import { deviceOf, dirty, inodeOf, parentOf, reachInode, stamp } from "./inodes.ts";
import { COMMIT_SECONDS, FIRST_FREE, handleOf, SECTOR_SIZE, TOP_SUBVOLUME } from "./layout.ts";
import { fsync } from "./log-sync.ts";
import { create, dropHold, link, rmdir, tmpfile, unlink } from "./namei.ts";
import { rename } from "./rename.ts";
import type { BtrfsState } from "./state.ts";
import { cleanSubvolumes, destroySubvolume, dropDirty } from "./subvolumes.ts";
import { beginUpdate } from "./transaction.ts";
import { statfs } from "./usage.ts";
import { writePages } from "./writeback.ts";
import { getxattr, listxattr, removexattr, setxattr } from "./xattrs.ts";

/** At least 4 MiB, whatever the devices read ahead (open_ctree; of up to 32 devices). */
const READAHEAD_PAGES = 1024;

export class Btrfs implements FileSystem {
  readonly type = "btrfs";
  readonly label: string;
  readonly root: Inode = inodeHandle(handleOf(TOP_SUBVOLUME, FIRST_FREE));
  readonly device: DeviceNumber;
  readonly nameMax = 255;
  readonly stackDepth = 0;
  readonly handles: FileHandles;
  readonly fallocateModes: number = FALLOCATE_MODES;
  /** fs/btrfs/xattr.c, btrfs_listxattr asks for no capability. */
  readonly listsTrusted = true;
  readonly counters: BtrfsState["counters"];
  /** What ioctls (ioctl.ts, send.ts) act on. */
  readonly state: BtrfsState;
  readonly #stopTimer: () => void;

  constructor(state: BtrfsState) {
    this.state = state;
    this.handles = btrfsHandles(state);
    this.label = state.label;
    this.counters = state.counters;
    this.device = deviceOf(state, this.#inode(this.root).subvolume);
    state.addressSpace = {
      label: state.label,
      readPages: (inode, start, length) => readPages(state, this.#inode(inode), start, length),
      writePages: (inode, start, content) => writePages(state, this.#inode(inode), start, content),
      ahead: { size: (inode) => this.size(inode), pages: READAHEAD_PAGES, largeFolios: false },
    };
    this.#stopTimer = state.environment.clock.every(seconds(COMMIT_SECONDS), () => {
      state.flushLater.clear();
      if (state.isChanged) state.commit();
      this.clean();
    });
  }

  #inode(handle: number): InodeState {
    return inodeOf(this.state, handle);
  }

  // Names

  lookup(directory: Inode, name: Name): Inode | Errno {
    const inside = this.#inode(directory);
    const entry = lookupEntry(this.state, inside, name);
    return entry === undefined ? ENOENT : inodeHandle(handleOfEntry(this.state, inside, entry));
  }
  parentOf(directory: Inode): Inode {
    return parentOf(this.state, this.#inode(directory));
  }
  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    return create(this.state, this.#inode(directory), name, init) as Inode | Errno;
  }
  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    return tmpfile(this.state, this.#inode(directory), init) as Inode | Errno;
  }
  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    return link(this.state, this.#inode(source), this.#inode(directory), name);
  }
  unlink(directory: Inode, name: Name): Errno | undefined {
    return unlink(this.state, this.#inode(directory), name);
  }
  rmdir(directory: Inode, name: Name): Errno | undefined {
    const inside = this.#inode(directory);
    return rmdir(this.state, inside, name, () => destroySubvolume(this.state, inside, name));
  }
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number, whiteout?: NewInode): Errno | undefined {
    const source = { directory: this.#inode(directory), name };
    const target = { directory: this.#inode(toDirectory), name: toName };
    return rename(this.state, source, target, flags, whiteout);
  }
  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    iterate(this.state, this.#inode(directory), visit);
    return undefined;
  }
  readlink(target: Inode): string | Errno {
    const link = this.#inode(target);
    if (link.target !== undefined) return link.target;
    const [first] = extentsIn(link, 0, 1);
    if (first?.extent.kind !== "inline") return EINVAL;
    link.target = first.extent.content.toText();
    return link.target;
  }

  // Inodes

  hold(inode: Inode): void {
    this.#inode(inode).holds += 1;
  }
  drop(inode: Inode): void {
    const of = this.#inode(inode);
    of.holds -= 1;
    assert(of.holds >= 0, `${this.label}: an inode was dropped more often than held`);
    if (of.holds > 0) return;
    if (of.nlink === 0) dropHold(this.state, of);
    else if (of.subvolume.item.refs === 0) dropDirty(this.state, of);
  }
  mode(inode: Inode): number {
    return this.#inode(inode).mode;
  }
  uid(inode: Inode): number {
    return this.#inode(inode).uid;
  }
  gid(inode: Inode): number {
    return this.#inode(inode).gid;
  }
  size(inode: Inode): number {
    return this.#inode(inode).size;
  }

  getattr(inode: Inode, into: Attributes, tells = false): Errno | undefined {
    const of = reachInode(this.state, inode);
    if (of === undefined) return ESTALE;
    if (of.isPlaceholder && of.holds === 0) renewPlaceholder(this.state, of);
    into.mode = of.mode;
    into.uid = of.uid;
    into.gid = of.gid;
    into.nlink = of.nlink;
    into.size = of.size;
    // New promised bytes count as if they were there (btrfs_getattr).
    into.blocks = (alignUp(of.bytes, SECTOR_SIZE) + (of.delayedNew?.covered ?? 0)) / 512;
    into.blockSize = SECTOR_SIZE;
    into.rdev = of.rdev;
    into.inodeNumber = of.ino as InodeNumber;
    into.device = of.isPlaceholder ? this.state.superDevice : deviceOf(this.state, of.subvolume);
    into.atime = of.atime;
    into.mtime = of.mtime;
    into.ctime = of.ctime;
    if (tells) of.asked = true;
    return undefined;
  }

  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    const of = this.#inode(inode);
    // What stands for a subvolume is on no device: a change is gone with who holds it.
    if (of.isPlaceholder) return this.#apply(of, change);
    if (of.subvolume.item.readOnly) return EROFS;
    // truncate(2) to the size that is there changes no time; ftruncate(2) asks for one (fs/btrfs/inode.c, Linux 6.18: btrfs_setsize).
    const staysAsItIs = change.size === of.size && change.mode === undefined && change.mtime === undefined;
    const failed = change.size === undefined ? beginUpdate(this.state, of) : truncate(this.state, of, change.size);
    if (failed !== undefined) return failed;
    this.#apply(of, change, staysAsItIs);
    return change.mode === undefined ? undefined : chmodAcl(this, inode, change.mode);
  }

  #apply(of: InodeState, change: AttributeChange, keepsTimes = false): undefined {
    if (change.mode !== undefined) of.mode = (of.mode & S_IFMT) | (change.mode & 0o7777);
    if (change.uid !== undefined) of.uid = change.uid;
    if (change.gid !== undefined) of.gid = change.gid;
    if (keepsTimes) dirty(this.state, of);
    else stamp(this.state, of, false);
    if (change.atime !== undefined) of.atime = timeSet(change.atime, of.ctime);
    if (change.mtime !== undefined) of.mtime = timeSet(change.mtime, of.ctime);
  }

  touchAtime(inode: Inode, above = false, strict = false): void {
    const of = this.#inode(inode);
    if (of.subvolume.item.readOnly || of.isPlaceholder || (of.flags & NO_ATIME) !== 0) return;
    const now = atimeOfRead(this.state.environment.clock, of, of.asked, above, strict);
    if (now === undefined) return;
    of.atime = now;
    dirty(this.state, of);
  }

  // Extended attributes

  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    return getxattr(this.#inode(inode), name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    return setxattr(this.state, this.#inode(inode), { name, value }, flags);
  }
  removexattr(inode: Inode, name: string): Errno | undefined {
    return removexattr(this.state, this.#inode(inode), name);
  }
  listxattr(inode: Inode): string[] | Errno {
    return listxattr(this.#inode(inode));
  }
  acl(inode: Inode, kind: AclKind): Acl | undefined {
    return aclOf(this.#inode(inode), kind);
  }
  setAcl(inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number): Errno | undefined {
    return setAcl(this.state, this.#inode(inode), { kind, acl, mode });
  }

  readonly refusesFirst = true;
  /** A read-only subvolume lets nobody open, make or remove anything; what was open before may be written (btrfs_permission). */
  refuse(_who: Credentials, inode: Inode, mask: number): Errno | undefined {
    if ((mask & MAY_WRITE) === 0) return undefined;
    const { mode, subvolume } = this.#inode(inode);
    if (!subvolume.item.readOnly) return undefined;
    const type = mode & S_IFMT;
    return type === S_IFREG || type === S_IFDIR || type === S_IFLNK ? EROFS : undefined;
  }

  // Open files

  open(inode: Inode, _flags: number): FileHandle | Errno {
    this.hold(inode);
    return fileHandle(inode);
  }
  /** A program that replaces a file in place, by cutting it to nothing first, does not lose both its contents to a power cut (btrfs_release_file). */
  close(file: FileHandle, _flags: number): void {
    const inode = this.#inode(file);
    if (inode.flushesOnClose) inode.mapping?.startWriteback();
    inode.flushesOnClose = false;
    this.drop(inodeHandle(file));
  }
  read(file: FileHandle, offset: number, length: number): Content | Errno {
    return read(this.state, this.#inode(file), offset, length);
  }
  write(file: FileHandle, offset: number, content: Content): number | Errno {
    return write(this.state, this.#inode(file), offset, content);
  }
  fsync(file: FileHandle, _dataOnly: boolean): Errno | undefined {
    return fsync(this.state, this.#inode(file));
  }
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    return fallocate(this.state, this.#inode(file), mode, { offset, length });
  }
  directoryEnd(directory: Inode): number {
    return this.size(directory);
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    const of = this.#inode(file);
    if (of.size === 0 || offset >= of.size) return ENXIO;
    const found = offset < 0 ? seekFromBefore(of, hole) : seek(of, offset, hole);
    return found < 0 ? ENXIO : found;
  }
  clone(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined {
    const from = { inode: this.#inode(source), offset: sourceOffset };
    return clone(this.state, from, { inode: this.#inode(target), offset: targetOffset }, length);
  }
  prepareSharing(source: FileHandle, target: FileHandle, _how: string, range?: CopyRange): undefined {
    if (range === undefined) return;
    const { from, to, length } = range;
    prepareCopy({ inode: this.#inode(source), offset: from }, { inode: this.#inode(target), offset: to }, length);
  }
  dedupe(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined {
    const from = { inode: this.#inode(source), offset: sourceOffset };
    return clone(this.state, from, { inode: this.#inode(target), offset: targetOffset }, length, true);
  }
  cachedPages(file: FileHandle): number {
    return this.#inode(file).mapping?.cachedPages ?? 0;
  }
  dropPages(file: FileHandle): void {
    this.#inode(file).mapping?.drop();
  }

  fileFlags(inode: Inode): number | Errno {
    return fileFlags(this.#inode(inode));
  }
  setFileFlags(inode: Inode, flags: number): Errno | undefined {
    return setFileFlags(this.state, this.#inode(inode), flags);
  }

  // The whole

  statfs(): StatFs {
    return { ...statfs(this.state), blockSize: bytes(SECTOR_SIZE), nameLength: this.nameMax };
  }
  get unsettledBytes(): number {
    const { space } = this.state;
    return space.unsettled("data") + 2 * (space.unsettled("metadata") + space.unsettled("system"));
  }
  /** sync(2), which wakes the flusher first. */
  sync(): Errno | undefined {
    const { state } = this;
    // The flusher meets the nodes' pages too, before and after those of files.
    state.flushLater.clear();
    return writeNodes(state) ?? state.flushData(undefined, flushCyclic) ?? writeNodes(state) ?? state.commit();
  }
  /** Everything is written first as sync(2) does it (fs/super.c: generic_shutdown_super). */
  unmount(): Errno | undefined {
    // No name keeps an inode any more: where the flusher comes to one, its last drop is the cleaner's, which wakes (btrfs_add_delayed_iput).
    const wakes = this.state.flushLater.size > 0 && this.state.deleted.length > 0;
    const failed = this.sync() ?? (wakes ? this.clean() : undefined);
    this.#stopTimer();
    for (const inode of this.state.inodes.all()) inode.mapping?.truncate(0);
    return failed;
  }
  check(): void {
    check(this.state);
  }

  get hasQuota(): boolean {
    return this.state.quotas !== undefined;
  }

  /** A turn of the cleaner thread: it drops deleted subvolumes, and chunks that nothing is in. */
  clean(): Errno | undefined {
    const { state } = this;
    const cleaned = cleanSubvolumes(state);
    if (isErrno(cleaned)) return cleaned;
    state.space.dropUnused((type) => state.promised(type));
    return state.isChanged ? state.commit() : undefined;
  }
}
