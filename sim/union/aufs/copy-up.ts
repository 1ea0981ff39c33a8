/**
 * Copy-up: an object of a read-only branch gets a copy on a writable one above, its parents first (fs/aufs/cpup.c; spec/union.md section 13 and
 * part D, C1 to C6). Which branch that is, policy.ts says.
 *
 * Interface: order of one copy: a passing name in its directory, data, owner, mode and times, xattrs, then the name in its place. The directory
 * that receives it gets a new mtime (C1). A failure leaves nothing of the object but the copy of one that is immutable or append-only, under the
 * passing name; parents that were copied before stay.
 */
import { EDQUOT, EIO, ENOTSUP, type Errno, isErrno } from "../../core/errno.ts";
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
import { APPEND_ONLY, IMMUTABLE } from "../../vfs/inode-flags.ts";
import { aclKindOf } from "../../vfs/posix-acl.ts";
import { copyAcl } from "../copy-acl.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_SHARED, IS_UNLINKED, NO_NODE, type Node, ROOT_NODE } from "../nodes.ts";
import { XATTR_CLASSES, type XattrClass } from "./branch-words.ts";
import { copyBlocks } from "./copy-data.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { branchOfName } from "./lookup.ts";
import { addPseudoLink, linkUp } from "./plink.ts";
import { copyUpBranch, nearestWritable } from "./policy.ts";
import { isTaken } from "./present.ts";
import type { Aufs, MountedBranch, Place } from "./state.ts";
import { removeWhiteout, setOpaque } from "./whiteout.ts";

const PERMISSIONS = 0o7777;
const NO_BYTES = new Uint8Array(0);
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

/** Makes sure that a node is on a writable branch, under the name. @returns EROFS without one at or above its own, ENOSPC. */
export function copyUp(aufs: Aufs, node: Node, options: CopyUpOptions = {}): Errno | undefined {
  const { nodes } = aufs;
  const place = options.place ?? { directory: nodes.parentOf(node), name: nodes.nameOf(node) };
  const nameless = nodes.has(node, IS_UNLINKED) || options.nameless === true || place.directory === NO_NODE;
  const top = aufs.branchOf(node);
  if (aufs.isWritable(top)) {
    if (nameless || !nodes.has(node, IS_PSEUDO_LINKED) || branchOfName(aufs, node, place.directory, place.name) === top)
      return undefined;
    return bringDirectory(aufs, place.directory, top) ?? linkUp(aufs, node, place);
  }
  const branch = nameless ? nearestWritable(aufs, top) : copyUpBranch(aufs, place.directory, top);
  if (isErrno(branch)) return branch;
  return copyUpTo(aufs, node, branch, { ...options, nameless, place });
}

/** The same on a branch above the node's own that is known already. */
export function copyUpTo(
  aufs: Aufs,
  node: Node,
  branch: number,
  options: CopyUpOptions & { readonly place: Place },
): Errno | undefined {
  if (options.nameless === true) return copyNameless(aufs, node, branch, options.length);
  return bringDirectory(aufs, options.place.directory, branch) ?? copyInto(aufs, node, branch, options);
}

