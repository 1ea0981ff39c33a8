/**
 * Finding a name: the upper layer first, then the merged view of what lies below (fs/overlayfs/namei.c, ovl_lookup; union.md 1.2).
 */
import { EIO, ENOENT, ENOTSUP, EPERM, type Errno, ESTALE, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, S_IFDIR, typeOf } from "../../vfs/filesystem.ts";
import { ABSENT, OPAQUE, WHITEOUT } from "../layer.ts";
import { VIEW_ROOT } from "../lower-view.ts";
import {
  HAS_ORIGIN,
  HAS_REDIRECT,
  IS_DIRECTORY,
  IS_INDEXED,
  IS_METACOPY,
  IS_OPAQUE,
  IS_SHARED,
  NEGATIVE_ENTRY,
  NO_UPPER,
  type Node,
  ROOT_NODE,
  WHITEOUT_ENTRY,
} from "../nodes.ts";
import type { ViewNode } from "../view-nodes.ts";
import { markImpure } from "./copy-up.ts";
import { hasIndexEntry, indexedNode, isIndexedCopy, lowerLinks } from "./hard-links.ts";
import { decodeOrigin, encodeOrigin, readReached } from "./origin.ts";
import { isDirectoryMode, isFileMode } from "./rules.ts";
import type { Overlay } from "./state.ts";

/** @returns the node, ENOENT, or EPERM, EINVAL, ESTALE of a redirect. */
export function lookup(overlay: Overlay, directory: Node, name: Name): Node | Errno {
  const child = entryAt(overlay, directory, name);
  return isErrno(child) || child < WHITEOUT_ENTRY ? child : ENOENT;
}

/** The same, but where the name is absent its entry: NEGATIVE_ENTRY, or WHITEOUT_ENTRY where the upper layer has a whiteout. */
export function entryAt(overlay: Overlay, directory: Node, name: Name): Node | Errno {
  const known = overlay.nodes.dentries.lookup(directory, name);
  if (known === 0) return meet(overlay, directory, name);
  // Which of its names a copy-up gives a hard link is the one that was walked last.
  if (known < WHITEOUT_ENTRY && overlay.nodes.has(known, IS_INDEXED)) overlay.nodes.seeAs(known, directory, name);
  return known;
}

/** The first lookup of a name. */
function meet(overlay: Overlay, directory: Node, name: Name): Node | Errno {
  const { nodes, counters } = overlay;
  counters.lookups += 1;
  if (nodes.hasUpper(directory)) {
    counters.layerLookups += 1;
    const found = overlay.rules.probe(overlay.writable.fs, nodes.upperOf(directory), name);
    if (isErrno(found)) return found;
    if (found === WHITEOUT) return nodes.noteAbsent(directory, name, WHITEOUT_ENTRY);
    if (found !== ABSENT) return meetUpper(overlay, directory, name, found as Inode);
  }
  const below = nodes.lowerOf(directory);
  const lower = below === 0 ? 0 : overlay.view.lookup(below, name);
  if (isErrno(lower)) return lower;
  if (below !== 0) counters.layerLookups += overlay.view.lastProbes;
  if (lower === 0) return nodes.noteAbsent(directory, name, NEGATIVE_ENTRY);
  // Two directories must not stand for one lower directory: a redirected one may have been met before.
  if (overlay.redirects.size > 0 && overlay.view.isDirectory(lower) && overlay.byLower.has(overlay.lowerKey(lower)))
    return ESTALE;
  if (overlay.indexesAll && overlay.view.isDirectory(lower) && hasIndexEntry(overlay, lower)) return EIO;
  const node = overlay.view.isDirectory(lower) ? overlay.addNode(NO_UPPER, lower, IS_DIRECTORY) : lowerNode(overlay, lower);
  if (isErrno(node)) return node;
  nodes.enter(directory, name, node);
  return node;
}

/**
 * The node of a lower object that is no directory. Names of one inode are one node only where no copy-up can part them: without an upper
 * layer, or with an index (ovl_hash_bylower).
 */
function lowerNode(overlay: Overlay, lower: ViewNode): Node | Errno {
  const { view, attributes } = overlay;
  if (overlay.upper !== undefined && !overlay.options.index) return overlay.addNode(NO_UPPER, lower, HAS_ORIGIN);
  const failed = view.fsOf(lower).getattr(view.inodeOf(lower), attributes);
  if (failed !== undefined) return failed;
  if (attributes.nlink === 1 && !overlay.indexesAll) return overlay.addNode(NO_UPPER, lower, HAS_ORIGIN);
  if (overlay.options.index && overlay.upper !== undefined) return indexedNode(overlay, lower);
  const key = overlay.lowerKey(lower);
  const known = overlay.byLower.get(key);
  if (known !== undefined) return known;
  const node = overlay.addNode(NO_UPPER, view.depthOf(lower) > 1 ? lower : key, IS_SHARED);
  overlay.byLower.set(key, node);
  return node;
}

