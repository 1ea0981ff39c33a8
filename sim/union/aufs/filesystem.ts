/**
 * An aufs mount behind the FileSystem interface: each call goes to the file of its operation.
 */
import type { Content } from "../../core/content.ts";
import { EFBIG, type Errno, ESTALE, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import type { DeviceNumber } from "../../core/units.ts";
import type { Credentials } from "../../vfs/credentials.ts";
import type { DirectIo } from "../../vfs/direct-io.ts";
import {
  type AttributeChange,
  type Attributes,
  type FileHandle,
  type FileSystem,
  type Inode,
  inodeHandle,
  type NewInode,
  type StatFs,
  type VisitEntry,
  type WalkedPaths,
} from "../../vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE } from "../../vfs/inode-flags.ts";
import { AUFS_MAGIC } from "../../vfs/magic.ts";
import type { Acl, AclKind } from "../../vfs/posix-acl.ts";
import { writeMapped } from "../../vfs/write-mapped.ts";
import { IS_DIRECTORY, ROOT_NODE } from "../nodes.ts";
import * as attributes from "./attributes.ts";
import { checkAufs } from "./check.ts";
import * as creation from "./create.ts";
import { storeRenamed } from "./dirren.ts";
import * as files from "./files.ts";
import { walk } from "./lookup.ts";
import { NAME_LENGTH_MAX } from "./names.ts";
import { refuseBelow } from "./permission.ts";
import { iterate } from "./readdir.ts";
import { rmdir, unlink } from "./remove.ts";
import { rename } from "./rename.ts";
import type { Aufs, AufsCounters } from "./state.ts";

export class AufsFileSystem implements FileSystem {
  readonly type = "aufs";
  readonly label: string;
  readonly root: Inode = inodeHandle(ROOT_NODE);
  readonly device: DeviceNumber;
  readonly nameMax: number = NAME_LENGTH_MAX;
  /** Nothing can be stacked below, so that this is the first storey. */
  readonly stackDepth = 1;
  readonly takesBareNamespaces = "setxattr and removexattr";
  remount?: Exclude<FileSystem["remount"], undefined>;
  /** The mount's state: for tests and tools of this room. */
  readonly aufs: Aufs;

  constructor(aufs: Aufs) {
    this.aufs = aufs;
    this.label = aufs.label;
    this.device = aufs.device;
  }

  get counters(): Readonly<AufsCounters> {
    return this.aufs.counters;
  }

  /** Absent while each walk looks at names anew: where branches may change beside the mount, and while an exchange hides entries (lookup.ts, walk). */
  get walked(): WalkedPaths | undefined {
    const { options, displaced, nodes } = this.aufs;
    return options.udba === undefined && displaced === 0 ? nodes : undefined;
  }

  // Names
  lookup(directory: Inode, name: Name): Inode | Errno {
    return walk(this.aufs, directory, name) as Inode | Errno;
  }
  parentOf(directory: Inode): Inode {
    return inodeHandle(this.aufs.nodes.parentOf(directory));
  }
  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    this.aufs.listings.delete(directory);
    return creation.create(this.aufs, directory, name, init) as Inode | Errno;
  }
  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    return creation.tmpfile(this.aufs, directory, init) as Inode | Errno;
  }
  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    this.aufs.listings.delete(directory);
    return creation.link(this.aufs, source, directory, name);
  }
  unlink(directory: Inode, name: Name): Errno | undefined {
    this.aufs.listings.delete(directory);
    return unlink(this.aufs, directory, name);
  }
  rmdir(directory: Inode, name: Name): Errno | undefined {
    this.aufs.listings.delete(directory);
    return rmdir(this.aufs, directory, name);
  }
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number): Errno | undefined {
    this.aufs.listings.delete(directory);
    this.aufs.listings.delete(toDirectory);
    return rename(this.aufs, { directory, name, toDirectory, toName }, flags);
  }
  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    return iterate(this.aufs, directory, visit);
  }
  readlink(link: Inode): string | Errno {
    return this.aufs.fsOf(link).readlink(this.aufs.inodeOf(link));
  }
  refuse(who: Credentials, inode: Inode, mask: number): Errno | undefined {
    return refuseBelow(this.aufs, who, inode, mask);
  }
  actFor(who: Credentials): void {
    this.aufs.caller = who;
  }

  // Inodes
  hold(inode: Inode): void {
    this.aufs.nodes.hold(inode);
  }
  drop(inode: Inode): void {
    this.aufs.nodes.drop(inode);
  }
  mode(inode: Inode): number {
    return this.aufs.fsOf(inode).mode(this.aufs.inodeOf(inode));
  }
  fileType(inode: Inode): number {
    return this.aufs.nodes.typeOf(inode);
  }
  uid(inode: Inode): number {
    return this.aufs.fsOf(inode).uid(this.aufs.inodeOf(inode));
  }
  gid(inode: Inode): number {
    return this.aufs.fsOf(inode).gid(this.aufs.inodeOf(inode));
  }
  size(inode: Inode): number {
    return this.aufs.fsOf(inode).size(this.aufs.inodeOf(inode));
  }
  getattr(inode: Inode, into: Attributes, tells?: boolean): Errno | undefined {
    return attributes.getattr(this.aufs, inode, into, tells);
  }
  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    return attributes.setattr(this.aufs, inode, change);
  }
  touchAtime(inode: Inode): void {
    attributes.touchAtime(this.aufs, inode);
  }

  // Extended attributes
  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    return this.aufs.fsOf(inode).getxattr(this.aufs.inodeOf(inode), name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    return attributes.setxattr(this.aufs, inode, { name, value, flags });
  }
  removexattr(inode: Inode, name: string, isWrite?: boolean): Errno | undefined {
    return attributes.removexattr(this.aufs, inode, name, isWrite === true);
  }
  listxattr(inode: Inode): string[] | Errno {
    return this.aufs.fsOf(inode).listxattr(this.aufs.inodeOf(inode));
  }
  /** Whatever the option acl says: permissions are the branch's own affair (h_permission). */
  aclAsked(inode: Inode): Acl | undefined {
    return this.#acl(inode, "access");
  }
  get acl(): FileSystem["acl"] {
    return this.aufs.options.acl ? this.#acl : undefined;
  }
  get setAcl(): FileSystem["setAcl"] {
    return this.aufs.options.acl ? this.#setAcl : undefined;
  }
  /** That of the branch that shows the object (aufs_get_acl). */
  #acl(inode: Inode, kind: AclKind): Acl | undefined {
    return this.aufs.fsOf(inode).acl?.(this.aufs.inodeOf(inode), kind);
  }
  #setAcl(inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number): Errno | undefined {
    return attributes.setAcl(this.aufs, inode, { kind, acl, mode });
  }

  // Open files
  open(inode: Inode, flags: number): FileHandle | Errno {
    return files.open(this.aufs, inode, flags);
  }
  close(file: FileHandle, _flags: number): void {
    files.close(this.aufs, file);
  }
  openHeld(inode: Inode): FileHandle {
    return files.openHeld(this.aufs, inode);
  }
  weakRevalidate(file: FileHandle): Errno | undefined {
    return this.aufs.openedAs.isStale(file) ? ESTALE : undefined;
  }
  byDescriptor(file: FileHandle): void {
    const { openedAs, nodes } = this.aufs;
    const opened = openedAs.of(file);
    // A directory has one name, which its node knows.
    if (opened !== undefined && !nodes.has(opened.node, IS_DIRECTORY)) nodes.seeAs(opened.node, opened.directory, opened.name);
  }
  read(file: FileHandle, offset: number, length: number): Content | Errno {
    const real = files.readable(this.aufs, file);
    return isErrno(real) ? real : files.realFs(this.aufs, file).read(real, offset, length);
  }
  write(file: FileHandle, offset: number, content: Content): number | Errno {
    const real = files.writable(this.aufs, file);
    return isErrno(real) ? real : files.realFs(this.aufs, file).write(real, offset, content);
  }
  writeMapped(file: FileHandle, offset: number, content: Content): number | Errno {
    const real = files.writable(this.aufs, file);
    return isErrno(real) ? real : writeMapped(files.realFs(this.aufs, file), real, offset, content);
  }
  directIo(file: FileHandle): DirectIo | undefined {
    const real = files.readable(this.aufs, file);
    return isErrno(real) ? undefined : files.realFs(this.aufs, file).directIo?.(real);
  }
  writeNothing(file: FileHandle): Errno | undefined {
    const real = files.writable(this.aufs, file);
    return isErrno(real) ? real : undefined;
  }
  fsync(file: FileHandle, dataOnly: boolean): Errno | undefined {
    return files.fsync(this.aufs, file, dataOnly);
  }
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    if (offset + length > attributes.sizeMax(this.aufs)) return EFBIG;
    const real = files.writable(this.aufs, file);
    return isErrno(real) ? real : files.realFs(this.aufs, file).fallocate(real, mode, offset, length);
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    return files.seek(this.aufs, file, offset, hole);
  }
  prepareSharing(source: FileHandle, target: FileHandle): Errno | undefined {
    return files.mayCopy(this.aufs, source, target);
  }
  clone(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined {
    return files.clone(this.aufs, source, target, { from: sourceOffset, to: targetOffset, length });
  }
  directoryEnd(directory: Inode): number {
    return this.size(directory);
  }
  /** The ioctl is ENOTTY, but what the branch's inode forbids is forbidden (au_cpup_attr_flags). */
  fileFlags(inode: Inode): number {
    const flags = this.aufs.fsOf(inode).fileFlags?.(this.aufs.inodeOf(inode)) ?? 0;
    return isErrno(flags) ? 0 : flags & (IMMUTABLE | APPEND_ONLY);
  }
  cachedPages(file: FileHandle): number {
    const real = files.readable(this.aufs, file);
    return isErrno(real) ? 0 : files.realFs(this.aufs, file).cachedPages(real);
  }
  dropPages(file: FileHandle): void {
    const real = files.readable(this.aufs, file);
    if (!isErrno(real)) files.realFs(this.aufs, file).dropPages(real);
  }

  // The whole
  statfs(): StatFs {
    return { ...attributes.statfs(this.aufs), type: AUFS_MAGIC, nameLength: NAME_LENGTH_MAX };
  }
  sync(): Errno | undefined {
    let failed: Errno | undefined;
    for (const { fs, permission } of this.aufs.uppers) if (permission.writable) failed = fs.sync() ?? failed;
    return failed;
  }
  unmount(): Errno | undefined {
    const { aufs } = this;
    for (const branch of aufs.uppers) if (branch.permission.writable) storeRenamed(aufs.names, branch, branch.renamed);
    const failed = this.sync();
    aufs.lower?.release();
    aufs.pins.releaseAll();
    for (const { fs, inode } of aufs.branches) fs.drop(inode);
    return failed;
  }
  check(): void {
    checkAufs(this.aufs);
  }
}
