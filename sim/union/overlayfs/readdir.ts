/**
 * What a directory of the union holds (fs/overlayfs/readdir.c; union.md 1.2 and section 7).
 *
 * Interface: a directory that is made up of one real directory is read straight from it, stray whiteouts included; a merged one shows each
 * name once and no whiteout.
 */
import { ENOENT, type Errno, isErrno } from "../../core/errno.ts";
import type { VisitEntry } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";
import { type Listing, type ListingEntry, overListing } from "../listing.ts";
import { IS_IMPURE, type Node } from "../nodes.ts";
import { inodeNumberOf, xinoOf } from "./attributes.ts";
import { lookup } from "./lookup.ts";
import type { Overlay } from "./state.ts";

const NOTHING: Listing = { entries: [], lowest: 0 };

/** Visits a directory's entries, hidden ones too. `fromUpper` tells whether the upper layer has the entry. */
export function listMerged(
  overlay: Overlay,
  node: Node,
  visit: (entry: ListingEntry, fromUpper: boolean) => void,
): Errno | undefined {
  const { nodes, view } = overlay;
  const lower = nodes.lowerOf(node);
  const below = lower === 0 ? NOTHING : view.listing(lower);
  if (isErrno(below)) return below;
  if (!nodes.hasUpper(node)) {
    for (const entry of below.entries) visit(entry, false);
    return undefined;
  }
  const own = upperEntries(overlay, { fs: overlay.writable.fs, inode: nodes.upperOf(node) });
  if (isErrno(own)) return own;
  const names = new Set<number>();
  for (const entry of own) {
    names.add(entry.name);
    if (entry.hidden) visit(entry, true);
  }
  for (const entry of overListing(own, below)) visit(entry, names.has(entry.name));
  return undefined;
}

function upperEntries(overlay: Overlay, directory: LayerDirectory): ListingEntry[] | Errno {
  const entries: ListingEntry[] = [];
  // In the upper layer no directory is one of xattr whiteouts: they are meant for lower layers only.
  const failed = overlay.rules.list(directory.fs, directory.inode, (name, inodeNumber, type, hidden) => {
    entries.push({ name, inodeNumber, type, hidden, doubtful: false });
  });
  return failed ?? entries;
}

export function iterate(overlay: Overlay, node: Node, visit: VisitEntry): Errno | undefined {
  if (isReal(overlay, node)) return iterateReal(overlay, node, visit);
  const impure = isImpure(overlay, node);
  // A lookup that fails ends one getdents(2), and the next one goes on past that entry, which is stale now (ovl_cache_update). So the error is seen
  // only where a call has shown nothing yet, as of a second entry in a row; "." stands before the first. One real directory is looked through before
  // anything is shown (ovl_dir_read_impure).
  const merged = overlay.isMerged(node);
  let showsNothing = !merged;
  let lost: Errno | undefined;
  let isNeeded = merged || overlay.numbersDirectories || hasOrigin(overlay, node);
  const failed = listMerged(overlay, node, (entry, fromUpper) => {
    if (entry.hidden) return;
    // With xino every entry is looked up, without one number space none (ovl_calc_d_ino, ovl_cache_update).
    const adjusts = overlay.mapsNumbers || (fromUpper && impure && !overlay.numbersDirectories);
    const child = adjusts || entry.doubtful ? lookup(overlay, node, entry.name) : 0;
    if (child === ENOENT) return;
    if (isErrno(child)) {
      if (showsNothing) lost ??= child;
      showsNothing = true;
      return;
    }
    showsNothing = !merged;
    const number = adjusts ? inodeNumberOf(overlay, child) : entry.inodeNumber;
    isNeeded ||= number !== entry.inodeNumber;
    visit(entry.name, number, entry.type);
  });
  if (impure && !isNeeded && failed === undefined && lost === undefined) clearImpure(overlay, node);
  return failed ?? lost;
}

/** The entries of one real directory, with the numbers that xino gives them (ovl_fill_real). */
function iterateReal(overlay: Overlay, node: Node, visit: VisitEntry): Errno | undefined {
  const fs = overlay.fsOf(node);
  const directory = overlay.inodeOf(node);
  if (!overlay.mapsNumbers) return fs.iterate(directory, visit);
  const more = xinoOf(overlay, fs);
  return fs.iterate(directory, (name, number, type) => visit(name, number + more, type));
}

/** Takes the mark from a directory in which nothing has another number than its own any more, as well as it can (ovl_cache_get_impure). */
function clearImpure({ nodes, writable, xattrs }: Overlay, node: Node): void {
  writable.fs.removexattr(nodes.upperOf(node), xattrs.impure);
  nodes.clear(node, IS_IMPURE);
}

/** Whether the topmost of its directories says that it was copied from another, whatever that is (ovl_path_check_origin_xattr). */
function hasOrigin(overlay: Overlay, node: Node): boolean {
  return !isErrno(overlay.fsOf(node).getxattr(overlay.inodeOf(node), overlay.xattrs.origin));
}

/** Whether the directory's entries are those of one real directory (ovl_dir_is_real). */
function isReal(overlay: Overlay, node: Node): boolean {
  if (overlay.isMerged(node)) return false;
  if (overlay.nodes.hasUpper(node) && isImpure(overlay, node) && !overlay.numbersDirectories) return false;
  // A copied directory that lost what it was merged with may still have whiteouts, in a lower layer too.
  return !hasOrigin(overlay, node);
}

function isImpure(overlay: Overlay, node: Node): boolean {
  const { nodes } = overlay;
  if (nodes.has(node, IS_IMPURE)) return true;
  if (!nodes.hasUpper(node)) return false;
  if (isErrno(overlay.writable.fs.getxattr(nodes.upperOf(node), overlay.xattrs.impure))) return false;
  nodes.set(node, IS_IMPURE);
  return true;
}