function meetUpper(overlay: Overlay, directory: Node, name: Name, inode: Inode): Node | Errno {
  const { writable: upper, nodes } = overlay;
  const node = isDirectoryMode(upper.fs.mode(inode))
    ? upperDirectory(overlay, directory, name, inode)
    : upperObject(overlay, directory, name, inode);
  if (!isErrno(node)) nodes.enter(directory, name, node);
  return node;
}

function upperObject(overlay: Overlay, directory: Node, name: Name, inode: Inode): Node | Errno {
  const { writable: upper, attributes } = overlay;
  const failed = upper.fs.getattr(inode, attributes);
  if (failed !== undefined) return failed;
  const shared = attributes.nlink > 1;
  const known = shared ? overlay.byUpper.get(inode) : undefined;
  if (known !== undefined) return known;
  const lacksData = isFileMode(attributes.mode) && overlay.rules.lacksData(upper.fs, inode);
  if (isErrno(lacksData)) return lacksData;
  if (lacksData) return metacopyNode(overlay, directory, name, inode, shared);
  let origin = originOf(overlay, inode);
  if (origin !== 0 && overlay.options.index) {
    const links = lowerLinks(overlay, origin);
    if (isErrno(links)) return links;
    // Also of a file with one name: a mount with nfs_export may have made an entry (ovl_lookup_index).
    const indexed = isIndexedCopy(overlay, origin, inode);
    if (isErrno(indexed)) return indexed;
    if (indexed) return indexedNode(overlay, origin);
    // The number of one of several links, and with nfs_export of any file, is told of by nothing but the index (ovl_getattr, ovl_hash_bylower).
    if (links > 1 || overlay.indexesAll) origin = 0;
  }
  const node = overlay.addNode(inode, origin, origin === 0 ? 0 : HAS_ORIGIN);
  if (shared) shareByUpper(overlay, node);
  return node;
}

/** A file whose attributes are on the upper layer and whose data are below, under its name or where a redirect says. */
function metacopyNode(overlay: Overlay, directory: Node, name: Name, inode: Inode, shared: boolean): Node | Errno {
  const { nodes, view, rules, otherAttributes } = overlay;
  const redirect = rules.redirectOf(overlay.writable.fs, inode);
  if (isErrno(redirect)) return redirect;
  if (!rules.followsMetacopies || (redirect !== undefined && !rules.followsRedirects)) return EPERM;
  const lower = findBelow(overlay, directory, name, redirect);
  if (isErrno(lower)) return lower;
  if (lower === 0 || !isFileMode(view.fsOf(lower).mode(view.inodeOf(lower)))) return EIO;
  const unread = view.fsOf(lower).getattr(view.inodeOf(lower), otherAttributes);
  if (unread !== undefined) return unread;
  const lowerNames = otherAttributes.nlink;
  const known = lowerNames === 1 ? overlay.byLower.get(overlay.lowerKey(lower)) : undefined;
  if (known !== undefined && nodes.upperOf(known) === inode) return known;
  const indexed =
    lowerNames > 1 && overlay.options.index && originOf(overlay, inode) !== 0 && isIndexedCopy(overlay, lower, inode);
  if (isErrno(indexed)) return indexed;
  if (indexed) return indexedNode(overlay, lower);
  const node = overlay.addNode(inode, lower, lowerNames === 1 ? HAS_ORIGIN | IS_METACOPY : IS_METACOPY);
  if (redirect !== undefined) {
    overlay.redirects.set(node, redirect);
    nodes.set(node, HAS_REDIRECT);
  }
  if (shared) shareByUpper(overlay, node);
  return node;
}

/** From now on every name of the node's upper inode leads to the node. */
export function shareByUpper(overlay: Overlay, node: Node): void {
  overlay.byUpper.set(overlay.nodes.upperOf(node), node);
  overlay.nodes.set(node, IS_SHARED);
}

/** From now on every name whose lower inode is the node's leads to the node. */
export function shareByLower(overlay: Overlay, node: Node): void {
  overlay.byLower.set(overlay.lowerKey(overlay.nodes.lowerOf(node)), node);
  overlay.nodes.set(node, IS_SHARED);
}

/** The lower inode from which an upper one was copied, where its number still tells st_ino: not for one of several hard links. */
function originOf(overlay: Overlay, inode: Inode): ViewNode {
  const { writable: upper, view, profile, xattrs, otherAttributes } = overlay;
  if (!profile.originXattr) return 0;
  const value = upper.fs.getxattr(inode, xattrs.origin);
  if (isErrno(value)) return 0;
  const origin = decodeOrigin(value, view.layers);
  if (origin === undefined) return 0;
  const node = view.stray(origin.layer, origin.inode);
  if (!readReached(view.fsOf(node), origin.inode, typeOf(upper.fs, inode), otherAttributes)) return 0;
  return otherAttributes.nlink > 1 && !overlay.options.index ? 0 : node;
}

