/**
 * Whiteouts and opaque marks on writable branches (fs/aufs/whout.c; spec/union.md sections 11 and 14).
 */
import { EMLINK, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type FileSystem, type Inode, S_IFREG, typeOf } from "../../vfs/filesystem.ts";
import { IS_OPAQUE, type Node, ROOT_NODE, WHITEOUT_ENTRY } from "../nodes.ts";
import { loseEntry } from "./lose.ts";
import { isWhiteoutName, WHITEOUT_BASE } from "./names.ts";
import { isTaken, refuseTaken } from "./present.ts";
import type { Aufs, BranchName } from "./state.ts";

/** Of a whiteout: an empty file that nobody may write (WH_MASK). */
export const WHITEOUT_MODE: number = S_IFREG | 0o444;

/** A file of aufs's own: a hard link of the base, or a file for itself where links are not to be had (link_or_create_wh). */
function linkOrCreate(aufs: Aufs, branch: number, directory: Inode, name: Name): Errno | undefined {
  const { fs } = aufs.upperAt(branch);
  const { whiteoutBase } = aufs.ownOn(branch);
  if (whiteoutBase !== undefined) {
    const failed = fs.link(whiteoutBase, directory, name);
    if (failed !== EMLINK) return failed;
    renewBase(aufs, branch);
  }
  const made = create(aufs, fs, directory, name);
  return isErrno(made) ? made : undefined;
}

function create(aufs: Aufs, fs: FileSystem, directory: Inode, name: Name): Inode | Errno {
  const made = fs.create(directory, name, { mode: WHITEOUT_MODE, uid: 0, gid: 0, rdev: 0, target: "" });
  if (!isErrno(made)) aufs.counters.upperCreates += 1;
  return made;
}

/** Begins another base, for the whiteouts after this one (reinit_br_wh). */
function renewBase(aufs: Aufs, branch: number): void {
  const { fs, inode: root } = aufs.upperAt(branch);
  const name = aufs.names.intern(WHITEOUT_BASE);
  if (unlinkOwn(aufs, ROOT_NODE, name, branch) !== undefined) return;
  const made = create(aufs, fs, root, name);
  aufs.ownOn(branch).whiteoutBase = isErrno(made) ? undefined : made;
}

/** Makes or takes away a file of aufs's own; under shwh the mount may know it as an entry, which is looked for again then. */
function changeOwn(aufs: Aufs, directory: Node, name: Name, change: () => Errno | undefined): Errno | undefined {
  const { nodes, rules } = aufs;
  const known = rules.showsWhiteouts ? nodes.dentries.lookup(directory, name) : 0;
  if (known === 0) return change();
  const isNode = known < WHITEOUT_ENTRY;
  if (isNode) nodes.beforeLoss(known);
  const failed = change();
  if (failed !== undefined) return failed;
  if (isNode) loseEntry(aufs, directory, name, known);
  else nodes.forget(directory, name);
  return undefined;
}

function unlinkOwn(aufs: Aufs, directory: Node, name: Name, branch: number): Errno | undefined {
  return changeOwn(aufs, directory, name, () => aufs.upperAt(branch).fs.unlink(aufs.mustBeOn(directory, branch), name));
}

/** Hides a name of a directory that is on the branch. One that is there already will do (au_wh_create). */
export function placeWhiteout(aufs: Aufs, directory: Node, name: Name, branch: number): Errno | undefined {
  const whiteout = aufs.rules.whiteouts.of(name);
  if (isTaken(aufs, { directory, name: whiteout, branch })) return undefined;
  const failed = changeOwn(aufs, directory, whiteout, () =>
    linkOrCreate(aufs, branch, aufs.mustBeOn(directory, branch), whiteout),
  );
  if (failed !== undefined) return failed;
  aufs.counters.whiteouts += 1;
  if (aufs.events.listening) {
    const parent = aufs.pathOf(directory);
    aufs.events.emit({
      op: "whiteout",
      filesystem: aufs.label,
      path: `${parent === "/" ? "" : parent}/${aufs.names.text(name)}`,
    });
  }
  return undefined;
}

/** Takes a whiteout away. */
export function removeWhiteout(aufs: Aufs, directory: Node, name: Name, branch: number): Errno | undefined {
  return unlinkOwn(aufs, directory, aufs.rules.whiteouts.of(name), branch);
}

/** Marks a directory opaque on a branch: what is below takes no part in it from now on. */
export function setOpaque(aufs: Aufs, node: Node, branch: number): Errno | undefined {
  if (aufs.opaqueBranch(node) === branch) return undefined;
  const { opaqueMarker } = aufs.rules.whiteouts;
  const failed =
    refuseTaken(aufs, { directory: node, name: opaqueMarker, branch }) ??
    changeOwn(aufs, node, opaqueMarker, () => linkOrCreate(aufs, branch, aufs.mustBeOn(node, branch), opaqueMarker));
  if (failed === undefined) aufs.nodes.set(node, IS_OPAQUE);
  return failed;
}

/** Takes a directory's mark away again. */
export function clearOpaque(aufs: Aufs, node: Node, branch: number): void {
  unlinkOwn(aufs, node, aufs.rules.whiteouts.opaqueMarker, branch);
  aufs.nodes.clear(node, IS_OPAQUE);
}

/** Takes a directory that shows nothing out of the way, under a passing name (au_whtmp_ren). @returns the name */
export function setAside(aufs: Aufs, { directory, name, branch }: BranchName): Name | Errno {
  const passing = aufs.temporaryName();
  const inside = aufs.mustBeOn(directory, branch);
  const failed = aufs.upperAt(branch).fs.rename(inside, name, inside, passing, 0);
  if (failed !== undefined) aufs.freeName(passing);
  return failed ?? passing;
}

/** Puts it back. */
export function putBack(aufs: Aufs, { directory, name, branch }: BranchName, passing: Name): void {
  const inside = aufs.mustBeOn(directory, branch);
  if (aufs.upperAt(branch).fs.rename(inside, passing, inside, name, 0) === undefined) aufs.freeName(passing);
}

/** Removes it with its whiteouts. What fails leaves it under the passing name, and nobody is told (au_whtmp_rmdir). */
export function removeAside(aufs: Aufs, node: Node, { directory, branch }: BranchName, passing: Name): void {
  const failed = clearWhiteouts(aufs, node, branch) ?? aufs.upperAt(branch).fs.rmdir(aufs.mustBeOn(directory, branch), passing);
  if (failed === undefined) aufs.freeName(passing);
}

/**
 * Removes every whiteout and mark of a directory on a branch, which shows nothing; what has such a name and is no file stays (del_wh_children,
 * unlink_wh_name).
 */
function clearWhiteouts(aufs: Aufs, node: Node, branch: number): Errno | undefined {
  const { fs } = aufs.upperAt(branch);
  const directory = aufs.mustBeOn(node, branch);
  const own: Name[] = [];
  const failed = fs.iterate(directory, (name) => {
    if (isWhiteoutName(aufs.names.text(name))) own.push(name);
  });
  if (failed !== undefined) return failed;
  for (const name of own) {
    const inode = fs.lookup(directory, name);
    if (isErrno(inode)) return inode;
    if (typeOf(fs, inode) !== S_IFREG) continue;
    const kept = unlinkOwn(aufs, node, name, branch);
    if (kept !== undefined) return kept;
  }
  return undefined;
}
