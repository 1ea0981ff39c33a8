/**
 * Branches that come, go and change while they are mounted: mount -o remount with add, ins, append, prepend, del and mod (fs/aufs/branch.c,
 * au_br_add, au_br_del, au_br_mod; opts.c, au_opts_remount; aufs 5.x [S]; aufs(5); spec/union.md section 10).
 *
 * Interface: changes are made in the order in which they are given; one that is refused ends the remount, and those before it stay. What was
 * found before stays found where the same object still shows. An open file keeps its branch; where that is not written any more, its next write
 * copies the file up to another.
 */
import { EBUSY, isErrno } from "../../core/errno.ts";
import { fileHandle, type Inode, O_ACCMODE, O_PATH } from "../../vfs/filesystem.ts";
import type { LowerView } from "../lower-view.ts";
import { VIEW_ROOT } from "../lower-view.ts";
import { IS_DIRECTORY, IS_SHARED, type Node, ROOT_NODE, WHITEOUT_ENTRY } from "../nodes.ts";
import { NO_FILE } from "../open-files.ts";
import type { ViewNode } from "../view-nodes.ts";
import { storeRenamed } from "./dirren.ts";
import { loseEntry } from "./lose.ts";
import {
  type AufsHost,
  type BranchChange,
  BranchPlaces,
  branchSet,
  mountBranch,
  noneLeft,
  ownEntries,
  placeAmong,
  refuseAdding,
  refuseWriting,
  removeOwnEntries,
} from "./mount.ts";
import { type AufsFailure, type AufsOptions, refuse } from "./options.ts";
import { refreshBelow } from "./refresh.ts";
import type { Aufs, Branch, BranchSet, MountedBranch } from "./state.ts";
import { beginDirectAccess } from "./udba.ts";

/** Changes a mount's options and branches. @returns why a change was refused: EBUSY, EDOM, ENOSPC, EINVAL. */
export function remountAufs(
  host: Pick<AufsHost, "names" | "views">,
  aufs: Aufs,
  changes: readonly BranchChange[],
  options: Partial<AufsOptions>,
): AufsFailure | undefined {
  const before = aufs.options;
  aufs.options = { ...aufs.options, ...options };
  const prepared = aufs.options.plink === before.plink ? aufs.branches : prepareAgain(aufs);
  if ("errno" in prepared) return prepared;
  let branches = prepared;
  let refused: AufsFailure | undefined;
  for (const change of changes) {
    const next = changed(aufs, branches, change);
    if ("errno" in next) {
      refused = next;
      break;
    }
    branches = next;
  }
  const opens = aufs.options.udba !== before.udba;
  if (branches !== aufs.branches || opens) commit(aufs, branchSet(host, branches, aufs.options));
  if (opens) beginDirectAccess(aufs);
  return refused;
}

/** The branches with aufs's own entries as the options say now (au_opts_verify). */
function prepareAgain(aufs: Aufs): readonly MountedBranch[] | AufsFailure {
  const prepared: MountedBranch[] = [];
  for (const branch of aufs.branches) {
    const own = branch.permission.writable ? ownEntries(aufs.names, branch, aufs.options) : undefined;
    if (isErrno(own)) return refuse(`an error(${-own.number}) on the writable branch ${branch.path}`, own);
    prepared.push({ ...branch, own });
  }
  return prepared;
}

/** A list of branches after a change. */
function changed(aufs: Aufs, branches: readonly MountedBranch[], change: BranchChange): readonly MountedBranch[] | AufsFailure {
  const at = placeAmong(branches, change.branch);
  if (change.kind === "add") return at >= 0 ? branches : added(aufs, branches, change.branch, change.index);
  // What is no branch cannot be changed, which a remount takes for done.
  const branch = branches[at];
  if (branch === undefined) return branches;
  if (change.kind === "del") return deleted(aufs, branches, branch);
  const modified = modify(aufs, branch, change.branch);
  return "errno" in modified ? modified : branches.map((one) => (one === branch ? modified : one));
}

function added(
  aufs: Aufs,
  branches: readonly MountedBranch[],
  branch: Branch,
  asked: number | undefined,
): readonly MountedBranch[] | AufsFailure {
  const index = asked ?? branches.length;
  const refused = refuseAdding(branches, new BranchPlaces(branches), branch, index);
  if (refused !== undefined) return refused;
  const made = mountBranch(aufs.names, branch, aufs.options);
  if ("errno" in made) return made;
  made.fs.hold(made.inode);
  return branches.toSpliced(index, 0, made);
}

