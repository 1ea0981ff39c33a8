/**
 * rename(2) (fs/overlayfs/dir.c, ovl_rename; union.md section 4, whose numbers the comments cite).
 *
 * Interface: the VFS has checked existence, kinds and ancestry (rule 1). Some failures come after a copy-up, which stays, as in the kernel.
 */
import { EINVAL, EIO, ENOENT, type Errno, ESTALE, EXDEV, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { utf8Length } from "../../core/names.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from "../../vfs/filesystem.ts";
import {
  HAS_ORIGIN,
  HAS_REDIRECT,
  IS_DIRECTORY,
  IS_METACOPY,
  IS_OPAQUE,
  NEGATIVE_ENTRY,
  type Node,
  ROOT_NODE,
  WHITEOUT_ENTRY,
} from "../nodes.ts";
import type { NameOfNode } from "../opened-names.ts";
import { copyUp, markImpure } from "./copy-up.ts";
import { noteLinks } from "./hard-links.ts";
import { afterUnlink, needsCopyToGo } from "./index-cleanup.ts";
import { entryAt, lookup } from "./lookup.ts";
import { whiteoutsOfEmpty } from "./remove.ts";
import type { Overlay } from "./state.ts";
import { clearWhiteouts, countWhiteout, setOpaque } from "./whiteout.ts";

/** The longest redirect in bytes (module parameter redirect_max). */
const REDIRECT_MAX = 256;

/** One end of a rename: a name, and what is there; NO_NODE for nothing. */
interface End extends NameOfNode {
  /** Whether nothing is there because the upper layer has a whiteout. */
  readonly isWhitedOut: boolean;
}

/** The four arguments of renameat2(2) that say where. */
export interface RenamePlaces {
  readonly directory: Node;
  readonly name: Name;
  readonly toDirectory: Node;
  readonly toName: Name;
}

export function rename(overlay: Overlay, places: RenamePlaces, flags: number): Errno | undefined {
  if ((flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE)) !== 0) return EINVAL;
  const found = lookup(overlay, places.directory, places.name);
  if (isErrno(found)) return found;
  const there = entryAt(overlay, places.toDirectory, places.toName);
  const source: End = { directory: places.directory, name: places.name, node: found, isWhitedOut: false };
  const target: End = {
    directory: places.toDirectory,
    name: places.toName,
    node: isErrno(there) || there >= WHITEOUT_ENTRY ? 0 : there,
    isWhitedOut: there === WHITEOUT_ENTRY,
  };
  if (source.node === target.node) return undefined;
  return (flags & RENAME_EXCHANGE) !== 0 ? exchange(overlay, source, target) : move(overlay, source, target);
}

/** Whether an object is a directory with a lower part: what cannot be moved without a redirect (rule 3). */
function hasLowerPart(overlay: Overlay, node: Node): boolean {
  const { nodes } = overlay;
  if (!nodes.has(node, IS_DIRECTORY)) return nodes.has(node, IS_METACOPY);
  return overlay.isMerged(node) || !nodes.hasUpper(node);
}

function canMove(overlay: Overlay, node: Node): boolean {
  return overlay.options.redirectDir === "on" || !overlay.nodes.has(node, IS_DIRECTORY) || !hasLowerPart(overlay, node);
}

/**
 * The upper layer must still have what the mount shows, where it shows it, a directory that takes new names, and not one inode for both names, of
 * which the VFS has seen two (ovl_rename: ESTALE).
 */
function refuseStale(overlay: Overlay, source: End, target: End): Errno | undefined {
  const { replaced, nodes } = overlay;
  if (target.isWhitedOut && overlay.lacksWhiteout(target.directory, target.name)) return ESTALE;
  if (target.node !== 0 && nodes.hasUpper(target.node) && nodes.upperOf(target.node) === nodes.upperOf(source.node))
    return ESTALE;
  if (replaced.size === 0) return undefined;
  if (replaced.has(target.directory)) return ENOENT;
  return replaced.has(source.node) || replaced.has(target.node) ? ESTALE : undefined;
}

function move(overlay: Overlay, source: End, target: End): Errno | undefined {
  const { nodes } = overlay;
  if (!canMove(overlay, source.node)) return EXDEV;
  const overDirectory = target.node !== 0 && nodes.has(target.node, IS_DIRECTORY);
  // Rule 4. Of a directory on the upper layer alone, opaque ones too, the upper filesystem says whether it is empty.
  const onUpperAlone = target.node !== 0 && nodes.hasUpper(target.node) && nodes.lowerOf(target.node) === 0;
  const whiteouts = overDirectory && !onUpperAlone ? whiteoutsOfEmpty(overlay, target.node) : [];
  if (isErrno(whiteouts)) return whiteouts;
  const failed =
    copyUp(overlay, source.node) ??
    copyUp(overlay, target.directory) ??
    (target.node === 0 ? undefined : prepareToGo(overlay, target.node)) ??
    refuseStale(overlay, source, target);
  if (failed !== undefined) return failed;
  if (whiteouts.length > 0) {
    overlay.nodes.beforeLoss(target.node);
    const cleared = clearWhiteouts(overlay, target.node, whiteouts);
    if (cleared !== undefined) return cleared;
  }
  const marked = markMoved(overlay, source, target.directory);
  if (marked !== undefined) return marked;
  if (target.node !== 0) overlay.nodes.beforeLoss(target.node);
  return moveUpper(overlay, source, target);
}

/** What is renamed over must be in the index still where that tells of it, with its count of links. */
function prepareToGo(overlay: Overlay, node: Node): Errno | undefined {
  return (needsCopyToGo(overlay, node) ? copyUp(overlay, node) : undefined) ?? noteLinks(overlay, node);
}

