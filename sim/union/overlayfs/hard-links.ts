/**
 * The index: hard links over copy-up under index=on, and whatever is copied up under nfs_export=on (fs/overlayfs/copy_up.c, ovl_link_up,
 * ovl_create_index; util.c, ovl_need_index, ovl_nlink_start, ovl_cleanup_index; union.md 3.8).
 *
 * The first name of a lower inode that is copied up makes an index entry, named by the inode's handle; every further name becomes a hard link
 * to it. What stat counts is the upper inode's links and a difference, kept in an xattr, for the names that are still below. The entry of a
 * directory is a directory that names its copy.
 */
import { EIO, ENODATA, ENOENT, EPERM, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, type NewInode, S_IFDIR, typeOf } from "../../vfs/filesystem.ts";
import { HAS_ORIGIN, IS_DIRECTORY, IS_INDEXED, IS_METACOPY, IS_SHARED, IS_UNLINKED, NO_UPPER, type Node } from "../nodes.ts";
import type { ViewNode } from "../view-nodes.ts";
import { encodeOrigin } from "./origin.ts";
import { isFileMode } from "./rules.ts";
import type { Overlay } from "./state.ts";
import { canHave } from "./xattrs.ts";

const EMPTY_DIRECTORY: NewInode = { mode: S_IFDIR, uid: 0, gid: 0, rdev: 0, target: "" };

/** The index entry's name of a lower inode. */
export function indexName(overlay: Overlay, lower: ViewNode): Name {
  const handle = encodeOrigin(overlay.view.fsOf(lower), overlay.view.inodeOf(lower));
  return overlay.names.intern(Array.from(handle, (byte) => byte.toString(16).padStart(2, "0")).join(""));
}

/** The one node of all names of a lower inode with several links. @param lower - a view node that shows the inode. */
export function indexedNode(overlay: Overlay, lower: ViewNode): Node | Errno {
  const key = overlay.lowerKey(lower);
  const known = overlay.byLower.get(key);
  if (known !== undefined) return known;
  const { writable: upper } = overlay;
  const copy = upper.fs.lookup(overlay.index, indexName(overlay, key));
  // Only a name that is not there says that there is no copy; what cannot be read says nothing.
  if (isErrno(copy) && copy !== ENOENT) return copy;
  if (!isErrno(copy) && !canBeCopy(overlay, lower, copy)) return EIO;
  // Of a file without data the whole stack is needed, not its topmost inode.
  const shown = overlay.view.depthOf(lower) > 1 ? lower : key;
  const node = overlay.addNode(isErrno(copy) ? NO_UPPER : copy, shown, HAS_ORIGIN | IS_INDEXED | IS_SHARED);
  overlay.byLower.set(key, node);
  if (!isErrno(copy)) {
    overlay.byUpper.set(copy, node);
    if (isFileMode(upper.fs.mode(copy)) && overlay.rules.lacksData(upper.fs, copy) === true) overlay.nodes.set(node, IS_METACOPY);
    overlay.linkDifferences.set(node, keptDifference(overlay, lower, copy));
  }
  return node;
}

/** Whether an index entry is of a lower inode's type: that of a file handle that leads nowhere any more, a whiteout, is not (ovl_lookup_index). */
function canBeCopy({ view, writable: { fs }, rules }: Overlay, lower: ViewNode, entry: Inode): boolean {
  const type = typeOf(fs, entry);
  return type === typeOf(view.fsOf(lower), view.inodeOf(lower)) && rules.isWhiteout(fs, entry, type) === false;
}

/** Whether the index entry of a lower inode is its copy of this upper name: one without it is a file of its own (ovl_lookup_index). */
export function isIndexedCopy(overlay: Overlay, lower: ViewNode, copy: Inode): boolean | Errno {
  const entry = overlay.writable.fs.lookup(overlay.index, indexName(overlay, lower));
  return isErrno(entry) ? (entry === ENOENT ? false : entry) : entry === copy;
}

/** Whether a lower directory has an index entry: then it does not stand alone, but has been copied up and moved, or is gone (ovl_lookup_index). */
export function hasIndexEntry(overlay: Overlay, lower: ViewNode): boolean {
  return !isErrno(overlay.writable.fs.lookup(overlay.index, indexName(overlay, lower)));
}

/**
 * How many links a copy has more, or fewer, than its inode: its xattr says so, or tells the difference from the lower inode's. That of a file with one
 * name shows those that it has, its index entry among them, and so does one with an xattr that cannot be meant (ovl_get_nlink).
 */
function keptDifference(overlay: Overlay, lower: ViewNode, copy: Inode): number {
  const below = lowerLinks(overlay, lower);
  const { otherAttributes } = overlay;
  if (isErrno(below) || overlay.writable.fs.getattr(copy, otherAttributes) !== undefined) return 0;
  const { nlink } = otherAttributes;
  return keptLinks(overlay, { below, nlink }, copy, nlink) - nlink;
}

/** The links that a copy's xattr tells of a file with several below; `otherwise` for any other (ovl_get_nlink). @param nlink - those of the copy itself */
export function keptLinks(
  { writable, xattrs }: Overlay,
  { below, nlink }: { readonly below: number; readonly nlink: number },
  copy: Inode,
  otherwise: number,
): number {
  const kept = below === 1 ? ENODATA : writable.fs.getxattr(copy, xattrs.nlink);
  const [, of, difference] = isErrno(kept) ? [] : (/^([LU])([+-]\d+)$/.exec(new TextDecoder().decode(kept)) ?? []);
  if (of === undefined) return otherwise;
  const links = (of === "L" ? below : nlink) + Number(difference);
  return links <= 0 ? otherwise : links;
}

