/**
 * rename(2) and renameat2(2) (fs/aufs/i_op_ren.c; spec/union.md section 15 and part D, C7, C8 and C10).
 *
 * Interface: the VFS has refused what it can. A rename happens on one branch: the source's, or that of a target above it, or where copies go.
 * The target's directories are brought there before anything is checked here, and stay when the rename is refused (C8).
 */
import { EBUSY, EINVAL, EISDIR, ENOTDIR, ENOTEMPTY, EROFS, type Errno, EXDEV, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE, S_IFDIR, typeOf } from "../../vfs/filesystem.ts";
import { IS_DIRECTORY, IS_OPAQUE, IS_SHARED, NEGATIVE_ENTRY, type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import { bringDirectory, copyUpTo } from "./copy-up.ts";
import { canTake } from "./create.ts";
import { noteChange } from "./dir-times.ts";
import { noteRename } from "./dirren.ts";
import { testEmpty, testLowerEmpty } from "./emptiness.ts";
import { IS_PSEUDO_LINKED, IS_UNLISTABLE } from "./flags.ts";
import { branchOfName, leaveAbsent, lookup, showsBelow, whiteoutBranch } from "./lookup.ts";
import { loseEntries, markStale } from "./lose.ts";
import { mayChange, mayLookBelow } from "./permission.ts";
import { linkUp } from "./plink.ts";
import { copyUpBranch } from "./policy.ts";
import { present, refuseGone, refuseHidden } from "./present.ts";
import { refreshEntries, refreshEntry } from "./refresh.ts";
import type { Aufs, BranchName, Place } from "./state.ts";
import { clearOpaque, placeWhiteout, putBack, removeAside, removeWhiteout, setAside, setOpaque } from "./whiteout.ts";

/** One end of a rename. */
interface End extends Place {
  /** What is there; 0 for nothing. */
  readonly node: Node;
  /** The branch that has it, and of nothing the topmost of its directory. */
  readonly top: number;
}

/** The four arguments of renameat2(2) that say where. */
export interface RenamePlaces {
  readonly directory: Node;
  readonly name: Name;
  readonly toDirectory: Node;
  readonly toName: Name;
}

/** What is moved where, and on which branch. */
interface Move {
  readonly source: End;
  readonly target: End;
  readonly branch: number;
}

export function rename(aufs: Aufs, places: RenamePlaces, flags: number): Errno | undefined {
  if (aufs.uppers.length === 0) return EROFS;
  if ((flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE)) !== 0) return EINVAL;
  const found = lookup(aufs, places.directory, places.name);
  if (isErrno(found)) return found;
  const there = lookup(aufs, places.toDirectory, places.toName);
  const source = endOf(aufs, places.directory, places.name, found);
  const target = endOf(aufs, places.toDirectory, places.toName, isErrno(there) ? 0 : there);
  if (source.node === target.node) return undefined;
  const branch = renameBranch(aufs, source, target);
  if (isErrno(branch)) return branch;
  const exchanges = (flags & RENAME_EXCHANGE) !== 0;
  const moved = { source, target, branch };
  const refused =
    bringDirectory(aufs, target.directory, branch) ??
    refuseHidden(aufs, { directory: target.directory, name: target.name, branch }, target.top) ??
    mayRename(aufs, moved, exchanges);
  if (refused !== undefined) return refused;
  return exchanges ? exchange(aufs, moved) : move(aufs, moved);
}

function endOf(aufs: Aufs, directory: Node, name: Name, node: Node): End {
  return { directory, name, node, top: node === 0 ? aufs.branchOf(directory) : branchOfName(aufs, node, directory, name) };
}

/**
 * On which branch it happens (au_ren_wbr). Never below the source: the kernel's choice can be, and what it does then is not defined.
 */
function renameBranch(aufs: Aufs, source: End, target: End): number | Errno {
  const wanted = target.node !== 0 ? Math.min(source.top, target.top) : source.top;
  if (canTake(aufs, target, wanted)) return wanted;
  const top = Math.min(target.top, source.top);
  return aufs.isWritable(top) ? top : copyUpBranch(aufs, target.directory, top);
}

/**
 * The rules for directories (au_ren_may_dir, aufs 6.1). In an exchange the source is tested for the target too (may_rename_srcdir): so a directory
 * as the target may hold what it likes, and a file as its source is listed, which it cannot be, unless the branch alone has it (C7).
 */