/** Makes sure that a directory and all above it are on a writable branch. */
export function bringDirectory(aufs: Aufs, directory: Node, branch: number): Errno | undefined {
  const { nodes } = aufs;
  while (aufs.inodeOn(directory, branch) === undefined) {
    let at = directory;
    while (aufs.inodeOn(nodes.parentOf(at), branch) === undefined) at = nodes.parentOf(at);
    const place = { directory: nodes.parentOf(at), name: nodes.nameOf(at) };
    const failed = branch < aufs.branchOf(at) ? copyInto(aufs, at, branch, { place }) : copyDown(aufs, at, branch, place);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/**
 * Makes a directory on a branch below the one that shows it, for a new name that goes there: with its mode and owner, and opaque in the place of
 * a whiteout (au_cpdown_dir).
 */
function copyDown(aufs: Aufs, node: Node, branch: number, { directory, name }: Place): Errno | undefined {
  const { counters, rules } = aufs;
  const { fs } = aufs.upperAt(branch);
  const into = aufs.mustBeOn(directory, branch);
  const shown = aufs.fsOf(node);
  const [mode, uid, gid] = [shown.mode(aufs.inodeOf(node)), shown.uid(aufs.inodeOf(node)), shown.gid(aufs.inodeOf(node))];
  // Something else is there, which takes no part in the directory (au_lkup_neg: "should be negative").
  if (!isErrno(fs.lookup(into, name))) return EIO;
  const inode = fs.create(into, name, { mode, uid, gid, rdev: 0, target: "" });
  if (isErrno(inode)) return inode;
  counters.upperCreates += 1;
  if (isLocked(shown, aufs.inodeOf(node))) return EIO;
  const owned = fs.setattr(inode, { mode: mode & PERMISSIONS, uid, gid });
  if (owned !== undefined) {
    fs.rmdir(into, name);
    return owned;
  }
  aufs.addInstance(node, branch, inode);
  if (isErrno(fs.lookup(into, rules.whiteouts.of(name)))) return undefined;
  return setOpaque(aufs, node, branch) ?? removeWhiteout(aufs, directory, name, branch);
}

/** What is copied: the inode that shows and what stat told of it. */
interface Source {
  readonly fs: FileSystem;
  readonly inode: Inode;
  readonly attributes: Attributes;
  readonly length: number;
}

function sourceOf(aufs: Aufs, node: Node, length = Number.POSITIVE_INFINITY): Source | Errno {
  const { attributes } = aufs;
  const fs = aufs.fsOf(node);
  const inode = aufs.inodeOf(node);
  const failed = fs.getattr(inode, attributes);
  if (failed !== undefined) return failed;
  const isFile = (attributes.mode & S_IFMT) === S_IFREG;
  return { fs, inode, attributes, length: isFile ? Math.min(length, attributes.size) : 0 };
}

/** Copies a node under a name in a directory that is on the branch. */
export function copyInto(
  aufs: Aufs,
  node: Node,
  branch: number,
  { place, length }: CopyUpOptions & { readonly place: Place },
): Errno | undefined {
  const { nodes } = aufs;
  const source = sourceOf(aufs, node, length);
  if (isErrno(source)) return source;
  const links = source.attributes.nlink;
  const upper = aufs.upperAt(branch);
  const at = { directory: aufs.mustBeOn(place.directory, branch), name: place.name };
  // Somebody made it there beside the mount (au_lkup_neg: "should be negative").
  if (isTaken(aufs, { ...place, branch })) return EIO;
  const isDirectory = nodes.has(node, IS_DIRECTORY);
  const made = makeAndRename(aufs, upper, source, at);
  if (isErrno(made)) return made;
  if (isDirectory) aufs.addInstance(node, branch, made);
  else move(aufs, node, made, branch);
  count(aufs, source, node, place);
  if (!isDirectory && links > 1) addPseudoLink(aufs, node, aufs.linkCounts.get(node) ?? aufs.linksAtCopyUp(node, links));
  return undefined;
}

/** A node that is no directory is shown by its copy from now on; other names still lead to where it was. */
function move(aufs: Aufs, node: Node, inode: Inode, branch: number): void {
  const { nodes, formerPlaces } = aufs;
  if (nodes.hasUpper(node) && nodes.has(node, IS_SHARED)) {
    const places = formerPlaces.get(node) ?? [];
    places.push({ shared: aufs.upperAt(aufs.branchOf(node)).shared, inode: nodes.upperOf(node) });
    formerPlaces.set(node, places);
  }
  nodes.setUpper(node, inode, branch);
}

interface UpperPlace {
  readonly directory: Inode;
  readonly name: Name;
}

/** A copy under a name. @returns EIO where the source is immutable or append-only: its copy stays then. */
function makeAt(aufs: Aufs, upper: MountedBranch, source: Source, at: UpperPlace): Inode | Errno {
  const { mode, uid, gid, rdev } = source.attributes;
  const target = (mode & S_IFMT) === S_IFLNK ? source.fs.readlink(source.inode) : "";
  if (isErrno(target)) return target;
  const inode = upper.fs.create(at.directory, at.name, { mode, uid, gid, rdev, target });
  if (isErrno(inode)) return inode;
  aufs.counters.upperCreates += 1;
  const uncopied = copyFileData(aufs, upper, source, inode);
  if (uncopied === undefined && isLocked(source.fs, source.inode)) return EIO;
  const failed = uncopied ?? copyAttributes(upper, source, inode) ?? copyXattrs(upper, source, inode);
  if (failed === undefined) return inode;
  takeAway(upper, source, at);
  return failed;
}

/**
 * Whether an inode may not be changed. A copy has its source's flags before it has its owner: neither can be given to it then, nor can it be
 * taken away again (cpup_iattr and au_cpup_attr_flags, aufs 6.1; vfsub.c, call_notify_change).
 */
function isLocked(fs: FileSystem, inode: Inode): boolean {
  const flags = fs.fileFlags?.(inode) ?? 0;
  return !isErrno(flags) && (flags & (IMMUTABLE | APPEND_ONLY)) !== 0;
}

function takeAway(upper: MountedBranch, { attributes }: Source, { directory, name }: UpperPlace): Errno | undefined {
  return (attributes.mode & S_IFMT) === S_IFDIR ? upper.fs.rmdir(directory, name) : upper.fs.unlink(directory, name);
}

/** The same, filled under a passing name, so that nobody sees half of it. */
function makeAndRename(aufs: Aufs, upper: MountedBranch, source: Source, at: UpperPlace): Inode | Errno {
  const passing = aufs.temporaryName();
  const inode = makeAt(aufs, upper, source, { directory: at.directory, name: passing });
  // What cannot be taken away again keeps its name, which is not used again then.
  if (isErrno(inode)) return inode;
  const failed = upper.fs.rename(at.directory, passing, at.directory, at.name, 0);
  const kept = failed === undefined ? undefined : takeAway(upper, source, { directory: at.directory, name: passing });
  if (kept === undefined) aufs.freeName(passing);
  return failed ?? inode;
}

/** A file that lost its name while it was open: its copy has none either (au_cpup_wh, au_sio_cpup_wh). */
function copyNameless(aufs: Aufs, node: Node, branch: number, length: number | undefined): Errno | undefined {
  const { nodes } = aufs;
  const source = sourceOf(aufs, node, length);
  if (isErrno(source)) return source;
  const several = source.attributes.nlink > 1;
  const links = aufs.linkCounts.get(node) ?? aufs.linksAtCopyUp(node, source.attributes.nlink);
  const upper = aufs.upperAt(branch);
  const { orphans } = aufs.ownOn(branch);
  const passing = aufs.temporaryName();
  const inode = makeAt(aufs, upper, source, { directory: orphans, name: passing });
  if (isErrno(inode)) return inode;
  upper.fs.hold(inode);
  const isDirectory = nodes.has(node, IS_DIRECTORY);
  const kept = isDirectory ? upper.fs.rmdir(orphans, passing) : upper.fs.unlink(orphans, passing);
  if (nodes.has(node, HOLDS_UPPER)) aufs.fsOf(node).drop(nodes.upperOf(node));
  if (isDirectory) aufs.addInstance(node, branch, inode);
  else move(aufs, node, inode, branch);
  nodes.set(node, HOLDS_UPPER);
  if (!isDirectory) aufs.linkCounts.set(node, links);
  // Names that were not met yet may lead to the node.
  if (!isDirectory && several) addPseudoLink(aufs, node, links);
  count(aufs, source, node, { directory: ROOT_NODE, name: passing });
  if (kept === undefined) aufs.freeName(passing);
  return undefined;
}

function copyAttributes(upper: MountedBranch, source: Source, inode: Inode): Errno | undefined {
  const { mode, uid, gid, atime, mtime } = source.attributes;
  // A symbolic link's permission bits cannot be set.
  if ((mode & S_IFMT) === S_IFLNK) return upper.fs.setattr(inode, { uid, gid, atime, mtime });
  return upper.fs.setattr(inode, { mode: mode & PERMISSIONS, uid, gid, atime, mtime });
}

function copyFileData(aufs: Aufs, upper: MountedBranch, source: Source, inode: Inode): Errno | undefined {
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

/**
 * All of them but those with nothing in them: none is aufs's own. One that fails ends the copying, unless the branch forgives that it cannot be
 * set (au_cpup_xattr, au_do_cpup_xattr, au_xattr_ignore).
 */
function copyXattrs(upper: MountedBranch, source: Source, inode: Inode): Errno | undefined {
  const list = source.fs.listxattr(source.inode);
  // A filesystem without xattrs has none to copy.
  if (isErrno(list)) return list === ENOTSUP ? undefined : list;
  for (const name of list) {
    const failed = copyXattr(upper, source, inode, name);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function copyXattr(upper: MountedBranch, source: Source, inode: Inode, name: string): Errno | undefined {
  const kind = aclKindOf(name);
  const value = kind === undefined ? source.fs.getxattr(source.inode, name) : NO_BYTES;
  if (isErrno(value)) return value;
  const set = value.length === 0 ? undefined : upper.fs.setxattr(inode, name, value, 0);
  const failed = kind === undefined ? set : copyAcl(source, { fs: upper.fs, inode }, kind);
  // A full quota is never forgiven.
  return failed !== EDQUOT && upper.permission.ignoredXattrs.has(xattrClass(name)) ? undefined : failed;
}

function xattrClass(name: string): XattrClass {
  return XATTR_CLASSES.find((one) => name.startsWith(`${one}.`)) ?? "other";
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