function upperDirectory(overlay: Overlay, directory: Node, name: Name, inode: Inode): Node | Errno {
  const { writable: upper, nodes, rules } = overlay;
  if ((rules.marksOf(upper.fs, inode) & OPAQUE) !== 0) return overlay.addNode(inode, 0, IS_DIRECTORY | IS_OPAQUE);
  const redirect = rules.redirectOf(upper.fs, inode);
  if (isErrno(redirect)) return redirect;
  if (redirect !== undefined && !rules.followsRedirects) return EPERM;
  const lower = belowUpper(overlay, directory, name, redirect);
  if (isErrno(lower)) return lower;
  const unmarked = lower === 0 ? undefined : markOrigin(overlay, directory, inode, lower);
  if (unmarked !== undefined) return unmarked;
  const key = lower === 0 || (redirect === undefined && overlay.redirects.size === 0) ? 0 : overlay.lowerKey(lower);
  // Two directories must not stand for one lower directory.
  if (key !== 0 && (overlay.byLower.has(key) || (redirect !== undefined && metAt(overlay, directory, redirect) === key)))
    return ESTALE;
  // Where all that is copied up is in the index, what is not there has a number of its own (ovl_hash_bylower).
  const keepsNumber = lower !== 0 && (!overlay.indexesAll || hasIndexEntry(overlay, lower));
  const node = overlay.addNode(inode, lower, keepsNumber ? IS_DIRECTORY | HAS_ORIGIN : IS_DIRECTORY);
  if (redirect !== undefined) {
    overlay.redirects.set(node, redirect);
    nodes.set(node, HAS_REDIRECT);
    if (key !== 0) {
      overlay.byLower.set(key, node);
      nodes.set(node, IS_SHARED);
    }
  }
  return node;
}

/** Gives an upper directory that does not say from what it was copied the origin that it is found to be merged with (ovl_fix_origin). */
function markOrigin(overlay: Overlay, directory: Node, inode: Inode, lower: ViewNode): Errno | undefined {
  const { writable: upper, view, profile, xattrs } = overlay;
  if (!profile.originXattr || !isErrno(upper.fs.getxattr(inode, xattrs.origin))) return undefined;
  const origin = encodeOrigin(view.fsOf(lower), view.inodeOf(lower));
  const failed = upper.fs.setxattr(inode, xattrs.origin, origin, 0);
  if (failed === ENOTSUP) return undefined;
  return failed ?? markImpure(overlay, directory);
}

/** The key of the lower directory of what was met where a redirect leads, or 0. */
function metAt(overlay: Overlay, directory: Node, redirect: string): ViewNode {
  const { nodes, names } = overlay;
  let at = redirect.startsWith("/") ? ROOT_NODE : directory;
  for (const text of redirect.split("/").filter((one) => one !== "")) {
    at = nodes.dentries.lookup(at, names.intern(text));
    if (at === 0 || at >= WHITEOUT_ENTRY) return 0;
  }
  const lower = nodes.lowerOf(at);
  return lower === 0 ? 0 : overlay.lowerKey(lower);
}

/** The lower directory that an upper one is merged with, or 0. */
function belowUpper(overlay: Overlay, directory: Node, name: Name, redirect: string | undefined): ViewNode | Errno {
  const lower = findBelow(overlay, directory, name, redirect);
  if (isErrno(lower)) return redirect === undefined && coversFile(overlay, directory, name) ? 0 : lower;
  return lower === 0 || overlay.view.isDirectory(lower) ? lower : 0;
}

/** Whether an upper directory covers a lower file, which then is looked at no further, refused or not (ovl_lookup_single). */
function coversFile({ nodes, view, rules }: Overlay, directory: Node, name: Name): boolean {
  for (const { fs, inode } of view.stackOf(nodes.lowerOf(directory))) {
    const found = rules.probe(fs, inode, name);
    if (isErrno(found)) return false;
    if (found !== ABSENT) return found !== WHITEOUT && typeOf(fs, found as Inode) !== S_IFDIR;
  }
  return false;
}

/** What the lower layers have under a name of a directory, or where a redirect says. */
function findBelow(overlay: Overlay, directory: Node, name: Name, redirect: string | undefined): ViewNode | Errno {
  const { nodes, view, counters } = overlay;
  const below = nodes.lowerOf(directory);
  let lower: ViewNode | Errno;
  if (redirect?.startsWith("/")) lower = view.lookupRedirect(VIEW_ROOT, redirect);
  else if (below !== 0) lower = redirect === undefined ? view.lookup(below, name) : view.lookupRedirect(below, redirect);
  else return 0;
  if (isErrno(lower)) return lower;
  counters.layerLookups += view.lastProbes;
  return lower;
}