/**
 * i_nlink, where it is not the real inode's count: of what lies below and would get a copy of its own, each name is one inode, with that name alone until
 * it goes (ovl_get_inode, ovl_drop_nlink).
 */
export function ownLinks(overlay: Overlay, node: Node): number | undefined {
  const { nodes } = overlay;
  if (overlay.upper === undefined || nodes.hasUpper(node) || nodes.has(node, IS_DIRECTORY | IS_INDEXED)) return undefined;
  return nodes.has(node, IS_UNLINKED) ? 0 : 1;
}

/** The links of a lower inode. */
export function lowerLinks(overlay: Overlay, lower: ViewNode): number | Errno {
  const { view, otherAttributes } = overlay;
  return view.fsOf(lower).getattr(view.inodeOf(lower), otherAttributes) ?? otherAttributes.nlink;
}

function setDifference(overlay: Overlay, node: Node, difference: number): Errno | undefined {
  overlay.linkDifferences.set(node, difference);
  return writeDifference(overlay, node, "U", difference);
}

/** @param of - whose links the difference adds to: the upper inode's, or the lower's. @returns EPERM where its kind of inode has no such xattr */
function writeDifference(overlay: Overlay, node: Node, of: "U" | "L", difference: number): Errno | undefined {
  if (!canHave(overlay.xattrs, overlay.nodes.typeOf(node))) return EPERM;
  const text = `${of}${difference < 0 ? "" : "+"}${difference}`;
  return overlay.writable.fs.setxattr(overlay.nodes.upperOf(node), overlay.xattrs.nlink, new TextEncoder().encode(text), 0);
}

/**
 * Writes down how many links an indexed object's copy has more than its inode, before one of its names comes or goes (ovl_nlink_start): should that
 * fail halfway, the count holds.
 */
export function noteLinks(overlay: Overlay, node: Node): Errno | undefined {
  const { nodes } = overlay;
  if (!nodes.has(node, IS_INDEXED) || !nodes.hasUpper(node)) return undefined;
  return setDifference(overlay, node, overlay.linkDifferences.get(node) ?? 0);
}

/** Makes the index entry of a directory's copy, where all that is copied up has one. */
export function indexDirectory(overlay: Overlay, node: Node, copy: Inode): Errno | undefined {
  const { writable: upper, nodes, xattrs } = overlay;
  if (!overlay.indexesAll || !nodes.has(node, IS_DIRECTORY)) return undefined;
  const entry = upper.fs.create(overlay.index, indexName(overlay, nodes.lowerOf(node)), EMPTY_DIRECTORY);
  if (isErrno(entry)) return entry;
  return upper.fs.setxattr(entry, xattrs.upper, encodeOrigin(upper.fs, copy), 0);
}

/** Sets the difference of a first copy: the lower inode's links less the one that the copy has, in the index. */
export function countFirstCopy(overlay: Overlay, node: Node, lowerLinks: number): Errno | undefined {
  overlay.byUpper.set(overlay.nodes.upperOf(node), node);
  return setDifference(overlay, node, lowerLinks - 1);
}

/** Whether the upper layer has the name under which the node was last met. */
export function hasUpperName(overlay: Overlay, node: Node): boolean {
  const { nodes } = overlay;
  const parent = nodes.parentOf(node);
  if (!nodes.hasUpper(parent)) return false;
  return overlay.writable.fs.lookup(nodes.upperOf(parent), nodes.nameOf(node)) === nodes.upperOf(node);
}

/**
 * Links the copy to a name that is still below. Meanwhile the xattr tells the difference from the lower inode's links, which holds whether or not the
 * link is made. Precondition: the name's directory is on the upper layer.
 */
export function linkUp(overlay: Overlay, node: Node): Errno | undefined {
  const { writable: upper, nodes, otherAttributes, linkDifferences } = overlay;
  const copy = nodes.upperOf(node);
  const into = nodes.upperOf(nodes.parentOf(node));
  const below = lowerLinks(overlay, nodes.lowerOf(node));
  if (isErrno(below)) return below;
  const unread = upper.fs.getattr(copy, otherAttributes);
  if (unread !== undefined) return unread;
  const difference = linkDifferences.get(node) ?? 0;
  const kept = writeDifference(overlay, node, "L", otherAttributes.nlink + difference - below);
  if (kept !== undefined) return kept;
  const failed = upper.fs.getattr(into, otherAttributes, true);
  if (failed !== undefined) return failed;
  const { atime, mtime } = otherAttributes;
  const linked = upper.fs.link(copy, into, nodes.nameOf(node));
  if (linked !== undefined) return linked;
  // Both as well as they can be: the name is there.
  upper.fs.setattr(into, { atime, mtime });
  return setDifference(overlay, node, difference - 1);
}

/** st_nlink of an indexed node. @param real - its real inode's links. */
export function linksOf(overlay: Overlay, node: Node, real: number): number {
  return overlay.nodes.hasUpper(node) ? real + (overlay.linkDifferences.get(node) ?? 0) : real;
}
