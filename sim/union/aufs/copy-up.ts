/**
 * Copy-up: a lower object gets a copy on the writable branch, its parents first (fs/aufs/cpup.c; spec/union.md section 13 and part D, C1 to C6).
 *
 * Interface: order of one copy: a passing name in its directory, data, xattrs, owner, mode and times, then the name in its place. The directory
 * that receives it gets a new mtime (C1). A failure leaves nothing of the object; parents that were copied before stay.
 */
import { EROFS, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { PAGE_SIZE } from "../../vfs/address-space.ts";
import {
  type Attributes,
  type FileSystem,
  type Inode,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../vfs/filesystem.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_UNLINKED, type Node, ROOT_NODE } from "../nodes.ts";
import { copyBlocks } from "./copy-data.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { isOnUpper } from "./lookup.ts";
import { addPseudoLink, linkUp } from "./plink.ts";
import type { Aufs, Place, WritableBranch } from "./state.ts";

const PERMISSIONS = 0o7777;
const KINDS: ReadonlyMap<number, string> = new Map([
  [S_IFDIR, "directory"],
  [S_IFREG, "file"],
  [S_IFLNK, "symlink"],
]);

export interface CopyUpOptions {
  /** Under which of its names; by default the one that was walked last. */
  readonly place?: Place;
  /** The name by which it is known is gone. */
  readonly nameless?: boolean;
  /** How many bytes of a file's data are kept; by default all. */
  readonly length?: number;
}

/** Makes sure that a node is on the writable branch, under the name. @returns EROFS without one, ENOSPC. */
export function copyUp(aufs: Aufs, node: Node, options: CopyUpOptions = {}): Errno | undefined {
  const { nodes, upper } = aufs;
  const place = options.place ?? { directory: nodes.parentOf(node), name: nodes.nameOf(node) };
  if (nodes.hasUpper(node)) {
    if (!nodes.has(node, IS_PSEUDO_LINKED) || nodes.has(node, IS_UNLINKED) || options.nameless === true) return undefined;
    if (isOnUpper(aufs, node, place.directory, place.name)) return undefined;
    return copyUpDirectory(aufs, place.directory) ?? linkUp(aufs, node, place);
  }
  if (upper === undefined) return EROFS;
  if (nodes.has(node, IS_UNLINKED) || options.nameless === true) return copyNameless(aufs, upper, node, options.length);
  return copyUpDirectory(aufs, place.directory) ?? copyInto(aufs, upper, node, { ...options, place });
}

/** Makes sure that a directory and all above it are on the writable branch. */
export function copyUpDirectory(aufs: Aufs, directory: Node): Errno | undefined {
  const { nodes, upper } = aufs;
  if (upper === undefined) return EROFS;
  while (!nodes.hasUpper(directory)) {
    let at = directory;
    while (!nodes.hasUpper(nodes.parentOf(at))) at = nodes.parentOf(at);
    const failed = copyInto(aufs, upper, at, { place: { directory: nodes.parentOf(at), name: nodes.nameOf(at) } });
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** What is copied: the lower inode and what stat told of it. */
interface Source {
  readonly fs: FileSystem;
  readonly inode: Inode;
  readonly attributes: Attributes;
  readonly length: number;
}

function sourceOf(aufs: Aufs, node: Node, length = Number.POSITIVE_INFINITY): Source | Errno {
  const { view, nodes, attributes } = aufs;
  const lower = nodes.lowerOf(node);
  const fs = view.fsOf(lower);
  const inode = view.inodeOf(lower);
  const failed = fs.getattr(inode, attributes);
  if (failed !== undefined) return failed;
  const isFile = (attributes.mode & S_IFMT) === S_IFREG;
  return { fs, inode, attributes, length: isFile ? Math.min(length, attributes.size) : 0 };
}

/** Copies a node under a name in a directory that is on the writable branch. */
export function copyInto(
  aufs: Aufs,
  upper: WritableBranch,
  node: Node,
  { place, length }: CopyUpOptions & { readonly place: Place },
): Errno | undefined {
  const { nodes } = aufs;
  const source = sourceOf(aufs, node, length);
  if (isErrno(source)) return source;
  const links = source.attributes.nlink;
  const into = nodes.upperOf(place.directory);
  const made = nodes.has(node, IS_DIRECTORY)
    ? makeAt(aufs, upper, source, { directory: into, name: place.name })
    : makeAndRename(aufs, upper, source, { directory: into, name: place.name });
  if (isErrno(made)) return made;
  nodes.setUpper(node, made);
  count(aufs, source, node, place);
  return !nodes.has(node, IS_DIRECTORY) && links > 1 ? addPseudoLink(aufs, node, aufs.linksAtCopyUp(node, links)) : undefined;
}

interface UpperPlace {
  readonly directory: Inode;
  readonly name: Name;
}

/** An object that is made in its place. */
function makeAt(aufs: Aufs, upper: WritableBranch, source: Source, at: UpperPlace): Inode | Errno {
  const { mode, uid, gid, rdev } = source.attributes;
  const target = (mode & S_IFMT) === S_IFLNK ? source.fs.readlink(source.inode) : "";
  if (isErrno(target)) return target;
  const inode = upper.fs.create(at.directory, at.name, { mode, uid, gid, rdev, target });
  if (isErrno(inode)) return inode;
  aufs.counters.upperCreates += 1;
  const failed = fill(aufs, upper, source, inode);
  if (failed === undefined) return inode;
  if ((mode & S_IFMT) === S_IFDIR) upper.fs.rmdir(at.directory, at.name);
  else upper.fs.unlink(at.directory, at.name);
  return failed;
}

/** What is no directory: filled under a passing name, so that nobody sees half of it. */
function makeAndRename(aufs: Aufs, upper: WritableBranch, source: Source, at: UpperPlace): Inode | Errno {
  const passing = aufs.temporaryName();
  const inode = makeAt(aufs, upper, source, { directory: at.directory, name: passing });
  const failed = isErrno(inode) ? undefined : upper.fs.rename(at.directory, passing, at.directory, at.name, 0);
  if (failed !== undefined) upper.fs.unlink(at.directory, passing);
  aufs.freeName(passing);
  return failed ?? inode;
}

/** A file that lost its name while it was open: its copy has none either (au_cpup_wh, au_sio_cpup_wh). */
function copyNameless(aufs: Aufs, upper: WritableBranch, node: Node, length: number | undefined): Errno | undefined {
  const { nodes } = aufs;
  const source = sourceOf(aufs, node, length);
  if (isErrno(source)) return source;
  const links = source.attributes.nlink;
  const passing = aufs.temporaryName();
  const inode = makeAt(aufs, upper, source, { directory: upper.orphans, name: passing });
  if (!isErrno(inode)) {
    upper.fs.hold(inode);
    const isDirectory = nodes.has(node, IS_DIRECTORY);
    if (isDirectory) upper.fs.rmdir(upper.orphans, passing);
    else upper.fs.unlink(upper.orphans, passing);
    nodes.setUpper(node, inode);
    nodes.set(node, HOLDS_UPPER);
    if (!isDirectory) aufs.linkCounts.set(node, links);
    // Names that were not met yet may lead to the node.
    if (!isDirectory && links > 1) addPseudoLink(aufs, node, links);
    count(aufs, source, node, { directory: ROOT_NODE, name: passing });
  }
  aufs.freeName(passing);
  return isErrno(inode) ? inode : undefined;
}

/** Everything of a copy but its name. */
function fill(aufs: Aufs, upper: WritableBranch, source: Source, inode: Inode): Errno | undefined {
  return copyFileData(aufs, upper, source, inode) ?? copyXattrs(upper, source, inode) ?? copyAttributes(upper, source, inode);
}

function copyAttributes(upper: WritableBranch, source: Source, inode: Inode): Errno | undefined {
  const { mode, uid, gid, atime, mtime } = source.attributes;
  // A symbolic link's permission bits cannot be set.
  if ((mode & S_IFMT) === S_IFLNK) return upper.fs.setattr(inode, { uid, gid, atime, mtime });
  return upper.fs.setattr(inode, { mode: mode & PERMISSIONS, uid, gid, atime, mtime });
}

function copyFileData(aufs: Aufs, upper: WritableBranch, source: Source, inode: Inode): Errno | undefined {
  const { length } = source;
  if (length === 0) return undefined;
  const from = source.fs.open(source.inode, O_RDONLY);
  if (isErrno(from)) return from;
  const to = upper.fs.open(inode, O_WRONLY);
  if (isErrno(to)) {
    source.fs.close(from, O_RDONLY);
    return to;
  }
  const copied = copyBlocks({ fs: source.fs, file: from }, { fs: upper.fs, file: to }, length);
  let failed = isErrno(copied) ? copied : undefined;
  if (failed === undefined && upper.fs.size(inode) !== length) failed = upper.fs.setattr(inode, { size: length });
  upper.fs.close(to, O_WRONLY);
  source.fs.close(from, O_RDONLY);
  if (!isErrno(copied)) {
    aufs.counters.copiedBytes += copied;
    aufs.counters.copiedPages += Math.ceil(copied / PAGE_SIZE);
    if (copied === 0) aufs.counters.clonedBytes += length;
  }
  return failed;
}

/** All of them: none is aufs's own. */
function copyXattrs(upper: WritableBranch, source: Source, inode: Inode): Errno | undefined {
  const list = source.fs.listxattr(source.inode);
  // A filesystem without xattrs has none to copy.
  if (isErrno(list)) return undefined;
  for (const name of list) {
    const value = source.fs.getxattr(source.inode, name);
    const failed = isErrno(value) ? value : upper.fs.setxattr(inode, name, value, 0);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function count(aufs: Aufs, source: Source, node: Node, place: Place): void {
  const { counters, events, names } = aufs;
  counters.copyUps += 1;
  if (!events.listening) return;
  const parent = aufs.pathOf(place.directory);
  const path = aufs.nodes.has(node, IS_UNLINKED) ? "" : `${parent === "/" ? "" : parent}/${names.text(place.name)}`;
  const kind = KINDS.get(source.attributes.mode & S_IFMT) ?? "special";
  events.emit({ op: "copyUp", filesystem: aufs.label, path, kind, bytes: source.length });
}
