/**
 * stat, chmod, chown, utimens, truncate and xattrs (fs/overlayfs/inode.c, xattrs.c; union.md 1.6 and section 7).
 */
import { EINVAL, ENODATA, ENOTSUP, EPERM, type Errno, isErrno } from "../../core/errno.ts";
import type { InodeNumber } from "../../core/units.ts";
import { PAGE_SIZE } from "../../vfs/address-space.ts";
import { type AttributeChange, type Attributes, type FileSystem, O_WRONLY } from "../../vfs/filesystem.ts";
import { isBareNamespace } from "../../vfs/xattr.ts";
import { HAS_ORIGIN, IS_DIRECTORY, IS_INDEXED, IS_METACOPY, IS_STACKED, type Node } from "../nodes.ts";
import { copyUp } from "./copy-up.ts";
import { endCopy } from "./files.ts";
import { linksOf } from "./hard-links.ts";
import type { Overlay } from "./state.ts";
import { isBarePrefix, shownName, storedName } from "./xattrs.ts";

/** What a filesystem's id counts in st_ino under xino, where all of them number inodes in 32 bits: those that leave their file handles to exportfs. */
const XINO_32 = 2 ** 33;
const NUMBERS_IN_32_BITS: ReadonlySet<string> = new Set(["ext4"]);
/** The same with another among them: the kernel uses the highest bits of 64, here they are those of 53. */
const XINO_64 = 2 ** 44;

export function getattr(overlay: Overlay, node: Node, into: Attributes, tells = false): Errno | undefined {
  const fs = overlay.fsOf(node);
  const failed = fs.getattr(overlay.inodeOf(node), into, tells);
  if (failed !== undefined) return failed;
  const { nodes } = overlay;
  const flags = nodes.flagsOf(node);
  const isDirectory = (flags & IS_DIRECTORY) !== 0;
  let numbered = fs;
  if ((flags & HAS_ORIGIN) !== 0 && nodes.hasUpper(node) && !(isDirectory && overlay.numbersDirectories)) {
    const lower = nodes.lowerOf(node);
    numbered = overlay.view.fsOf(lower);
    const unread = numbered.getattr(overlay.view.inodeOf(lower), overlay.otherAttributes);
    if (unread !== undefined) return unread;
    into.inodeNumber = overlay.otherAttributes.inodeNumber;
  }
  if ((flags & (IS_METACOPY | IS_STACKED)) !== 0) {
    const blocks = dataBlocksOf(overlay, node, into.size);
    if (isErrno(blocks)) return blocks;
    into.blocks = blocks;
  }
  if ((flags & IS_INDEXED) !== 0) into.nlink = linksOf(overlay, node, into.nlink);
  if (overlay.sameFilesystem) into.device = overlay.device;
  else mapNumbers(overlay, node, numbered, into);
  // Counting the subdirectories of a merged directory is not worth it; 1 says that nobody did.
  if (isDirectory && overlay.isMerged(node)) into.nlink = 1;
  return undefined;
}

/** st_blocks of a file whose data are below; guessed from its size until the data are found (ovl_getattr). */
function dataBlocksOf(overlay: Overlay, node: Node, size: number): number | Errno {
  if (!overlay.view.knowsData(overlay.nodes.lowerOf(node))) return Math.ceil(size / PAGE_SIZE) * (PAGE_SIZE / 512);
  const failed = overlay.dataFsOf(node).getattr(overlay.dataInodeOf(node), overlay.otherAttributes);
  return failed ?? overlay.otherAttributes.blocks;
}

/** st_ino as stat would show it (d_ino of a directory entry). */
export function inodeNumberOf(overlay: Overlay, node: Node): number {
  const failed = getattr(overlay, node, overlay.attributes);
  return failed === undefined ? overlay.attributes.inodeNumber : 0;
}

/** st_dev and st_ino for those who see a union of several filesystems (ovl_map_dev_ino). */
function mapNumbers(overlay: Overlay, node: Node, numbered: FileSystem, into: Attributes): void {
  into.device = overlay.device;
  if (overlay.options.xino !== "off") {
    into.inodeNumber = (into.inodeNumber + xinoOf(overlay, numbered)) as InodeNumber;
  } else if (overlay.nodes.has(node, IS_DIRECTORY)) into.inodeNumber = overlay.directoryNumber(node);
  else into.device = overlay.devices.get(numbered) ?? overlay.device;
}

