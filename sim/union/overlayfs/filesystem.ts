/**
 * An overlayfs mount behind the FileSystem interface: each call goes to the file of its operation.
 */

import type { Content } from "../../core/content.ts";
import { ENOTTY, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import type { DeviceNumber } from "../../core/units.ts";
import type { CopyRange } from "../../vfs/copy-range.ts";
import type { DirectIo } from "../../vfs/direct-io.ts";
import { type FileHandles, NUMBER_HANDLES } from "../../vfs/file-handles.ts";
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
import { OVERLAYFS_MAGIC } from "../../vfs/magic.ts";
import type { Acl, AclKind } from "../../vfs/posix-acl.ts";
import { writeMapped } from "../../vfs/write-mapped.ts";
import { ROOT_NODE } from "../nodes.ts";
import { setAcl } from "./acl.ts";
import * as attributes from "./attributes.ts";
import { checkOverlay } from "./check.ts";
import * as creation from "./create.ts";
import { fileFlags, setFileFlags } from "./file-flags.ts";
import * as files from "./files.ts";
import { connectHandle } from "./handles.ts";
import { ownLinks } from "./hard-links.ts";
import { lookup } from "./lookup.ts";
import { iterate } from "./readdir.ts";
import { rmdir, unlink } from "./remove.ts";
import { rename } from "./rename.ts";
import type { Overlay, OverlayCounters } from "./state.ts";

const NAME_MAX = 255;

export class OverlayFileSystem implements FileSystem {
  readonly type = "overlay";
  readonly label: string;
  readonly root: Inode = inodeHandle(ROOT_NODE);
  readonly device: DeviceNumber;
  readonly nameMax: number = NAME_MAX;
  readonly takesBareNamespaces = "setxattr";
  readonly setsModesAsMounter = true;
  readonly stackDepth: number;
  readonly handles: FileHandles | undefined;
  /** There is nothing to change without an upper layer (ovl_fill_super). */
  readonly readOnly: boolean;
  readonly walked: WalkedPaths;
  remount?: Exclude<FileSystem["remount"], undefined>;
  /** The mount's state: for tests and tools of this room. */
  readonly overlay: Overlay;

  constructor(overlay: Overlay) {
    this.overlay = overlay;
    this.readOnly = overlay.upper === undefined;
    this.label = overlay.label;
    this.device = overlay.device;
    this.walked = overlay.nodes as WalkedPaths;
    this.handles = overlay.options.nfsExport ? NUMBER_HANDLES : undefined;
    let depth = overlay.upper?.fs.stackDepth ?? 0;
    for (const { fs } of overlay.lowers) depth = Math.max(depth, fs.stackDepth);
    this.stackDepth = depth + 1;
  }

  get counters(): Readonly<OverlayCounters> {
    return this.overlay.counters;
  }

  // Names
  lookup(directory: Inode, name: Name): Inode | Errno {
    return lookup(this.overlay, directory, name) as Inode | Errno;
  }
  parentOf(directory: Inode): Inode {
    return inodeHandle(this.overlay.nodes.parentOf(directory));
  }
  create(directory: Inode, name: Name, init: NewInode): Inode | Errno {
    return creation.create(this.overlay, directory, name, init) as Inode | Errno;
  }
  tmpfile(directory: Inode, init: NewInode): Inode | Errno {
    return creation.tmpfile(this.overlay, directory, init) as Inode | Errno;
  }
  link(source: Inode, directory: Inode, name: Name): Errno | undefined {
    return creation.link(this.overlay, source, directory, name);
  }
  ownLinks(inode: Inode): number | undefined {
    return ownLinks(this.overlay, inode);
  }
  unlink(directory: Inode, name: Name): Errno | undefined {
    return unlink(this.overlay, directory, name);
  }
  rmdir(directory: Inode, name: Name): Errno | undefined {
    return rmdir(this.overlay, directory, name);
  }
  rename(directory: Inode, name: Name, toDirectory: Inode, toName: Name, flags: number): Errno | undefined {
    return rename(this.overlay, { directory, name, toDirectory, toName }, flags);
  }
  iterate(directory: Inode, visit: VisitEntry): Errno | undefined {
    return iterate(this.overlay, directory, visit);
  }
  readlink(link: Inode): string | Errno {
    return this.overlay.fsOf(link).readlink(this.overlay.inodeOf(link));
  }

  // Inodes
  hold(inode: Inode): void {
    this.overlay.nodes.hold(inode);
  }
  drop(inode: Inode): void {
    this.overlay.nodes.drop(inode);
  }
  mode(inode: Inode): number {
    return this.overlay.fsOf(inode).mode(this.overlay.inodeOf(inode));
  }
  fileType(inode: Inode): number {
    return this.overlay.nodes.typeOf(inode);
  }
  uid(inode: Inode): number {
    return this.overlay.fsOf(inode).uid(this.overlay.inodeOf(inode));
  }
  gid(inode: Inode): number {
    return this.overlay.fsOf(inode).gid(this.overlay.inodeOf(inode));
  }
  size(inode: Inode): number {
    return this.overlay.fsOf(inode).size(this.overlay.inodeOf(inode));
  }
  getattr(inode: Inode, into: Attributes, tells?: boolean): Errno | undefined {
    return attributes.getattr(this.overlay, inode, into, tells);
  }
  setattr(inode: Inode, change: AttributeChange): Errno | undefined {
    return attributes.setattr(this.overlay, inode, change);
  }
  touchAtime(inode: Inode, _above = false, strict = false): void {
    attributes.touchAtime(this.overlay, inode, strict);
  }

  // Extended attributes
  getxattr(inode: Inode, name: string): Uint8Array | Errno {
    return attributes.getxattr(this.overlay, inode, name);
  }
  setxattr(inode: Inode, name: string, value: Uint8Array, flags: number): Errno | undefined {
    return attributes.setxattr(this.overlay, inode, { name, value, flags });
  }
  removexattr(inode: Inode, name: string): Errno | undefined {
    return attributes.removexattr(this.overlay, inode, name);
  }
  listxattr(inode: Inode): string[] | Errno {
    return attributes.listxattr(this.overlay, inode);
  }
  acl(inode: Inode, kind: AclKind): Acl | undefined {
    return this.overlay.fsOf(inode).acl?.(this.overlay.inodeOf(inode), kind);
  }
  setAcl(inode: Inode, kind: AclKind, acl: Acl | undefined, mode?: number): Errno | undefined {
    return setAcl(this.overlay, inode, { kind, acl, mode });
  }

  // Open files
  open(inode: Inode, flags: number): FileHandle | Errno {
    return files.open(this.overlay, inode, flags);
  }
  close(file: FileHandle, _flags: number): void {
    files.close(this.overlay, file);
  }
  openHeld(inode: Inode): FileHandle {
    return files.openHeld(this.overlay, inode);
  }
  byDescriptor(file: FileHandle): void {
    const { openedAs, nodes } = this.overlay;
    const opened = openedAs.of(file);
    if (opened !== undefined) nodes.seeAs(opened.node, opened.directory, opened.name);
  }
  read(file: FileHandle, offset: number, length: number): Content | Errno {
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? real : files.realFs(this.overlay, file).read(real, offset, length);
  }
  write(file: FileHandle, offset: number, content: Content): number | Errno {
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? real : files.realFs(this.overlay, file).write(real, offset, content);
  }
  writeMapped(file: FileHandle, offset: number, content: Content): number | Errno {
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? real : writeMapped(files.realFs(this.overlay, file), real, offset, content);
  }
  fsync(file: FileHandle, dataOnly: boolean): Errno | undefined {
    return files.fsync(this.overlay, file, dataOnly);
  }
  fallocate(file: FileHandle, mode: number, offset: number, length: number): Errno | undefined {
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? real : files.realFs(this.overlay, file).fallocate(real, mode, offset, length);
  }
  connectHandle(inode: Inode): Errno | undefined {
    return connectHandle(this.overlay, inode);
  }
  directoryEnd(directory: Inode, file?: FileHandle, begins?: boolean): number | undefined {
    return files.directoryEnd(this.overlay, directory, file, begins);
  }

  /** That of the file below, which does the I/O (backing_file_read_iter). */
  directIo(file: FileHandle): DirectIo | undefined {
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? undefined : files.realFs(this.overlay, file).directIo?.(real);
  }
  /** That of the file below, which takes the seek (ovl_llseek). */
  positionMax(file?: FileHandle): number | undefined {
    if (file === undefined) return undefined;
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? undefined : files.realFs(this.overlay, file).positionMax?.(real);
  }
  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? real : files.realFs(this.overlay, file).seek(real, offset, hole);
  }
  clone(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined {
    return files.clone(this.overlay, source, target, { from: sourceOffset, to: targetOffset, length });
  }
  prepareSharing(source: FileHandle, target: FileHandle, kind: "dedupe" | "copy", range?: CopyRange): Errno | undefined {
    return files.prepareSharing(this.overlay, source, target, { kind, range });
  }
  dedupe(source: FileHandle, sourceOffset: number, target: FileHandle, targetOffset: number, length: number): Errno | undefined {
    return files.clone(this.overlay, source, target, { from: sourceOffset, to: targetOffset, length }, true);
  }
  cachedPages(file: FileHandle): number {
    const real = files.realFile(this.overlay, file);
    return isErrno(real) ? 0 : files.realFs(this.overlay, file).cachedPages(real);
  }
  dropPages(file: FileHandle): void {
    const real = files.realFile(this.overlay, file);
    if (!isErrno(real)) files.realFs(this.overlay, file).dropPages(real);
  }

  // Flags of chattr(1)
  fileFlags(inode: Inode): number | Errno {
    return fileFlags(this.overlay, inode) ?? ENOTTY;
  }
  setFileFlags(inode: Inode, flags: number): Errno | undefined {
    return setFileFlags(this.overlay, inode, flags);
  }

  // The whole
  statfs(): StatFs {
    // ovl_statfs asks the root of the upper layer, of the topmost one where there is none.
    const { upper } = this.overlay;
    const told = upper?.fs.statfs(upper.root) ?? this.overlay.fsOf(ROOT_NODE).statfs(this.overlay.inodeOf(ROOT_NODE));
    return { ...told, type: OVERLAYFS_MAGIC, nameLength: NAME_MAX };
  }
  sync(): Errno | undefined {
    return this.overlay.options.fsync === "volatile" ? undefined : this.overlay.upper?.fs.sync();
  }
  unmount(): Errno | undefined {
    const failed = this.sync();
    this.overlay.end();
    return failed;
  }
  check(): void {
    checkOverlay(this.overlay);
  }
}
