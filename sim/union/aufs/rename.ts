/**
 * rename(2) and renameat2(2) (fs/aufs/i_op_ren.c; spec/union.md section 15 and part D, C7, C8 and C10).
 *
 * Interface: the VFS has refused what it can. The target's directories are copied up before anything is checked here, and stay when the
 * rename is refused (C8).
 */
import { EBUSY, EINVAL, ENOTDIR, ENOTEMPTY, EROFS, type Errno, EXDEV, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from "../../vfs/filesystem.ts";
import { IS_DIRECTORY, IS_OPAQUE, NEGATIVE_ENTRY, type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import { copyUp, copyUpDirectory } from "./copy-up.ts";
import { IS_STALE, IS_UNLISTABLE } from "./flags.ts";
import { isOnUpper, isWhitedOut, lookup } from "./lookup.ts";
import { mayLookBelow } from "./permission.ts";
import { testEmpty, testLowerEmpty } from "./readdir.ts";
import type { Aufs, Place } from "./state.ts";
import { clearWhiteouts, placeWhiteout, removeWhiteout, setOpaque } from "./whiteout.ts";

/** One end of a rename. */
interface End extends Place {
  /** What is there; 0 for nothing. */
  readonly node: Node;
  /** Whether the writable branch has it. */
  readonly onUpper: boolean;
}

/** The four arguments of renameat2(2) that say where. */
export interface RenamePlaces {
  readonly directory: Node;
  readonly name: Name;
  readonly toDirectory: Node;
  readonly toName: Name;
}

export function rename(aufs: Aufs, places: RenamePlaces, flags: number): Errno | undefined {
  if (aufs.upper === undefined) return EROFS;
  if ((flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE)) !== 0) return EINVAL;
  const found = lookup(aufs, places.directory, places.name);
  if (isErrno(found)) return found;
  const there = lookup(aufs, places.toDirectory, places.toName);
  const source = endOf(aufs, places.directory, places.name, found);
  const target = endOf(aufs, places.toDirectory, places.toName, isErrno(there) ? 0 : there);
  if (source.node === target.node) return undefined;
  const exchanges = (flags & RENAME_EXCHANGE) !== 0;
  const refused = copyUpDirectory(aufs, target.directory) ?? mayRename(aufs, source, target, exchanges);
  if (refused !== undefined) return refused;
  return exchanges ? exchange(aufs, source, target) : move(aufs, source, target);
}

function endOf(aufs: Aufs, directory: Node, name: Name, node: Node): End {
  return { directory, name, node, onUpper: node !== 0 && isOnUpper(aufs, node, directory, name) };
}

/**
 * The rules for directories (au_ren_may_dir). An exchange asks nothing of the target, but that a file and a directory, in this order, are both
 * on the writable branch (C7).
 */
function mayRename(aufs: Aufs, source: End, target: End, exchanges: boolean): Errno | undefined {
  const { nodes } = aufs;
  const isDirectory = nodes.has(source.node, IS_DIRECTORY);
  if (target.node !== 0 && nodes.has(target.node, IS_DIRECTORY)) {
    if (!isDirectory && !(source.onUpper && target.onUpper)) return ENOTDIR;
    const filled = exchanges ? undefined : testEmpty(aufs, target.node);
    if (filled !== undefined) return filled;
  }
  if (!isDirectory) return undefined;
  // a: of the lower branches alone, it must show nothing; b: of the writable branch alone, anything goes; c: of both, whiteouts must cover
  // whatever the lower branches have.
  const failed = source.onUpper ? testLowerEmpty(aufs, source.node) : testEmpty(aufs, source.node);
  return failed === ENOTEMPTY ? EXDEV : failed;
}

function move(aufs: Aufs, source: End, target: End): Errno | undefined {
  const { nodes, upper } = aufs;
  if (upper === undefined) return EROFS;
  const failed =
    (source.onUpper ? mayLookBelow(aufs, source.directory) : undefined) ??
    copyUpDirectory(aufs, source.directory) ??
    copyUp(aufs, source.node, { place: source });
  if (failed !== undefined) return failed;
  const covered = !source.onUpper || aufs.lowerHas(source.directory, source.name);
  const overWhiteout = target.node === 0 && isWhitedOut(aufs, target.directory, target.name);
  const opaque = nodes.has(source.node, IS_DIRECTORY) && hidesBelow(aufs, target);
  const unhidden = covered ? placeWhiteout(aufs, source.directory, source.name) : undefined;
  if (unhidden !== undefined) return unhidden;
  const moved = moveUpper(aufs, source, target);
  if (moved !== undefined) {
    if (covered) removeWhiteout(aufs, source.directory, source.name);
    return moved;
  }
  const unmarked =
    (opaque ? setOpaque(aufs, source.node) : undefined) ??
    (overWhiteout ? removeWhiteout(aufs, target.directory, target.name) : undefined);
  if (unmarked !== undefined) return unmarked;
  nodes.leave(source.directory, source.name, covered ? WHITEOUT_ENTRY : NEGATIVE_ENTRY);
  if (target.node !== 0) {
    aufs.openedAs.forget(target);
    nodes.leave(target.directory, target.name, NEGATIVE_ENTRY);
  }
  arrive(aufs, source, target);
  if (target.node !== 0) loseTarget(aufs, target);
  return undefined;
}

/** The rename on the writable branch. A target that is a directory shows nothing, but may hold whiteouts. */
function moveUpper(aufs: Aufs, source: End, target: End): Errno | undefined {
  const { nodes, upper } = aufs;
  if (upper === undefined) return EROFS;
  if (target.onUpper) {
    aufs.beforeLoss(target.node);
    const kept = nodes.has(target.node, IS_DIRECTORY) ? clearWhiteouts(aufs, nodes.upperOf(target.node)) : undefined;
    if (kept !== undefined) return kept;
  }
  return upper.fs.rename(nodes.upperOf(source.directory), source.name, nodes.upperOf(target.directory), target.name, 0);
}

/** Whether a directory that comes to a place must be opaque: where something below would show through, or the name was whited out. */
function hidesBelow(aufs: Aufs, { directory, name, node }: End): boolean {
  if (aufs.options.alwaysOpaque || aufs.lowerHas(directory, name)) return true;
  return node === 0 ? isWhitedOut(aufs, directory, name) : aufs.nodes.has(node, IS_OPAQUE);
}

/** A node is found at its new place from now on. A directory leaves what lay below it behind. */
function arrive(aufs: Aufs, from: End, to: Place): void {
  const { nodes } = aufs;
  nodes.enter(to.directory, to.name, from.node);
  if (nodes.has(from.node, IS_DIRECTORY)) leaveLower(aufs, from.node);
  aufs.openedAs.move(from, to);
}

/**
 * A directory is one of the writable branch alone from now on: what was found of its lower entries is gone. A directory in it that is on the
 * writable branch too still shows what it was found to be merged with.
 */
function leaveLower(aufs: Aufs, directory: Node): void {
  const { nodes } = aufs;
  if (nodes.lowerOf(directory) === 0) return;
  nodes.forgetLower(directory);
  for (let row = nodes.dentries.first(directory); row !== 0; row = nodes.dentries.next(row)) {
    const child = nodes.dentries.child(row);
    if (child >= WHITEOUT_ENTRY) continue;
    const name = nodes.dentries.name(row);
    if (isOnUpper(aufs, child, directory, name)) continue;
    // What is in a lower directory goes with it.
    if (nodes.has(child, IS_DIRECTORY)) leaveLower(aufs, child);
    aufs.openedAs.forget({ node: child, directory, name });
    nodes.leave(directory, name, NEGATIVE_ENTRY);
    aufs.afterLoss(child);
  }
}

/** What was renamed over. Without an upper inode, an open file of it cannot be told from the new one: fstat gives ESTALE (C10). */
function loseTarget(aufs: Aufs, target: End): void {
  const { nodes } = aufs;
  if (!nodes.hasUpper(target.node) && nodes.entriesOf(target.node) === 0) nodes.set(target.node, IS_STALE);
  aufs.countLinks(target.node, -1);
  aufs.afterLoss(target.node);
}

/**
 * Both sides stay, each under the other's name (C7): the target comes up without its lower entries, which are lost if it is a directory.
 * @returns EBUSY where the source's directory is not on the writable branch, for nothing copies it up.
 */
function exchange(aufs: Aufs, source: End, target: End): Errno | undefined {
  const { nodes, upper } = aufs;
  if (upper === undefined) return EROFS;
  if (!nodes.hasUpper(source.directory)) return EBUSY;
  const failed =
    copyUp(aufs, source.node, { place: source }) ??
    copyUp(aufs, target.node, { place: target }) ??
    upper.fs.rename(nodes.upperOf(source.directory), source.name, nodes.upperOf(target.directory), target.name, RENAME_EXCHANGE);
  if (failed !== undefined) return failed;
  const hidesSource = hasLowerPart(aufs, target) ? markExchanged(aufs, source.node) : undefined;
  const hidesTarget = hasLowerPart(aufs, source) ? markExchanged(aufs, target.node) : undefined;
  if (nodes.has(target.node, IS_DIRECTORY) && !nodes.has(source.node, IS_DIRECTORY)) nodes.set(target.node, IS_UNLISTABLE);
  nodes.leave(source.directory, source.name, NEGATIVE_ENTRY);
  nodes.leave(target.directory, target.name, NEGATIVE_ENTRY);
  arrive(aufs, target, source);
  arrive(aufs, source, target);
  if (source.directory === target.directory) {
    for (const node of [source.node, target.node]) if (nodes.has(node, IS_DIRECTORY)) aufs.displace(node);
  }
  return hidesSource ?? hidesTarget;
}

/** Whether what is at one end came from below under this name, so that what takes its place must hide that. */
function hasLowerPart(aufs: Aufs, { directory, name, node }: End): boolean {
  const { nodes } = aufs;
  if (aufs.options.alwaysOpaque) return true;
  const own = nodes.lowerOf(node);
  const below = nodes.lowerOf(directory);
  if (own === 0 || below === 0) return false;
  const there = aufs.view.lookup(below, name);
  if (isErrno(there) || there === 0) return false;
  return aufs.view.layerOf(there) === aufs.view.layerOf(own) && aufs.view.inodeOf(there) === aufs.view.inodeOf(own);
}

function markExchanged(aufs: Aufs, moved: Node): Errno | undefined {
  return aufs.nodes.has(moved, IS_DIRECTORY) ? setOpaque(aufs, moved) : undefined;
}
