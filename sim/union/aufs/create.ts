/**
 * New names: create, mkdir, symlink, mknod, O_TMPFILE and link (fs/aufs/i_op_add.c; spec/union.md section 14).
 *
 * Interface: the directory is copied up first. Over a whiteout the object is made first, then the whiteout goes; a directory becomes opaque.
 */
import { EROFS, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type NewInode, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_SHARED, IS_UNLINKED, type Node } from "../nodes.ts";
import { copyInto, copyUp, copyUpDirectory } from "./copy-up.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { isWhitedOut, lookup, shareByUpper } from "./lookup.ts";
import { addPseudoLink } from "./plink.ts";
import type { Aufs } from "./state.ts";
import { removeWhiteout, setOpaque } from "./whiteout.ts";

export function create(aufs: Aufs, directory: Node, name: Name, init: NewInode): Node | Errno {
  const { upper, nodes } = aufs;
  if (upper === undefined) return EROFS;
  // What the name was must be known: whether the writable branch has a whiteout there.
  lookup(aufs, directory, name);
  const failed = copyUpDirectory(aufs, directory);
  if (failed !== undefined) return failed;
  const into = nodes.upperOf(directory);
  const inode = upper.fs.create(into, name, init);
  if (isErrno(inode)) return inode;
  aufs.counters.upperCreates += 1;
  const isDirectory = (init.mode & S_IFMT) === S_IFDIR;
  const node = nodes.add(inode, 0, isDirectory ? IS_DIRECTORY : 0);
  nodes.setType(node, init.mode);
  const overWhiteout = isWhitedOut(aufs, directory, name);
  const unmarked =
    (isDirectory && (overWhiteout || aufs.options.alwaysOpaque) ? setOpaque(aufs, node) : undefined) ??
    (overWhiteout ? removeWhiteout(aufs, directory, name) : undefined);
  if (unmarked !== undefined) {
    nodes.free(node);
    if (isDirectory) upper.fs.rmdir(into, name);
    else upper.fs.unlink(into, name);
    return unmarked;
  }
  nodes.enter(directory, name, node);
  return node;
}

/** An inode without a name, held once for the caller. */
export function tmpfile(aufs: Aufs, directory: Node, init: NewInode): Node | Errno {
  const { upper, nodes } = aufs;
  const failed = copyUpDirectory(aufs, directory);
  if (failed !== undefined || upper === undefined) return failed ?? EROFS;
  const inode = upper.fs.tmpfile(nodes.upperOf(directory), init);
  if (isErrno(inode)) return inode;
  aufs.counters.upperCreates += 1;
  const node = nodes.add(inode, 0, IS_UNLINKED | HOLDS_UPPER);
  nodes.setType(node, init.mode);
  aufs.hold(node);
  return node;
}

/**
 * Another name for a node. A lower file is copied up under the new name alone; the old one stays where it is until it is changed or read
 * (part D, C4).
 */
export function link(aufs: Aufs, source: Node, directory: Node, name: Name): Errno | undefined {
  const { upper, nodes } = aufs;
  lookup(aufs, directory, name);
  const failed = copyUpDirectory(aufs, directory);
  if (failed !== undefined || upper === undefined) return failed ?? EROFS;
  const linked = nodes.hasUpper(source)
    ? upper.fs.link(nodes.upperOf(source), nodes.upperOf(directory), name)
    : linkLower(aufs, source, directory, name);
  if (linked !== undefined) return linked;
  if (isWhitedOut(aufs, directory, name)) {
    const kept = removeWhiteout(aufs, directory, name);
    if (kept !== undefined) return kept;
  }
  aufs.countLinks(source, 1);
  if (!nodes.has(source, IS_SHARED)) shareByUpper(aufs, source);
  nodes.clear(source, IS_UNLINKED);
  nodes.enter(directory, name, source);
  return undefined;
}

function linkLower(aufs: Aufs, source: Node, directory: Node, name: Name): Errno | undefined {
  const { upper, nodes } = aufs;
  if (upper === undefined) return EROFS;
  if (upper.pseudoLinks === undefined) {
    return copyUp(aufs, source) ?? upper.fs.link(nodes.upperOf(source), nodes.upperOf(directory), name);
  }
  const failed = copyInto(aufs, upper, source, { place: { directory, name } });
  if (failed !== undefined || nodes.has(source, IS_PSEUDO_LINKED)) return failed;
  return addPseudoLink(aufs, source, 1);
}