/** What xino adds to the numbers of a filesystem's inodes: its id, where 0 is the upper layer's, also when there is none, in the high bits (ovl_get_layers). */
export function xinoOf({ devices, upper }: Overlay, numbered: FileSystem): number {
  let id = upper === undefined ? 1 : 0;
  let unit = XINO_32;
  let found = 0;
  for (const fs of devices.keys()) {
    if (fs === numbered) found = id;
    if (!NUMBERS_IN_32_BITS.has(fs.type)) unit = XINO_64;
    id += 1;
  }
  return found * unit;
}

/** Copies up first, with all data even where a truncate follows. */
export function setattr(overlay: Overlay, node: Node, change: AttributeChange): Errno | undefined {
  if (change.size !== undefined) return setSize(overlay, node, change);
  return copyUp(overlay, node, "attributes") ?? overlay.writable.fs.setattr(overlay.nodes.upperOf(node), change);
}

/** A file that is copied up to be cut is closed behind the cut: what is gone by then is not written back. */
function setSize(overlay: Overlay, node: Node, change: AttributeChange): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  overlay.cutsCopy = true;
  const uncopied = copyUp(overlay, node, "data");
  overlay.cutsCopy = false;
  const failed = uncopied ?? upper.fs.setattr(nodes.upperOf(node), change);
  const { copyFile } = overlay;
  overlay.copyFile = undefined;
  if (copyFile !== undefined) upper.fs.close(copyFile, O_WRONLY);
  if (overlay.copiedToCut === node) endCopy(overlay, node);
  return failed;
}

/** Lower inodes keep their atime. */
export function touchAtime(overlay: Overlay, node: Node, strict: boolean): void {
  const { nodes } = overlay;
  if (nodes.hasUpper(node)) overlay.writable.fs.touchAtime(nodes.upperOf(node), true, strict);
}

/** What a kernel says of overlayfs's own xattrs that lets nobody have any. @param first - what the first ones said (ovl_own_xattr_get, ovl_own_xattr_set) */
function ownRefusal({ profile, xattrs }: Overlay, name: string, first: Errno): Errno | undefined {
  if (profile.xattrEscape || !name.startsWith(xattrs.prefix)) return undefined;
  if (profile.ownXattrsUnsupported) return ENOTSUP;
  return profile.ownXattrsRefused ? EPERM : first;
}

export function getxattr(overlay: Overlay, node: Node, name: string): Uint8Array | Errno {
  if (isBarePrefix(overlay.xattrs, name)) return EINVAL;
  const stored = ownRefusal(overlay, name, ENODATA) ?? storedName(overlay.xattrs, name);
  return isErrno(stored) ? stored : overlay.fsOf(node).getxattr(overlay.inodeOf(node), stored);
}

export function listxattr(overlay: Overlay, node: Node): string[] | Errno {
  const stored = overlay.fsOf(node).listxattr(overlay.inodeOf(node));
  if (isErrno(stored)) return stored;
  const shown: string[] = [];
  for (const name of stored) {
    const as = shownName(overlay.xattrs, name);
    if (as !== undefined) shown.push(as);
  }
  return shown;
}

/** An xattr and what setxattr does with it. */
export interface XattrChange {
  readonly name: string;
  readonly value: Uint8Array;
  readonly flags: number;
}

/** Copies up, also where it fails afterwards; a further name of an indexed file is not linked for it (ovl_xattr_set asks the inode). */
export function setxattr(overlay: Overlay, node: Node, change: XattrChange): Errno | undefined {
  const { writable: upper, nodes, xattrs } = overlay;
  if (isBarePrefix(xattrs, change.name)) return EINVAL;
  const stored = ownRefusal(overlay, change.name, EPERM) ?? storedName(xattrs, change.name);
  if (isErrno(stored)) return stored;
  const failed = nodes.hasUpper(node) ? undefined : copyUp(overlay, node);
  if (failed !== undefined) return failed;
  if (isBareNamespace(change.name)) return EINVAL;
  return upper.fs.setxattr(nodes.upperOf(node), stored, change.value, change.flags);
}

/** Does not copy up for a name that is not there. */
export function removexattr(overlay: Overlay, node: Node, name: string): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  if (isBarePrefix(overlay.xattrs, name)) return EINVAL;
  const stored = ownRefusal(overlay, name, ENODATA) ?? storedName(overlay.xattrs, name);
  if (isErrno(stored)) return stored;
  if (!nodes.hasUpper(node)) {
    const value = overlay.fsOf(node).getxattr(overlay.inodeOf(node), stored);
    if (isErrno(value)) return value;
    const failed = copyUp(overlay, node);
    if (failed !== undefined) return failed;
  }
  return upper.fs.removexattr(nodes.upperOf(node), stored);
}