function mayRename(aufs: Aufs, { source, target, branch }: Move, exchanges: boolean): Errno | undefined {
  const { nodes } = aufs;
  const isDirectory = nodes.has(source.node, IS_DIRECTORY);
  if (target.node !== 0 && nodes.has(target.node, IS_DIRECTORY)) {
    if (!isDirectory && (source.top !== branch || hasLowerPart(aufs, source, branch))) return ENOTDIR;
    const filled = exchanges ? undefined : testEmpty(aufs, target.node);
    if (filled !== undefined) return filled;
  }
  // What lies below is found by its old name.
  if (!isDirectory || aufs.options.dirren) return undefined;
  // a: of other branches alone, it must show nothing; b: of this branch alone, anything goes; c: of both, whiteouts must cover whatever the
  // branches below have.
  const failed = source.top === branch ? testLowerEmpty(aufs, source.node) : testEmpty(aufs, source.node);
  return failed === ENOTEMPTY ? EXDEV : failed;
}

/** Brings an end to the branch, under its own name. */
function bring(aufs: Aufs, end: End, branch: number): Errno | undefined {
  if (end.top === branch) return undefined;
  // A pseudo-linked node may be there already, by another name.
  if (aufs.branchOf(end.node) === branch && aufs.nodes.has(end.node, IS_PSEUDO_LINKED)) {
    return bringDirectory(aufs, end.directory, branch) ?? linkUp(aufs, end.node, end);
  }
  return copyUpTo(aufs, end.node, branch, { place: end });
}

function move(aufs: Aufs, { source, target, branch }: Move): Errno | undefined {
  const { nodes } = aufs;
  const taken = source.top === branch;
  const failed =
    (taken ? mayLookBelow(aufs, source.directory, branch) : undefined) ??
    bringDirectory(aufs, source.directory, branch) ??
    bring(aufs, source, branch) ??
    mayChange(aufs, source.directory, branch) ??
    mayChange(aufs, target.directory, branch) ??
    refuseChanged(aufs, { source, target, branch });
  if (failed !== undefined) return failed;
  const isDirectory = nodes.has(source.node, IS_DIRECTORY);
  const covered = !taken || showsBelow(aufs, source.node, { ...source, branch });
  if (isErrno(covered)) return covered;
  const overWhiteout = target.node === 0 && whiteoutBranch(aufs, target.directory, target.name) === branch;
  const opaque = isDirectory && !aufs.options.dirren && hidesBelow(aufs, target, branch);
  const unhidden =
    (isDirectory && aufs.options.dirren ? noteRename(aufs, source.node, source, target.name) : undefined) ??
    (covered ? placeWhiteout(aufs, source.directory, source.name, branch) : undefined);
  if (unhidden !== undefined) return unhidden;
  const moved = moveUpper(aufs, { source, target, branch }, { opaque, overWhiteout });
  if (moved !== undefined) {
    if (covered) removeWhiteout(aufs, source.directory, source.name, branch);
    return moved;
  }
  leaveAbsent(aufs, source.directory, source.name, covered);
  if (target.node !== 0) {
    if (leavesStale(aufs, target, branch)) markStale(aufs, target);
    aufs.openedAs.forget(target);
    if (nodes.has(target.node, IS_DIRECTORY)) loseEntries(aufs, target.node);
    nodes.leave(target.directory, target.name, NEGATIVE_ENTRY);
  }
  arrive(aufs, source, { to: target, branch, isMarked: opaque });
  if (target.node !== 0) {
    aufs.countLinks(target.node, -1);
    nodes.afterLoss(target.node);
  }
  noteChange(aufs, target.directory, branch);
  noteChange(aufs, source.directory, branch);
  return undefined;
}

/** Refuses what the branch would not do, where it was changed beside the mount: what is gone cannot move, nor replace what somebody made of another kind. */
function refuseChanged(aufs: Aufs, { source, target, branch }: Move): Errno | undefined {
  if (aufs.options.udba === undefined) return undefined;
  const { nodes } = aufs;
  const at = { directory: target.directory, name: target.name, branch };
  const isDirectory = nodes.has(source.node, IS_DIRECTORY);
  const gone = refuseGone(aufs, source.node, { directory: source.directory, name: source.name, branch });
  if (gone !== undefined) return gone;
  if (target.node !== 0) return isDirectory && target.top === branch ? refuseGone(aufs, target.node, at) : undefined;
  const there = present(aufs, at);
  if (isErrno(there)) return undefined;
  const isOnDirectory = typeOf(aufs.upperAt(branch).fs, there) === S_IFDIR;
  return isDirectory === isOnDirectory ? undefined : isDirectory ? ENOTDIR : EISDIR;
}

/** What a rename changes about marks and whiteouts at its target. */
interface Marks {
  readonly opaque: boolean;
  readonly overWhiteout: boolean;
}