/** @returns EBUSY for the last branch, and for one whose objects are used. */
function deleted(aufs: Aufs, branches: readonly MountedBranch[], branch: MountedBranch): readonly MountedBranch[] | AufsFailure {
  if (branches.length === 1) return noneLeft();
  if (isBusy(aufs, branch)) return refuse(`${branch.path} is busy`, EBUSY);
  if (branch.permission.writable) storeRenamed(aufs.names, branch, branch.renamed);
  branch.fs.drop(branch.inode);
  return branches.filter((one) => one !== branch);
}

/** Whether something is used that only this branch has, or, of what is no directory, that it has at all. */
function isBusy(aufs: Aufs, branch: MountedBranch): boolean {
  const { nodes, files } = aufs;
  const index = aufs.branches.indexOf(branch);
  for (let node = ROOT_NODE + 1; node < nodes.end; node++) {
    if (nodes.holdsOf(node) === 0) continue;
    const taking = branchesOf(aufs, node);
    if (taking.includes(index) && (!nodes.has(node, IS_DIRECTORY) || taking.length === 1)) return true;
  }
  // A file may still be open on the branch that it was copied up from; a folder is, on each of its branches.
  return files.all().some(({ node, flags, isUpper }) => {
    if (node === ROOT_NODE || (flags & O_PATH) !== 0) return false;
    if (nodes.has(node, IS_DIRECTORY)) return branchesOf(aufs, node).includes(index);
    return !isUpper && branchesOf(aufs, node).includes(index);
  });
}

/** The indices of the branches that have a node. */
function branchesOf(aufs: Aufs, node: Node): number[] {
  const { nodes, uppers } = aufs;
  const found: number[] = [];
  if (nodes.has(node, IS_DIRECTORY)) {
    for (const branch of uppers.keys()) if (aufs.inodeOn(node, branch) !== undefined) found.push(branch);
  } else if (nodes.hasUpper(node)) found.push(aufs.branchOf(node));
  const lower = nodes.lowerOf(node);
  if (lower === 0) return found;
  for (const { layer } of aufs.view.stackOf(lower)) found.push(uppers.length + layer);
  return found;
}

/** Another permission for a branch: aufs's own entries come with the right to write, and go with it (au_br_init_wh). */
function modify(aufs: Aufs, branch: MountedBranch, { permission, readOnly }: Branch): MountedBranch | AufsFailure {
  const next: Branch = { ...branch, permission, ...(readOnly === undefined ? {} : { readOnly }) };
  const refused = refuseWriting(next);
  if (refused !== undefined) return refused;
  if (branch.permission.writable && !permission.writable) {
    storeRenamed(aufs.names, branch, branch.renamed);
    removeOwnEntries(aufs.names, branch);
  }
  const own = permission.writable ? ownEntries(aufs.names, next, aufs.options) : undefined;
  if (isErrno(own)) return refuse(`an error(${-own.number}) on the writable branch ${branch.path}`, own);
  return { ...branch, ...next, own };
}

/** Puts a mount on other branches. */
function commit(aufs: Aufs, next: BranchSet): void {
  const before: BranchSet = { branches: aufs.branches, uppers: aufs.uppers, lower: aufs.lower, rules: aufs.rules };
  const goes = before.branches.map((old) => next.branches.findIndex(({ shared }) => shared === old.shared));
  loseGone(aufs, goes);
  const places = placesOf(aufs);
  aufs.branches = next.branches;
  aufs.uppers = next.uppers;
  aufs.lower = next.lower;
  aufs.rules = next.rules;
  aufs.policies.reset();
  aufs.lowerLinks.clear();
  aufs.byLower.clear();
  aufs.lostLinks.clear();
  for (const [node, place] of places) replace(aufs, node, place, goes);
  replaceRoot(aufs);
  refreshBelow(aufs, ROOT_NODE);
  reopen(aufs);
  before.lower?.release();
}

/** Forgets what only branches had that go. */
function loseGone(aufs: Aufs, goes: readonly number[]): void {
  const { nodes } = aufs;
  const { dentries } = nodes;
  for (let directory = ROOT_NODE; directory < nodes.end; directory++) {
    for (const { name, child } of dentries.entries(directory)) {
      if (child >= WHITEOUT_ENTRY || dentries.lookup(directory, name) !== child) continue;
      const shown = nodes.has(child, IS_DIRECTORY) ? branchesOf(aufs, child) : branchesOf(aufs, child).slice(0, 1);
      if (shown.every((branch) => (goes[branch] as number) < 0)) loseEntry(aufs, directory, name, child);
    }
  }
}

/** An inode of a branch, by the branch's index. */
interface InodePlace {
  readonly branch: number;
  readonly inode: Inode;
}