/** The rename on the upper layer, and what the two names are afterwards (rules 8 and 9). */
function moveUpper(overlay: Overlay, source: End, target: End): Errno | undefined {
  const { nodes, writable: upper } = overlay;
  const covered = overlay.lowerHas(source.directory, source.name);
  // The whiteout of the target serves the source's name; a directory cannot replace one otherwise.
  const swap = target.isWhitedOut && (covered || nodes.has(source.node, IS_DIRECTORY));
  const flags = swap ? RENAME_EXCHANGE : covered ? RENAME_WHITEOUT : 0;
  const from = nodes.upperOf(source.directory);
  const failed = upper.fs.rename(from, source.name, nodes.upperOf(target.directory), target.name, flags);
  if (failed !== undefined) return failed;
  if (swap && !covered) upper.fs.unlink(from, source.name);
  if (covered) countWhiteout(overlay, source.directory, source.name);
  // The dentry moves (d_move): the next lookup of the old name asks the layers.
  nodes.moveEntry(source.directory, source.name, target.directory, target.name);
  if (target.node !== 0) overlay.openedAs.forget(target);
  overlay.openedAs.move(source, target);
  if (target.node !== 0) {
    afterUnlink(overlay, target.node);
    overlay.nodes.afterLoss(target.node);
  }
  return undefined;
}

/** Rule 10: both sides stay, each under the other's name. */
function exchange(overlay: Overlay, source: End, target: End): Errno | undefined {
  const { nodes, writable: upper } = overlay;
  if (target.node === 0) return EIO;
  if (!canMove(overlay, source.node) || !canMove(overlay, target.node)) return EXDEV;
  const failed =
    copyUp(overlay, source.node) ??
    copyUp(overlay, target.directory) ??
    copyUp(overlay, target.node) ??
    refuseStale(overlay, source, target) ??
    markMoved(overlay, source, target.directory) ??
    markMoved(overlay, target, source.directory) ??
    upper.fs.rename(nodes.upperOf(source.directory), source.name, nodes.upperOf(target.directory), target.name, RENAME_EXCHANGE);
  if (failed !== undefined) return failed;
  nodes.leave(source.directory, source.name, NEGATIVE_ENTRY);
  nodes.leave(target.directory, target.name, NEGATIVE_ENTRY);
  nodes.enter(source.directory, source.name, target.node);
  nodes.enter(target.directory, target.name, source.node);
  overlay.openedAs.move(source, target);
  overlay.openedAs.move(target, source);
  return undefined;
}

/** The marks that what moves and the directory that receives it need beforehand (rule 7). */
function markMoved(overlay: Overlay, moved: End, into: Node): Errno | undefined {
  const { nodes } = overlay;
  const sameDirectory = moved.directory === into;
  if (!sameDirectory && nodes.has(moved.node, HAS_ORIGIN)) {
    const failed = markImpure(overlay, into);
    if (failed !== undefined) return failed;
  }
  if (hasLowerPart(overlay, moved.node)) return setRedirect(overlay, moved, sameDirectory);
  if (!nodes.has(moved.node, IS_DIRECTORY) || nodes.has(moved.node, IS_OPAQUE) || !overlay.isMerged(into)) return undefined;
  if (setOpaque(overlay, nodes.upperOf(moved.node)) !== undefined) return EXDEV;
  nodes.set(moved.node, IS_OPAQUE);
  return undefined;
}

/** Notes where the lower layers have what moves, by its old name or, where it leaves its directory, by its path. */
export function setRedirect(overlay: Overlay, moved: NameOfNode, sameDirectory: boolean): Errno | undefined {
  const { nodes, writable: upper, xattrs } = overlay;
  const before = overlay.redirects.get(moved.node);
  const several = sameDirectory && isLowerHardLink(overlay, moved.node);
  if (isErrno(several)) return several;
  const byName = sameDirectory && !several;
  if (before !== undefined && (byName || before.startsWith("/"))) return undefined;
  const redirect = byName ? overlay.names.text(moved.name) : lowerPath(overlay, moved);
  if (utf8Length(redirect) > REDIRECT_MAX) return EXDEV;
  const failed = upper.fs.setxattr(nodes.upperOf(moved.node), xattrs.redirect, new TextEncoder().encode(redirect), 0);
  // A program that moves files then copies, as over any border between filesystems.
  if (failed !== undefined) return EXDEV;
  overlay.redirects.set(moved.node, redirect);
  nodes.set(moved.node, HAS_REDIRECT);
  return undefined;
}

/** Whether names in several directories may come to need the redirect. */
function isLowerHardLink(overlay: Overlay, node: Node): boolean | Errno {
  const { nodes, view, otherAttributes } = overlay;
  if (nodes.has(node, IS_DIRECTORY)) return false;
  const lower = nodes.lowerOf(node);
  const fs = view.fsOf(lower);
  const own = fs.ownLinks?.(view.inodeOf(lower));
  return own !== undefined ? own > 1 : (fs.getattr(view.inodeOf(lower), otherAttributes) ?? otherAttributes.nlink > 1);
}

/** The path by which the lower layers know an object: its own, with the redirects on the way in their places. */
function lowerPath(overlay: Overlay, moved: NameOfNode): string {
  const { nodes, names, redirects } = overlay;
  let path = "";
  let { node, directory, name } = moved;
  while (node !== ROOT_NODE) {
    const redirect = redirects.get(node);
    if (redirect?.startsWith("/")) return redirect + path;
    path = `/${redirect ?? names.text(name)}${path}`;
    node = directory;
    directory = nodes.parentOf(node);
    name = nodes.nameOf(node);
  }
  return path;
}
