/**
 * New names: create, mkdir, symlink, mknod, O_TMPFILE and link (fs/overlayfs/dir.c; union.md section 5).
 *
 * Interface: the directory is copied up first. Over a whiteout the object is made in work/ and renamed over it; a directory becomes opaque.
 */
import { ENOENT, EPERM, type Errno, ESTALE, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, type NewInode, RENAME_EXCHANGE, S_IFCHR, S_IFMT } from "../../vfs/filesystem.ts";
import {
  HAS_ORIGIN,
  HOLDS_UPPER,
  IS_DIRECTORY,
  IS_INDEXED,
  IS_METACOPY,
  IS_OPAQUE,
  IS_SHARED,
  IS_UNLINKED,
  type Node,
  WHITEOUT_ENTRY,
} from "../nodes.ts";
import { copyUp, markImpure } from "./copy-up.ts";
import { noteLinks } from "./hard-links.ts";
import { entryAt, shareByLower, shareByUpper } from "./lookup.ts";
import { setRedirect } from "./rename.ts";
import { isDirectoryMode } from "./rules.ts";
import type { Overlay, UpperLayer } from "./state.ts";
import { setOpaque } from "./whiteout.ts";
import { canHave } from "./xattrs.ts";

/** @returns the new node; EPERM for a character device 0:0, which would be a whiteout. */
export function create(overlay: Overlay, directory: Node, name: Name, init: NewInode): Node | Errno {
  const { writable: upper, nodes } = overlay;
  if ((init.mode & S_IFMT) === S_IFCHR && init.rdev === 0) return EPERM;
  const overWhiteout = entryAt(overlay, directory, name) === WHITEOUT_ENTRY;
  const failed = copyUp(overlay, directory) ?? refuseIn(overlay, directory, overWhiteout ? name : undefined);
  if (failed !== undefined) return failed;
  const isDirectory = isDirectoryMode(init.mode);
  const opaque = isDirectory && (overWhiteout || (overlay.isMerged(directory) && marksNewDirectories(overlay)));
  const inode = overWhiteout
    ? createOverWhiteout(overlay, upper, { directory: nodes.upperOf(directory), name, init })
    : upper.fs.create(nodes.upperOf(directory), name, init);
  if (isErrno(inode)) return inode;
  // Failing to mark a directory that hides nothing is no error.
  if (opaque && !overWhiteout) setOpaque(overlay, inode);
  overlay.counters.upperCreates += 1;
  const node = overlay.addNode(inode, 0, (isDirectory ? IS_DIRECTORY : 0) | (opaque ? IS_OPAQUE : 0), init.mode);
  nodes.enter(directory, name, node);
  return node;
}

/** The upper filesystem makes nothing in a directory that it has removed (may_create). @param over - the name of a whiteout that is to be replaced */
function refuseIn(overlay: Overlay, directory: Node, over: Name | undefined): Errno | undefined {
  if (overlay.replaced.has(directory)) return ENOENT;
  return over !== undefined && overlay.lacksWhiteout(directory, over) ? ESTALE : undefined;
}

/** Whether a directory made in a merged one is marked opaque, lest layers changed while unmounted show through (ovl_allow_offline_changes). */
function marksNewDirectories(overlay: Overlay): boolean {
  const { options } = overlay;
  const allowsOfflineChanges = !options.index && !options.metacopy && options.redirectDir !== "on" && options.xino !== "on";
  return overlay.profile.opaqueOnMkdir || !allowsOfflineChanges;
}

interface NewPlace {
  readonly directory: Inode;
  readonly name: Name;
  readonly init: NewInode;
}