/** Where a node is: the inode that shows it, and of what is no directory the lower one that it was copied from. */
interface NodePlace {
  readonly shown: InodePlace;
  readonly origin: InodePlace | undefined;
}

/** Where every node is. Of a directory it is enough to know one place: the rest is looked for again. */
function placesOf(aufs: Aufs): Map<Node, NodePlace> {
  const { nodes } = aufs;
  const places = new Map<Node, NodePlace>();
  for (let node = ROOT_NODE + 1; node < nodes.end; node++) {
    if (nodes.entriesOf(node) === 0 && nodes.holdsOf(node) === 0) continue;
    const lower = nodes.lowerOf(node);
    const branch = nodes.hasUpper(node) ? nodes.layerOf(node) : aufs.uppers.length + nodes.layerOf(node);
    const origin = lower === 0 || !nodes.hasUpper(node) ? undefined : beforeViewPlace(aufs, lower);
    places.set(node, { shown: { branch, inode: nodes.realOf(node) }, origin });
  }
  return places;
}

function beforeViewPlace({ uppers, lower }: BranchSet, node: ViewNode): InodePlace {
  const view = (lower as NonNullable<BranchSet["lower"]>).view as LowerView;
  return { branch: uppers.length + view.layerOf(node), inode: view.inodeOf(node) };
}

/** The view's node of an inode of a lower branch; 0 where the branch is none. */
function lowerAt(aufs: Aufs, branch: number, inode: Inode): ViewNode {
  return branch < aufs.uppers.length ? 0 : aufs.view.stray(branch - aufs.uppers.length, inode);
}

/** Puts a node on what became of its branches. */
function replace(aufs: Aufs, node: Node, { shown, origin }: NodePlace, goes: readonly number[]): void {
  const { nodes } = aufs;
  const branch = goes[shown.branch] as number;
  // A directory whose branch is gone is looked for on its others.
  if (branch < 0) return;
  const isShared = nodes.has(node, IS_SHARED);
  if (branch < aufs.uppers.length) {
    nodes.setUpper(node, shown.inode, branch);
    nodes.setLower(node, origin === undefined ? 0 : lowerAt(aufs, goes[origin.branch] as number, origin.inode));
    if (isShared) aufs.upperAt(branch).shared.set(shown.inode, node);
    if (isShared && origin !== undefined) keepOrigin(aufs, node, goes[origin.branch] as number, origin.inode);
  } else nodes.showLower(node, lowerAt(aufs, branch, shown.inode));
  if (isShared && nodes.lowerOf(node) !== 0) aufs.byLower.set(nodes.lowerOf(node), node);
  if (nodes.has(node, IS_DIRECTORY) && aufs.uppers.length > 1 && branch < aufs.uppers.length) {
    const among: (Inode | undefined)[] = [];
    among[branch] = shown.inode;
    aufs.instances.set(node, among);
  } else aufs.instances.delete(node);
}

/** Names of a pseudo-linked node's origin still lead to it where the branch of the origin is an upper one now. */
function keepOrigin(aufs: Aufs, node: Node, branch: number, inode: Inode): void {
  if (branch < 0 || branch >= aufs.uppers.length) return;
  const { shared } = aufs.upperAt(branch);
  shared.set(inode, node);
  aufs.formerPlaces.set(node, [...(aufs.formerPlaces.get(node) ?? []), { shared, inode: inode }]);
}

/** The root is made up of all branches' roots. */
function replaceRoot(aufs: Aufs): void {
  const { nodes, uppers } = aufs;
  const top = uppers[0];
  const lower = aufs.lower === undefined ? 0 : VIEW_ROOT;
  if (top === undefined) nodes.showLower(ROOT_NODE, lower);
  else {
    nodes.setUpper(ROOT_NODE, top.inode);
    nodes.setLower(ROOT_NODE, lower);
  }
  if (uppers.length < 2) aufs.instances.delete(ROOT_NODE);
  else
    aufs.instances.set(
      ROOT_NODE,
      uppers.map(({ inode }) => inode),
    );
}

/** Open files of a branch that is not written any more lose the right to write; those of one that is can be written in place. */
function reopen(aufs: Aufs): void {
  const { files, nodes } = aufs;
  for (const file of files.all()) {
    const { node, real, flags, fs } = file;
    if (real === NO_FILE) continue;
    const writable = aufs.isOnWritable(node) && fs === aufs.fsOf(node);
    if (file.isUpper === writable) continue;
    const again = fs.open(nodes.realOf(node), writable ? flags : flags & ~O_ACCMODE);
    if (isErrno(again)) continue;
    fs.close(fileHandle(real), writable ? flags & ~O_ACCMODE : flags);
    file.real = again;
    file.isUpper = writable;
  }
}
