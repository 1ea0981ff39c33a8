/**
 * Copy-up: a lower object gets a copy on the upper layer, its parents first (fs/overlayfs/copy_up.c; union.md sections 2 and 3).
 *
 * Interface: order of one copy: create, data, fsync, xattrs, owner, mode and times, then link or rename into place. A failure leaves the upper
 * layer and work/ as they were; parents that were copied before stay. The directory that receives the copy keeps its mtime.
 */
import { ENODATA, ENOTSUP, type Errno, isErrno } from "../../core/errno.ts";
import { PAGE_SIZE } from "../../vfs/address-space.ts";
import { CAPABILITY, readXattr } from "../../vfs/capability-xattr.ts";
import {
  type Attributes,
  type FileHandle,
  type FileSystem,
  type Inode,
  type NewInode,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../vfs/filesystem.ts";
import { aclKindOf } from "../../vfs/posix-acl.ts";
import { copyAcl } from "../copy-acl.ts";
import { copyData } from "../copy-data.ts";
import { HAS_ORIGIN, IS_DIRECTORY, IS_IMPURE, IS_INDEXED, IS_METACOPY, IS_UNLINKED, NO_NODE, type Node } from "../nodes.ts";
import type { ViewNode } from "../view-nodes.ts";
import { coverOther, noteUnseen, type Place, refuseOther, refuseTaken } from "./copy-back.ts";
import { countFirstCopy, hasUpperName, indexDirectory, indexName, linkUp } from "./hard-links.ts";
import { encodeOrigin } from "./origin.ts";
import { copyFlags } from "./protection.ts";
import type { Overlay, UpperLayer } from "./state.ts";
import { canHave, shownName, YES } from "./xattrs.ts";

const PERMISSIONS = 0o7777;
const KINDS: ReadonlyMap<number, string> = new Map([
  [S_IFDIR, "directory"],
  [S_IFREG, "file"],
  [S_IFLNK, "symlink"],
]);

/** What of an object the upper layer must have. */
export type Need = "attributes" | "data" | "empty";

/** What is copied: the lower inode and what stat told of it. */
interface Source {
  readonly fs: FileSystem;
  readonly inode: Inode;
  readonly lower: ViewNode;
  readonly attributes: Attributes;
  /** Whether the copy is known as this inode's: not for one of several hard links. */
  readonly origin: boolean;
  readonly withData: boolean;
  /** Only the attributes are copied. */
  readonly metacopy: boolean;
}

/**
 * Makes sure that a node is on the upper layer.
 * @param need - what the caller is about to touch: the attributes, for which `metacopy=on` copies no data; the data; or a file that it
 *   empties at once.
 * Precondition: there is an upper layer. @returns ENOSPC, EEXIST for an unlinked file whose name a whiteout has taken.
 */
export function copyUp(overlay: Overlay, node: Node, need: Need = "attributes"): Errno | undefined {
  const { nodes, writable: upper } = overlay;
  if (nodes.hasUpper(node)) {
    if (nodes.has(node, IS_INDEXED) && lacksUpperName(overlay, node)) {
      const linked = copyUp(overlay, nodes.parentOf(node)) ?? giveName(overlay, node);
      if (linked !== undefined) return linked;
    }
    return need !== "attributes" && nodes.has(node, IS_METACOPY)
      ? (overlay.findData(node) ?? copyUpData(overlay, upper, node, need))
      : undefined;
  }
  // Also where only attributes are copied (ovl_verify_lowerdata).
  const lost = overlay.findData(node);
  if (lost !== undefined) return lost;
  for (;;) {
    let at = node;
    while (!nodes.hasUpper(nodes.parentOf(at))) at = nodes.parentOf(at);
    const failed = copyUpOne(overlay, upper, at, at === node ? need : "attributes");
    if (failed !== undefined || at === node) return failed;
  }
}

/** Whether the name by which an indexed node is meant is below still. */
function lacksUpperName(overlay: Overlay, node: Node): boolean {
  const { nodes } = overlay;
  return !nodes.has(node, IS_UNLINKED) && nodes.parentOf(node) !== NO_NODE && !hasUpperName(overlay, node);
}

/** Links a copy that is in the index to its name, whose directory is on the upper layer. */
function giveName(overlay: Overlay, node: Node): Errno | undefined {
  const { nodes, writable } = overlay;
  const parent = nodes.parentOf(node);
  const place: Place = { node, directory: nodes.upperOf(parent), name: nodes.nameOf(node) };
  return markImpure(overlay, parent) ?? refuseTaken(overlay, writable, place) ?? linkUp(overlay, node);
}

/** Copies a node whose parent is on the upper layer; an indexed one into the index first, where it stays should its name not be given (ovl_do_copy_up). */
function copyUpOne(overlay: Overlay, upper: UpperLayer, node: Node, need: Need): Errno | undefined {
  const { nodes, view, attributes } = overlay;
  const lower = nodes.lowerOf(node);
  const fs = view.fsOf(lower);
  const inode = view.inodeOf(lower);
  const failed = fs.getattr(inode, attributes, true);
  if (failed !== undefined) return failed;
  const isDirectory = nodes.has(node, IS_DIRECTORY);
  const indexed = nodes.has(node, IS_INDEXED);
  const lowerLinks = attributes.nlink;
  const origin = isDirectory || lowerLinks === 1 || indexed;
  const isRegular = (attributes.mode & S_IFMT) === S_IFREG;
  const { options } = overlay;
  const metacopy = isRegular && need === "attributes" && options.metacopy && options.verity !== "require";
  const source: Source = { fs, inode, lower, attributes, origin, metacopy, withData: isRegular && need !== "empty" && !metacopy };
  const parent = nodes.parentOf(node);
  // Whatever the copy is: its parent may now hold what is not the upper layer's own.
  const impure = indexed ? undefined : markImpure(overlay, parent);
  if (impure !== undefined) return impure;
  const into = nodes.upperOf(parent);
  const times = upper.fs.getattr(into, overlay.otherAttributes, true);
  if (times !== undefined) return times;
  const { atime, mtime } = overlay.otherAttributes;
  const target: Place = indexed
    ? { node, directory: overlay.index, name: indexName(overlay, lower) }
    : { node, directory: into, name: nodes.nameOf(node) };
  const byTmpfile = isRegular && overlay.profile.tmpfileCopyUp;
  const made = byTmpfile ? copyByTmpfile(overlay, upper, source, target) : copyByName(overlay, upper, source, target);
  if (isErrno(made)) return made;
  nodes.setUpper(node, made);
  if (metacopy) nodes.set(node, IS_METACOPY);
  // A broken hard link is an inode of its own from now on; without data it still needs the lower one.
  else if (!origin) nodes.forgetLower(node);
  if (origin && overlay.profile.constantInodeNumbers) nodes.set(node, HAS_ORIGIN);
  else nodes.clear(node, HAS_ORIGIN);
  if (indexed) return countFirstCopy(overlay, node, lowerLinks) ?? giveName(overlay, node);
  upper.fs.setattr(into, { atime, mtime });
  return undefined;
}

function newInodeOf(source: Source): NewInode | Errno {
  const { mode, uid, gid, rdev } = source.attributes;
  const target = (mode & S_IFMT) === S_IFLNK ? source.fs.readlink(source.inode) : "";
  return isErrno(target) ? target : { mode, uid, gid, rdev, target };
}

/** A regular file: filled without a name, then linked into place. */
function copyByTmpfile(overlay: Overlay, upper: UpperLayer, source: Source, place: Place): Inode | Errno {
  const init = newInodeOf(source);
  if (isErrno(init)) return init;
  const inode = upper.fs.tmpfile(upper.work, init);
  if (inode === ENOTSUP) return copyByName(overlay, upper, source, place);
  if (isErrno(inode)) return inode;
  const failed =
    fill(overlay, upper, source, inode) ??
    refuseTaken(overlay, upper, place) ??
    upper.fs.link(inode, place.directory, place.name);
  upper.fs.drop(inode);
  if (failed !== undefined) return failed;
  count(overlay, source, place.node);
  return inode;
}

/** Anything else: made in work/ under a passing name, then renamed into place. */
function copyByName(overlay: Overlay, upper: UpperLayer, source: Source, place: Place): Inode | Errno {
  const init = newInodeOf(source);
  if (isErrno(init)) return init;
  const passing = overlay.temporaryName();
  const inode = upper.fs.create(upper.work, passing, init);
  if (isErrno(inode)) {
    overlay.freeName(passing);
    return inode;
  }
  const failed =
    fill(overlay, upper, source, inode) ??
    indexDirectory(overlay, place.node, inode) ??
    refuseOther(overlay, upper, place, init.mode) ??
    coverOther(overlay, upper, place, init.mode) ??
    upper.fs.rename(upper.work, passing, place.directory, place.name, 0);
  if (failed !== undefined) {
    overlay.discard(passing, (init.mode & S_IFMT) === S_IFDIR);
    return failed;
  }
  overlay.freeName(passing);
  count(overlay, source, place.node);
  noteUnseen(overlay, place, inode);
  return inode;
}

/**
 * Everything of a copy but its name. The file through which it gets its data is closed behind all of that, since fput is put off to the end of the call;
 * where that call is to cut the copy, behind the cut (files.ts, `endCopy`; attributes.ts, setattr).
 */
function fill(overlay: Overlay, upper: UpperLayer, source: Source, inode: Inode): Errno | undefined {
  if (!source.withData && !source.metacopy) return fillBy(overlay, upper, source, inode);
  return throughFile(overlay, inode, (file) => fillBy(overlay, upper, source, inode, file));
}

/** Opens a copy for what is to be done with its file. */
function throughFile(overlay: Overlay, inode: Inode, act: (file: FileHandle) => Errno | undefined): Errno | undefined {
  const { fs } = overlay.writable;
  const file = fs.open(inode, O_WRONLY);
  if (isErrno(file)) return file;
  const failed = act(file);
  if (failed === undefined && overlay.cutsCopy && overlay.copyFile === undefined) overlay.copyFile = file;
  else fs.close(file, O_WRONLY);
  return failed;
}

/** @param file - the copy's, where its data are copied. */
function fillBy(overlay: Overlay, upper: UpperLayer, source: Source, inode: Inode, file?: FileHandle): Errno | undefined {
  const { size } = source.attributes;
  return (
    (source.withData && file !== undefined
      ? copyFileData(overlay, upper, { lower: source.lower, size }, { inode, file })
      : undefined) ??
    copyXattrs(overlay, upper, source, inode) ??
    copyFlags(overlay, upper, { fs: source.fs, inode: source.inode, mode: source.attributes.mode }, inode) ??
    (source.origin && overlay.profile.originXattr && canHave(overlay.xattrs, source.attributes.mode)
      ? orUnsupported(upper.fs.setxattr(inode, overlay.xattrs.origin, encodeOrigin(source.fs, source.inode), 0))
      : undefined) ??
    (source.metacopy ? upper.fs.setxattr(inode, overlay.xattrs.metacopy, new Uint8Array(0), 0) : undefined) ??
    // Also to the size that it has, which zeroes the rest of the last block once more: shared blocks part there (ovl_set_size).
    (source.withData || source.metacopy ? upper.fs.setattr(inode, { size }) : undefined) ??
    copyAttributes(upper, source, inode) ??
    syncAll(overlay, upper, source, inode)
  );
}

/** Under fsync=strict a file or a directory is written to the disk whole before it has its name; its data are not on their own before (ovl_sync_file). */
function syncAll(overlay: Overlay, upper: UpperLayer, { attributes }: Source, inode: Inode): Errno | undefined {
  const type = attributes.mode & S_IFMT;
  if (overlay.options.fsync !== "strict" || (type !== S_IFREG && type !== S_IFDIR)) return undefined;
  const file = upper.fs.open(inode, O_RDONLY);
  if (isErrno(file)) return file;
  overlay.counters.fsyncs += 1;
  const failed = upper.fs.fsync(file, false);
  upper.fs.close(file, O_RDONLY);
  return failed;
}

/** The data of a file whose attributes were copied up before. */
function copyUpData(overlay: Overlay, upper: UpperLayer, node: Node, need: Need): Errno | undefined {
  const { nodes, counters } = overlay;
  const inode = nodes.upperOf(node);
  const size = need === "empty" ? 0 : upper.fs.size(inode);
  // What the writing takes away is read first, to be put back (ovl_copy_up_meta_inode_data).
  const capability = size > 0 ? readXattr(upper.fs, inode, CAPABILITY) : ENODATA;
  if (isErrno(capability) && capability !== ENODATA && capability !== ENOTSUP) return capability;
  const failed =
    throughFile(overlay, inode, (file) => copyFileData(overlay, upper, { lower: nodes.lowerOf(node), size }, { inode, file })) ??
    upper.fs.removexattr(inode, overlay.xattrs.metacopy);
  if (failed !== undefined) return failed;
  counters.copyUps += 1;
  nodes.clear(node, IS_METACOPY);
  if (!nodes.has(node, HAS_ORIGIN)) nodes.forgetLower(node);
  return undefined;
}

function copyAttributes(upper: UpperLayer, source: Source, inode: Inode): Errno | undefined {
  const { mode, uid, gid, atime, mtime } = source.attributes;
  // A symbolic link's permission bits cannot be set.
  if ((mode & S_IFMT) === S_IFLNK) return upper.fs.setattr(inode, { uid, gid, atime, mtime });
  return upper.fs.setattr(inode, { mode: mode & PERMISSIONS, uid, gid, atime, mtime });
}

function copyFileData(
  overlay: Overlay,
  upper: UpperLayer,
  { lower, size }: { readonly lower: ViewNode; readonly size: number },
  to: { readonly inode: Inode; readonly file: FileHandle },
): Errno | undefined {
  if (size === 0) return undefined;
  const fs = overlay.view.dataFsOf(lower);
  const from = fs.open(overlay.view.dataInodeOf(lower), O_RDONLY);
  if (isErrno(from)) return from;
  const copied = copyData(
    { fs, file: from },
    { fs: upper.fs, file: to.file },
    { length: size, sparse: overlay.profile.sparseCopyUp, clone: overlay.profile.cloneCopyUp },
  );
  // Nobody waits for a clone: its filesystem makes it durable with its next transaction (ovl_copy_up_file: goto out_fput).
  const isClone = copied === 0 && upper.fs.size(to.inode) === size;
  let failed = isErrno(copied) ? copied : undefined;
  if (failed === undefined && !isClone && overlay.profile.fsyncCopyUp && overlay.options.fsync === "auto") {
    overlay.counters.fsyncs += 1;
    failed = upper.fs.fsync(to.file, false);
  }
  fs.close(from, O_RDONLY);
  if (!isErrno(copied)) {
    overlay.counters.copiedBytes += copied;
    overlay.counters.copiedPages += Math.ceil(copied / PAGE_SIZE);
    if (copied === 0) overlay.counters.clonedBytes += size;
  }
  return failed;
}

/** Copies extended attributes, but for overlayfs's own (ovl_copy_xattr). */
export function copyXattrs(
  overlay: Overlay,
  upper: UpperLayer,
  source: Pick<Source, "fs" | "inode">,
  inode: Inode,
): Errno | undefined {
  const list = source.fs.listxattr(source.inode);
  if (isErrno(list)) return list === ENOTSUP ? undefined : list;
  for (const name of list) {
    const isTaken = name === overlay.xattrs.opaque && overlay.profile.opaqueCopyUp;
    if (!isTaken && shownName(overlay.xattrs, name) === undefined) continue;
    const list = aclKindOf(name);
    if (list !== undefined) {
      // Other xattrs may stay behind where the upper filesystem has none; a list must not.
      const lost = copyAcl(source, { fs: upper.fs, inode }, list);
      if (lost !== undefined) return lost;
      continue;
    }
    const value = readXattr(source.fs, source.inode, name);
    if (isErrno(value)) return value;
    const failed = orUnsupported(upper.fs.setxattr(inode, name, value, 0));
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** An upper filesystem without xattrs is no error: the mount does without what they keep. */
function orUnsupported(failed: Errno | undefined): Errno | undefined {
  return failed === ENOTSUP ? undefined : failed;
}

function count(overlay: Overlay, source: Source, node: Node): void {
  const { counters, events } = overlay;
  counters.copyUps += 1;
  counters.upperCreates += 1;
  if (!events.listening) return;
  const type = source.attributes.mode & S_IFMT;
  const bytes = source.withData ? source.attributes.size : 0;
  events.emit({ op: "copyUp", filesystem: overlay.label, path: overlay.pathOf(node), kind: KINDS.get(type) ?? "special", bytes });
}

/** Marks an upper directory as one that may hold entries with an origin (ovl_set_impure). */
export function markImpure(overlay: Overlay, directory: Node): Errno | undefined {
  const { nodes, writable: upper, profile } = overlay;
  if (!profile.originXattr || nodes.has(directory, IS_IMPURE)) return undefined;
  const inode = nodes.upperOf(directory);
  const isMarked = !isErrno(upper.fs.getxattr(inode, overlay.xattrs.impure));
  const failed = isMarked ? undefined : orUnsupported(upper.fs.setxattr(inode, overlay.xattrs.impure, YES, 0));
  if (failed === undefined) nodes.set(directory, IS_IMPURE);
  return failed;
}
