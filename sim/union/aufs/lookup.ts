/**
 * Finding a name: the upper branches from the top down, then the merged view of the branches below (fs/aufs/dentry.c, au_lkup_dentry;
 * spec/union.md section 12).
 */
import { ENOENT, EPERM, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { ABSENT, type LayerDirectory, WHITEOUT } from "../layer.ts";
import {
  IS_DIRECTORY,
  IS_OPAQUE,
  IS_SHARED,
  IS_UNLINKED,
  NEGATIVE_ENTRY,
  NO_UPPER,
  type Node,
  WHITEOUT_ENTRY,
} from "../nodes.ts";
import type { ViewNode } from "../view-nodes.ts";
import { IS_DISPLACED, IS_PSEUDO_LINKED } from "./flags.ts";
import type { Found } from "./found.ts";
import { isReserved } from "./names.ts";
import { search } from "./search.ts";
import type { Aufs, BranchName } from "./state.ts";
import { giveUp, keep } from "./udba.ts";

/** @returns the node, ENOENT, or EPERM for one of aufs's own names. */
export function lookup(aufs: Aufs, directory: Node, name: Name): Node | Errno {
  const known = aufs.nodes.dentries.lookup(directory, name);
  if (known === 0) return meet(aufs, directory, name);
  if (aufs.options.udba !== undefined && giveUp(aufs, directory, name, known)) return meet(aufs, directory, name);
  if (known >= WHITEOUT_ENTRY) return ENOENT;
  // Which of its names a call copies up is the one that was walked last.
  if (aufs.nodes.has(known, IS_SHARED)) aufs.nodes.seeAs(known, directory, name);
  return known;
}

/**
 * What a path walk finds. The entries of a directory that an exchange within one directory moved, as far as they were known, are not found until
 * somebody asks for its attributes: they are looked for where it was (part D, C7 v).
 */
export function walk(aufs: Aufs, directory: Node, name: Name): Node | Errno {
  if (aufs.displaced > 0 && aufs.nodes.has(directory, IS_DISPLACED)) {
    const known = aufs.nodes.dentries.lookup(directory, name);
    if (known !== 0 && known < WHITEOUT_ENTRY) return ENOENT;
  }
  return lookup(aufs, directory, name);
}

/** The topmost upper branch with a whiteout at a name that is absent (au_dbwh); -1 for none. */
export function whiteoutBranch(aufs: Aufs, directory: Node, name: Name): number {
  const { uppers, nodes, rules } = aufs;
  if (uppers.length === 1) return nodes.dentries.lookup(directory, name) === WHITEOUT_ENTRY ? 0 : -1;
  for (const [branch, { fs, permission }] of uppers.entries()) {
    const inode = aufs.inodeOn(directory, branch);
    if (inode !== undefined && permission.whiteouts && !isErrno(fs.lookup(inode, rules.whiteouts.of(name)))) return branch;
  }
  return -1;
}

/** Notes that a name is absent. @param whited - the operation knows that a whiteout covers it. */
export function leaveAbsent(aufs: Aufs, directory: Node, name: Name, whited: boolean): void {
  if (aufs.options.udba !== undefined) {
    // The kernel unhashes the entry of a name that goes (d_drop, d_move).
    aufs.nodes.forget(directory, name);
    return;
  }
  const covered = whited || (aufs.uppers.length > 1 && whiteoutBranch(aufs, directory, name) >= 0);
  aufs.nodes.leave(directory, name, covered ? WHITEOUT_ENTRY : NEGATIVE_ENTRY);
}

/** The branch on which a name has its node: a pseudo-linked one may have an inode above it. */
export function branchOfName(aufs: Aufs, node: Node, directory: Node, name: Name): number {
  const { nodes, uppers } = aufs;
  const top = aufs.branchOf(node);
  if (top === uppers.length || !nodes.has(node, IS_PSEUDO_LINKED)) return top;
  for (let branch = top; branch < uppers.length; branch++) {
    const inode = aufs.inodeOn(directory, branch);
    if (inode !== undefined && !isErrno(aufs.upperAt(branch).fs.lookup(inode, name))) return branch;
  }
  return uppers.length;
}

/** Whether some branch below one shows something at a node's name, so that taking it away there needs a whiteout (au_wr_dir_need_wh). */
export function showsBelow(aufs: Aufs, node: Node, at: BranchName): boolean | Errno {
  const { nodes } = aufs;
  const lower = nodes.lowerOf(at.directory);
  if (at.branch === aufs.uppers.length - 1) {
    if (lower === 0) return false;
    const found = aufs.view.lookup(lower, at.name);
    const answers = !isErrno(found) && (found === 0 || nodes.has(node, IS_DIRECTORY) || !aufs.view.isDirectory(found));
    if (answers) return found !== 0;
  }
  return lookBelow(aufs, node, at);
}

/**
 * Asks the branches below one after the other. Who looks for a directory stops at whatever comes first, and at a mark that is wrong only if the
 * directory was not known to lie there; who looks for anything else goes on where a directory comes first, and asks none for its mark.
 */
function lookBelow(aufs: Aufs, node: Node, at: BranchName): boolean | Errno {
  const { nodes, rules } = aufs;
  let shows = false;
  for (const { fs, inode, heeds, isKnown } of branchesBelow(aufs, node, at)) {
    const found = rules.find(fs, inode, at.name, heeds);
    if (isErrno(found)) return found;
    if (found === WHITEOUT) break;
    if (found === ABSENT) continue;
    const isFolder = (fs.mode(found as Inode) & S_IFMT) === S_IFDIR;
    if (nodes.has(node, IS_DIRECTORY)) {
      const isOpaque = isFolder && heeds && !isKnown && rules.isOpaque(fs, found as Inode);
      return isErrno(isOpaque) ? isOpaque : true;
    }
    if (!shows && !isFolder) return true;
    shows = true;
  }
  return shows;
}

/** A directory of a name, on a branch below. */
interface DirectoryBelow extends LayerDirectory {
  readonly heeds: boolean;
  /** The node of the name takes its part there. */
  readonly isKnown: boolean;
}

function branchesBelow(aufs: Aufs, node: Node, { directory, branch }: BranchName): DirectoryBelow[] {
  const { branches, nodes, uppers } = aufs;
  const found: DirectoryBelow[] = [];
  for (let below = branch + 1; below < uppers.length; below++) {
    const inode = aufs.inodeOn(directory, below);
    if (inode === undefined) continue;
    const { fs, permission } = aufs.upperAt(below);
    found.push({ fs, inode, heeds: permission.whiteouts, isKnown: aufs.inodeOn(node, below) !== undefined });
  }
  const lower = nodes.lowerOf(directory);
  if (lower === 0) return found;
  const isKnown = nodes.lowerOf(node) !== 0;
  for (const { fs, inode, layer } of aufs.view.stackOf(lower)) {
    found.push({ fs, inode, heeds: branches[uppers.length + layer]?.permission.whiteouts === true, isKnown });
  }
  return found;
}

/** The first lookup of a name. */
function meet(aufs: Aufs, directory: Node, name: Name): Node | Errno {
  const { nodes, found } = aufs;
  if (isReserved(aufs.names.text(name)) && !aufs.options.showWhiteouts) return EPERM;
  aufs.counters.lookups += 1;
  const failed = search(aufs, directory, name, found);
  if (failed !== undefined) return failed;
  if (found.branch < 0 && found.lower === 0) {
    nodes.leave(directory, name, found.isWhited ? WHITEOUT_ENTRY : NEGATIVE_ENTRY);
    return ENOENT;
  }
  const node = nodeOf(aufs, found);
  if (isErrno(node)) return node;
  nodes.enter(directory, name, node);
  if (aufs.options.udba !== undefined) keep(aufs, node);
  return node;
}

/** The node of what a search found: a new one, unless names of one inode in one branch lead to it. */
function nodeOf(aufs: Aufs, found: Found): Node | Errno {
  if (found.branch >= 0) return upperNode(aufs, found);
  return found.isDirectory ? lowerDirectory(aufs, found.lower) : lowerObject(aufs, found.lower);
}

function lowerDirectory({ nodes }: Aufs, lower: ViewNode): Node {
  const node = nodes.add(NO_UPPER, lower, IS_DIRECTORY);
  nodes.setType(node, S_IFDIR);
  return node;
}

/**
 * The node of a lower object that is no directory: names of one inode in one branch are one node (au_new_inode by xino), unless copy-up may
 * part them (noplink).
 */
function lowerObject(aufs: Aufs, lower: ViewNode): Node | Errno {
  const { nodes, view, attributes } = aufs;
  const failed = view.fsOf(lower).getattr(view.inodeOf(lower), attributes);
  if (failed !== undefined) return failed;
  if (attributes.nlink === 1 || !aufs.options.plink) {
    const node = nodes.add(NO_UPPER, lower, 0);
    nodes.setType(node, attributes.mode);
    return node;
  }
  const key = view.stray(view.layerOf(lower), view.inodeOf(lower));
  const known = aufs.byLower.get(key);
  if (known !== undefined) {
    nodes.clear(known, IS_UNLINKED);
    return known;
  }
  const node = nodes.add(NO_UPPER, key, IS_SHARED);
  nodes.setType(node, attributes.mode);
  aufs.byLower.set(key, node);
  return node;
}

function upperNode(aufs: Aufs, found: Found): Node | Errno {
  const { nodes, attributes } = aufs;
  const { branch, inode } = found;
  const upper = aufs.upperAt(branch);
  const failed = upper.fs.getattr(inode, attributes);
  if (failed !== undefined) return failed;
  const { mode, nlink } = attributes;
  let node: Node;
  if (found.isDirectory) {
    node = nodes.add(inode, found.lower, found.isOpaque ? IS_DIRECTORY | IS_OPAQUE : IS_DIRECTORY, branch);
    if (aufs.uppers.length > 1) aufs.instances.set(node, found.instances.slice());
  } else {
    const known = nlink > 1 ? upper.shared.get(inode) : undefined;
    if (known !== undefined) return known;
    node = nodes.add(inode, 0, 0, branch);
    if (nlink > 1) shareByUpper(aufs, node);
  }
  nodes.setType(node, mode);
  return node;
}

/** From now on every name of the node's upper inode leads to the node. */
export function shareByUpper(aufs: Aufs, node: Node): void {
  aufs.upperAt(aufs.branchOf(node)).shared.set(aufs.nodes.upperOf(node), node);
  aufs.nodes.set(node, IS_SHARED);
}