/** The rename on the branch. A target that is a directory shows nothing, but may hold whiteouts. A step that fails undoes those before it. */
function moveUpper(aufs: Aufs, { source, target, branch }: Move, marks: Marks): Errno | undefined {
  const { nodes } = aufs;
  const { fs } = aufs.upperAt(branch);
  const at = { directory: target.directory, name: target.name, branch };
  const replaces = target.node !== 0 && target.top === branch;
  if (replaces) nodes.beforeLoss(target.node);
  const passing = replaces && nodes.has(target.node, IS_DIRECTORY) ? setAside(aufs, at) : undefined;
  if (isErrno(passing)) return passing;
  const [from, to] = [aufs.mustBeOn(source.directory, branch), aufs.mustBeOn(target.directory, branch)];
  const moved = fs.rename(from, source.name, to, target.name, 0);
  const failed = moved ?? markMoved(aufs, source.node, at, marks);
  if (failed === undefined) {
    if (passing !== undefined) removeAside(aufs, target.node, at, passing);
    return undefined;
  }
  if (moved === undefined) fs.rename(to, target.name, from, source.name, 0);
  if (passing !== undefined) putBack(aufs, at, passing);
  return failed;
}

/** Marks a directory that has moved, and takes the whiteout of its new name away. */
function markMoved(aufs: Aufs, node: Node, { directory, name, branch }: BranchName, marks: Marks): Errno | undefined {
  const marksOpaque = marks.opaque && aufs.opaqueBranch(node) !== branch;
  const unmarked = marksOpaque ? setOpaque(aufs, node, branch) : undefined;
  if (unmarked !== undefined || !marks.overWhiteout) return unmarked;
  const kept = removeWhiteout(aufs, directory, name, branch);
  if (kept !== undefined && marksOpaque) clearOpaque(aufs, node, branch);
  return kept;
}

/**
 * Whether a directory that comes to a place must be opaque (au_ren_diropq): where a whiteout of the branch goes, or a directory that was opaque
 * there or merged with others below.
 */
function hidesBelow(aufs: Aufs, { directory, name, node }: End, branch: number): boolean {
  if (aufs.options.alwaysOpaque) return true;
  if (node === 0) return whiteoutBranch(aufs, directory, name) === branch;
  return branch <= aufs.opaqueBranch(node) || branch < aufs.tailOf(node);
}

/** Where a node comes to. */
interface Arrival {
  readonly to: Place;
  readonly branch: number;
  /** A directory is opaque there. */
  readonly isMarked: boolean;
}

/** A node is found at its new place from now on. A directory leaves what lay below it behind, unless that is found by its old name. */
function arrive(aufs: Aufs, from: End, { to, branch, isMarked }: Arrival): void {
  const { nodes } = aufs;
  nodes.enter(to.directory, to.name, from.node);
  aufs.openedAs.move(from, to);
  if (!nodes.has(from.node, IS_DIRECTORY)) {
    // Names that are not met yet may still lead from below to a node with several.
    if (!nodes.has(from.node, IS_SHARED) && nodes.lowerOf(from.node) !== 0) nodes.forgetLower(from.node);
    return;
  }
  if (aufs.options.dirren) refreshEntries(aufs, from.node);
  else leaveLower(aufs, from.node, branch, isMarked);
}

/**
 * A directory is one of a branch alone from now on: what was found of its entries on those below is gone. A directory in it that is on the
 * branch too still shows what it was found to be merged with.
 */
function leaveLower(aufs: Aufs, directory: Node, branch: number, isMarked: boolean): void {
  const { nodes } = aufs;
  if (aufs.tailOf(directory) === branch) return;
  // A mark that it had there is gone with the rest.
  if (!isMarked) nodes.clear(directory, IS_OPAQUE);
  aufs.cutBelow(directory, branch);
  for (const { name, child } of nodes.dentries.entries(directory)) {
    if (child >= WHITEOUT_ENTRY) {
      // The whiteout may be one of the branches that are left behind.
      if (aufs.uppers.length > 1) nodes.forget(directory, name);
      continue;
    }
    if (branchOfName(aufs, child, directory, name) <= branch) continue;
    // What is in a lower directory goes with it.
    if (nodes.has(child, IS_DIRECTORY)) loseEntries(aufs, child);
    aufs.openedAs.forget({ node: child, directory, name });
    nodes.leave(directory, name, NEGATIVE_ENTRY);
    nodes.afterLoss(child);
  }
}

/**
 * Whether open files of what was renamed over have no good name any more (h_d_revalidate, aufs 6.1; C10): its dentry is dropped, while its entry of
 * a lower branch is there, or, of a directory, got a passing name.
 */
