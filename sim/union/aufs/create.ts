/**
 * New names: create, mkdir, symlink, mknod, O_TMPFILE and link (fs/aufs/i_op_add.c; spec/union.md section 14).
 *
 * Interface: the directory is brought to the branch first. Over a whiteout of that branch the object is made first, then the whiteout goes; a
 * directory becomes opaque.
 */
import { EROFS, type Errno, EXDEV, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type FileSystem, type Inode, type NewInode, S_IFDIR, S_IFLNK, S_IFMT } from "../../vfs/filesystem.ts";
import { inheritAcl } from "../../vfs/posix-acl.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_OPAQUE, IS_SHARED, IS_UNLINKED, type Node } from "../nodes.ts";
import { bringDirectory, copyInto, copyUpTo } from "./copy-up.ts";
import { noteChange } from "./dir-times.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import { lookup, shareByUpper, whiteoutBranch } from "./lookup.ts";
import { mayChange } from "./permission.ts";
import { addPseudoLink } from "./plink.ts";
import { copyUpBranch, createBranch } from "./policy.ts";
import { refuseHidden, refuseTaken } from "./present.ts";
import type { Aufs, BranchName, Place } from "./state.ts";
import { clearOpaque, removeWhiteout, setOpaque } from "./whiteout.ts";

export function create(aufs: Aufs, directory: Node, name: Name, init: NewInode): Node | Errno {
  const { nodes } = aufs;
  if (aufs.uppers.length === 0) return EROFS;
  // What the name was must be known: whether a branch has a whiteout there.
  lookup(aufs, directory, name);
  const isDirectory = (init.mode & S_IFMT) === S_IFDIR;
  const branch = createBranch(aufs, directory, name, isDirectory);
  if (isErrno(branch)) return branch;
  const failed = mayMake(aufs, { directory, name, branch });
  if (failed !== undefined) return failed;
  const { fs } = aufs.upperAt(branch);
  const into = aufs.mustBeOn(directory, branch);
  const inode = fs.create(into, name, withInherited(aufs, fs, into, init));
  if (isErrno(inode)) return inode;
  aufs.counters.upperCreates += 1;
  const node = nodes.add(inode, 0, isDirectory ? IS_DIRECTORY : 0, branch);
  nodes.setType(node, init.mode);
  if (isDirectory) aufs.addInstance(node, branch, inode);
  const overWhiteout = whiteoutBranch(aufs, directory, name) === branch;
  const unmarked =
    (isDirectory && (overWhiteout || aufs.options.alwaysOpaque) ? setOpaque(aufs, node, branch) : undefined) ??
    (overWhiteout ? removeWhiteout(aufs, directory, name, branch) : undefined);
  if (unmarked !== undefined) {
    if (nodes.has(node, IS_OPAQUE)) clearOpaque(aufs, node, branch);
    aufs.instances.delete(node);
    nodes.free(node);
    if (isDirectory) fs.rmdir(into, name);
    else fs.unlink(into, name);
    return unmarked;
  }
  nodes.enter(directory, name, node);
  noteChange(aufs, directory, branch);
  return node;
}

/** Brings a new name's directory to its branch, and refuses what cannot be made there. */
function mayMake(aufs: Aufs, at: BranchName): Errno | undefined {
  const { directory, branch } = at;
  return (
    bringDirectory(aufs, directory, branch) ??
    refuseHidden(aufs, at, aufs.branchOf(directory)) ??
    mayChange(aufs, directory, branch) ??
    refuseTaken(aufs, at)
  );
}

/** Without the option acl the VFS knows of no default list and takes the umask away; the branch's filesystem gives its own then (posix_acl_create). */
function withInherited({ options }: Aufs, fs: FileSystem, into: Inode, init: NewInode): NewInode {
  if (options.acl || (init.mode & S_IFMT) === S_IFLNK) return init;
  const inherited = fs.acl?.(into, "default");
  return inherited === undefined ? init : { ...init, ...inheritAcl(inherited, init.mode, (init.mode & S_IFMT) === S_IFDIR) };
}

