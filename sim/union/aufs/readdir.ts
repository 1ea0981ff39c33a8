/**
 * Listing a directory: the branches from the top down, each name where it is seen first (fs/aufs/vdir.c; spec/union.md section 16).
 */
import { ENOENT, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import type { VisitEntry } from "../../vfs/filesystem.ts";
import type { VisitLayerEntry } from "../layer.ts";
import type { ListingEntry } from "../listing.ts";
import { type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import { IS_UNLISTABLE } from "./flags.ts";
import { lookup } from "./lookup.ts";
import type { Aufs } from "./state.ts";
import { isFresh } from "./udba.ts";

const NONE: readonly ListingEntry[] = [];

/** What the upper branches have: names that show, in the order of sight, and all names, whiteouts' too. The lowest branch's whiteouts hide nothing. */
function upperEntries(aufs: Aufs, node: Node): UpperEntries | Errno {
  const shown: ListingEntry[] = [];
  const seen = new Set<Name>();
  const tail = aufs.tailOf(node);
  for (const [branch, { fs, permission }] of aufs.uppers.entries()) {
    const inode = aufs.inodeOn(node, branch);
    if (inode === undefined) continue;
    const heeds = permission.whiteouts && branch !== tail;
    const failed = aufs.rules.listBranch(fs, inode, heeds, (name, inodeNumber, type, hidden) => {
      if (!hidden && !seen.has(name)) shown.push({ name, inodeNumber, type, hidden, doubtful: false });
      seen.add(name);
    });
    if (failed !== undefined) return failed;
  }
  return { shown, seen };
}

interface UpperEntries {
  readonly shown: readonly ListingEntry[];
  readonly seen: ReadonlySet<Name>;
}

function lowerEntries(aufs: Aufs, node: Node): readonly ListingEntry[] | Errno {
  const lower = aufs.nodes.lowerOf(node);
  if (lower === 0) return NONE;
  const below = aufs.view.listing(lower);
  return isErrno(below) ? below : below.entries;
}

/** What a directory shows. */
function shownEntries(aufs: Aufs, node: Node): readonly ListingEntry[] | Errno {
  const above = upperEntries(aufs, node);
  if (isErrno(above)) return above;
  const below = lowerEntries(aufs, node);
  if (isErrno(below)) return below;
  if (below.length === 0) return above.shown;
  if (above.seen.size === 0) return below.filter((entry) => !entry.hidden);
  const shown = [...above.shown];
  for (const entry of below) if (!entry.hidden && !above.seen.has(entry.name)) shown.push(entry);
  return shown;
}

/** What a listing gives: where branches are changed beside the mount, perhaps what it gave a while ago. */
function listed(aufs: Aufs, node: Node): readonly ListingEntry[] | Errno {
  if (aufs.options.udba === undefined) return shownEntries(aufs, node);
  const known = aufs.listings.get(node);
  if (known !== undefined && isFresh(aufs, known.readAt)) return known.shown;
  const shown = shownEntries(aufs, node);
  if (!isErrno(shown)) aufs.listings.set(node, { shown, readAt: aufs.clock.now });
  return shown;
}

/** d_ino is the number that stat would show, which an inode that was not met yet gets now. */
export function iterate(aufs: Aufs, node: Node, visit: VisitEntry): Errno | undefined {
  // Recorded once, with no reason to be seen in the source.
  if (aufs.nodes.has(node, IS_UNLISTABLE)) return ENOENT;
  const shown = listed(aufs, node);
  if (isErrno(shown)) return shown;
  const whiteouts = aufs.options.showWhiteouts ? whiteoutEntries(aufs, node) : NONE;
  if (isErrno(whiteouts)) return whiteouts;
  const { dentries } = aufs.nodes;
  for (const { name, inodeNumber, type } of shown) {
    // A name without a type is too long to be looked up.
    const known = type === 0 ? 0 : dentries.lookup(node, name);
    const child = known !== 0 || type === 0 ? known : lookup(aufs, node, name);
    visit(name, isErrno(child) || child === 0 || child >= WHITEOUT_ENTRY ? inodeNumber : aufs.numberOf(child), type);
  }
  for (const { name, inodeNumber } of whiteouts) visit(name, inodeNumber, 0);
  return undefined;
}

/** aufs's own files of all branches under their names, which shwh lists behind the others (au_handle_shwh, aufs 6.x [S]). */
function whiteoutEntries(aufs: Aufs, node: Node): readonly ListingEntry[] | Errno {
  const { rules, nodes } = aufs;
  const found = new Map<Name, ListingEntry>();
  const visit: VisitLayerEntry = (name, inodeNumber, type, hidden) => {
    const whiteout = rules.whiteouts.of(name);
    if (hidden && !found.has(whiteout)) found.set(whiteout, { name: whiteout, inodeNumber, type, hidden, doubtful: false });
  };
  for (const [branch, { fs, permission }] of aufs.uppers.entries()) {
    const inode = aufs.inodeOn(node, branch);
    const failed = inode === undefined ? undefined : rules.listBranch(fs, inode, permission.whiteouts, visit);
    if (failed !== undefined) return failed;
  }
  const lower = nodes.lowerOf(node);
  for (const { fs, inode, layer } of lower === 0 ? [] : aufs.view.stackOf(lower)) {
    const failed = rules.list(fs, inode, visit, layer);
    if (failed !== undefined) return failed;
  }
  return [...found.values()];
}