function createOverWhiteout(overlay: Overlay, upper: UpperLayer, place: NewPlace): Inode | Errno {
  const passing = overlay.temporaryName();
  const inode = upper.fs.create(upper.work, passing, place.init);
  if (isErrno(inode)) {
    overlay.freeName(passing);
    return inode;
  }
  const isDirectory = isDirectoryMode(place.init.mode);
  const failed =
    (isDirectory ? setOpaque(overlay, inode) : undefined) ??
    upper.fs.rename(upper.work, passing, place.directory, place.name, isDirectory ? RENAME_EXCHANGE : 0);
  // An exchange leaves the whiteout there.
  if (failed !== undefined || isDirectory) overlay.discard(passing, failed !== undefined && isDirectory);
  else overlay.freeName(passing);
  return failed ?? inode;
}

/** An inode without a name, held once for the caller. */
export function tmpfile(overlay: Overlay, directory: Node, init: NewInode): Node | Errno {
  const { writable: upper, nodes } = overlay;
  const failed = copyUp(overlay, directory);
  if (failed !== undefined) return failed;
  const inode = upper.fs.tmpfile(nodes.upperOf(directory), init);
  if (isErrno(inode)) return inode;
  overlay.counters.upperCreates += 1;
  const node = overlay.addNode(inode, 0, IS_UNLINKED | HOLDS_UPPER, init.mode);
  overlay.nodes.hold(node);
  return node;
}

/** Another name for a node, which is copied up. */
export function link(overlay: Overlay, source: Node, directory: Node, name: Name): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  const overWhiteout = entryAt(overlay, directory, name) === WHITEOUT_ENTRY;
  const failed =
    copyUp(overlay, source) ?? copyUp(overlay, directory) ?? refuseIn(overlay, directory, overWhiteout ? name : undefined);
  if (failed !== undefined) return failed;
  if (nodes.has(source, IS_METACOPY)) {
    const place = { directory: nodes.parentOf(source), name: nodes.nameOf(source), node: source };
    const redirected = setRedirect(overlay, place, false);
    if (redirected !== undefined) return redirected;
  }
  const unmarked = (nodes.has(source, HAS_ORIGIN) ? markImpure(overlay, directory) : undefined) ?? noteLinks(overlay, source);
  if (unmarked !== undefined) return unmarked;
  const linked = overWhiteout
    ? linkOverWhiteout(overlay, source, nodes.upperOf(directory), name)
    : upper.fs.link(nodes.upperOf(source), nodes.upperOf(directory), name);
  if (linked !== undefined) return linked;
  if (nodes.has(source, HAS_ORIGIN) && !keepsOrigin(overlay, source)) {
    // What the name leads to is looked for on the upper layer: while that has no data, it is what lies below by a redirect, and else an inode of its
    // own in the mount (ovl_hash_bylower), as stat shows.
    if (nodes.has(source, IS_METACOPY)) shareByLower(overlay, source);
    nodes.forget(directory, name);
    return undefined;
  }
  if (overlay.indexesAll && nodes.has(source, IS_INDEXED)) {
    // Found by the index when it is asked for. Nothing but its names keeps the node until then, and the next one counts anew (indexedNode).
    nodes.forget(directory, name);
    return undefined;
  }
  if (!nodes.has(source, IS_SHARED) || overlay.byUpper.get(nodes.upperOf(source)) !== source) shareByUpper(overlay, source);
  nodes.clear(source, IS_UNLINKED);
  nodes.enter(directory, name, source);
  return undefined;
}

/** Whether a copy keeps the handle of what it was copied from: not of a filesystem without handles, nor where its kind of inode has no such xattr. */
function keepsOrigin(overlay: Overlay, node: Node): boolean {
  const { nodes, view, xattrs } = overlay;
  return view.fsOf(nodes.lowerOf(node)).handles !== undefined && canHave(xattrs, nodes.typeOf(node));
}

function linkOverWhiteout(overlay: Overlay, source: Node, directory: Inode, name: Name): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  const passing = overlay.temporaryName();
  const failed = upper.fs.link(nodes.upperOf(source), upper.work, passing);
  if (failed === undefined) {
    const moved = upper.fs.rename(upper.work, passing, directory, name, 0);
    if (moved === undefined) overlay.freeName(passing);
    else overlay.discard(passing, false);
    return moved;
  }
  overlay.freeName(passing);
  return failed;
}