/** An inode without a name, held once for the caller, on the branch where a new name would go. */
export function tmpfile(aufs: Aufs, directory: Node, init: NewInode): Node | Errno {
  const { nodes } = aufs;
  const branch = createBranch(aufs, directory, undefined, false);
  if (isErrno(branch)) return branch;
  const failed = bringDirectory(aufs, directory, branch) ?? mayChange(aufs, directory, branch);
  if (failed !== undefined) return failed;
  const { fs } = aufs.upperAt(branch);
  const into = aufs.mustBeOn(directory, branch);
  const inode = fs.tmpfile(into, withInherited(aufs, fs, into, init));
  if (isErrno(inode)) return inode;
  aufs.counters.upperCreates += 1;
  const node = nodes.add(inode, 0, IS_UNLINKED | HOLDS_UPPER, branch);
  nodes.setType(node, init.mode);
  nodes.hold(node);
  return node;
}

/**
 * Another name for a node. A lower file is copied up under the new name alone; the old one stays where it is until it is changed or read
 * (part D, C4).
 */
export function link(aufs: Aufs, source: Node, directory: Node, name: Name): Errno | undefined {
  const { nodes } = aufs;
  lookup(aufs, directory, name);
  const branch = linkBranch(aufs, source, directory, name);
  if (isErrno(branch)) return branch;
  const failed = mayMake(aufs, { directory, name, branch }) ?? linkOn(aufs, source, { directory, name }, branch);
  if (failed !== undefined) return failed;
  if (whiteoutBranch(aufs, directory, name) === branch) {
    const kept = removeWhiteout(aufs, directory, name, branch);
    if (kept !== undefined) {
      aufs.upperAt(branch).fs.unlink(aufs.mustBeOn(directory, branch), name);
      return kept;
    }
  }
  aufs.countLinks(source, 1);
  if (!nodes.has(source, IS_SHARED)) shareByUpper(aufs, source);
  nodes.clear(source, IS_UNLINKED);
  nodes.enter(directory, name, source);
  noteChange(aufs, directory, branch);
  return undefined;
}

/** Where a new name of a node goes: where the node is, if that can be written and nothing hides it; else where a copy would. */
function linkBranch(aufs: Aufs, source: Node, directory: Node, name: Name): number | Errno {
  const top = aufs.branchOf(source);
  if (canTake(aufs, { directory, name }, top)) return top;
  return copyUpBranch(aufs, directory, Math.min(top, aufs.branchOf(directory)));
}

/** Whether a name can be made on a branch, and would be seen there (au_wbr). */
export function canTake(aufs: Aufs, { directory, name }: Place, branch: number): boolean {
  if (!aufs.isWritable(branch)) return false;
  const opaque = aufs.opaqueBranch(directory);
  const whiteout = whiteoutBranch(aufs, directory, name);
  return !(opaque >= 0 && opaque < branch) && !(whiteout >= 0 && whiteout < branch);
}

function linkOn(aufs: Aufs, source: Node, place: Place, branch: number): Errno | undefined {
  const { nodes } = aufs;
  const from = aufs.branchOf(source);
  if (branch > from) return EXDEV;
  if (branch === from) return linkThere(aufs, source, place, branch);
  if (!aufs.options.plink) {
    const own = { directory: nodes.parentOf(source), name: nodes.nameOf(source) };
    return copyUpTo(aufs, source, branch, { place: own }) ?? linkThere(aufs, source, place, branch);
  }
  const failed = copyInto(aufs, source, branch, { place });
  if (failed === undefined && !nodes.has(source, IS_PSEUDO_LINKED)) addPseudoLink(aufs, source, 1);
  return failed;
}

function linkThere(aufs: Aufs, source: Node, { directory, name }: Place, branch: number): Errno | undefined {
  return aufs.upperAt(branch).fs.link(aufs.nodes.upperOf(source), aufs.mustBeOn(directory, branch), name);
}