function leavesStale(aufs: Aufs, { node, top }: End, branch: number): boolean {
  if (top !== branch) return true;
  return aufs.nodes.has(node, IS_DIRECTORY) && (!aufs.options.dirren || aufs.tailOf(node) !== branch);
}

/** What has its dentry dropped though its entry stays, is no file's name from now on; a directory gets it back when it is looked up (d_splice_alias). */
function markDropped(aufs: Aufs, end: End): void {
  if (!aufs.nodes.has(end.node, IS_DIRECTORY)) markStale(aufs, end);
}

/**
 * Both sides stay, each under the other's name (C7): the target comes up without its lower entries, which are lost if it is a directory.
 * @returns EBUSY where the source's directory is not on the branch, for nothing brings it there.
 */
function exchange(aufs: Aufs, { source, target, branch }: Move): Errno | undefined {
  const { nodes } = aufs;
  const from = aufs.inodeOn(source.directory, branch);
  if (from === undefined) return EBUSY;
  const { alwaysOpaque, dirren } = aufs.options;
  const uncovers = aufs.opaqueBranch(source.node) === branch;
  const hidesFor = {
    source: !dirren && (alwaysOpaque || branch <= aufs.opaqueBranch(target.node) || hasLowerPart(aufs, target, branch)),
    target: alwaysOpaque || branch < aufs.opaqueBranch(source.node) || hasLowerPart(aufs, source, branch),
  };
  const to = aufs.mustBeOn(target.directory, branch);
  const failed =
    bring(aufs, source, branch) ??
    bring(aufs, target, branch) ??
    mayChange(aufs, source.directory, branch) ??
    mayChange(aufs, target.directory, branch) ??
    refuseGone(aufs, source.node, { ...source, branch }) ??
    refuseGone(aufs, target.node, { ...target, branch }) ??
    aufs.upperAt(branch).fs.rename(from, source.name, to, target.name, RENAME_EXCHANGE);
  if (failed !== undefined) return failed;
  countAnew(aufs, target.node);
  const unmarkedSource = hidesFor.source ? markExchanged(aufs, source.node, branch) : undefined;
  const unmarkedTarget = hidesFor.target ? markExchanged(aufs, target.node, branch) : undefined;
  if (nodes.has(target.node, IS_DIRECTORY) && !nodes.has(source.node, IS_DIRECTORY)) nodes.set(target.node, IS_UNLISTABLE);
  for (const end of [source, target]) {
    markDropped(aufs, end);
    nodes.leave(end.directory, end.name, NEGATIVE_ENTRY);
  }
  arrive(aufs, target, { to: source, branch, isMarked: hidesFor.target });
  arrive(aufs, source, { to: target, branch, isMarked: hidesFor.source });
  // What an opaque source hid shows in the target, unless that is still known by its entries.
  if (uncovers && nodes.dentries.entries(target.node).length === 0)
    refreshEntry(aufs, source.directory, source.name, target.node);
  if (source.directory === target.directory) {
    for (const node of [source.node, target.node]) if (nodes.has(node, IS_DIRECTORY)) aufs.displace(node);
  }
  noteChange(aufs, target.directory, branch);
  noteChange(aufs, source.directory, branch);
  return unmarkedSource ?? unmarkedTarget;
}

/** What an exchange puts in the source's place has as many links as its branch counts, pseudo-linked or not (au_ren_refresh). */
function countAnew(aufs: Aufs, node: Node): void {
  const { linkCounts, otherAttributes } = aufs;
  if (!linkCounts.has(node)) return;
  if (aufs.fsOf(node).getattr(aufs.inodeOf(node), otherAttributes) === undefined) linkCounts.set(node, otherAttributes.nlink);
}

/** Whether what is at one end came from below under this name, so that what takes its place must hide that. */
function hasLowerPart(aufs: Aufs, { directory, name, node, top }: End, branch: number): boolean {
  const { nodes } = aufs;
  if (top !== branch && top < aufs.uppers.length) return true;
  if (nodes.has(node, IS_DIRECTORY) && aufs.tailOf(node) !== branch && aufs.nodes.lowerOf(node) === 0) return true;
  const own = nodes.lowerOf(node);
  const below = nodes.lowerOf(directory);
  if (own === 0 || below === 0) return false;
  const there = aufs.view.lookup(below, name);
  if (isErrno(there) || there === 0) return false;
  return aufs.view.layerOf(there) === aufs.view.layerOf(own) && aufs.view.inodeOf(there) === aufs.view.inodeOf(own);
}

function markExchanged(aufs: Aufs, moved: Node, branch: number): Errno | undefined {
  return aufs.nodes.has(moved, IS_DIRECTORY) ? setOpaque(aufs, moved, branch) : undefined;
}
