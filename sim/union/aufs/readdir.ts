/**
 * Listing a directory: the branches from the top down, each name where it is seen first (fs/aufs/vdir.c; spec/union.md section 16), and what
 * a directory that shows nothing is (fs/aufs/dir.c, au_test_empty, au_test_empty_lower).
 */
import { ENOENT, ENOTEMPTY, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import type { VisitEntry } from "../../vfs/filesystem.ts";
import type { ListingEntry } from "../listing.ts";
import { type Node, WHITEOUT_ENTRY } from "../nodes.ts";
import { IS_UNLISTABLE } from "./flags.ts";
import { lookup } from "./lookup.ts";
import { UPPER_BRANCH } from "./rules.ts";
import type { Aufs } from "./state.ts";

const NONE: readonly ListingEntry[] = [];

function upperEntries(aufs: Aufs, node: Node): readonly ListingEntry[] | Errno {
  const { nodes, upper } = aufs;
  if (upper === undefined || !nodes.hasUpper(node)) return NONE;
  const entries: ListingEntry[] = [];
  const failed = aufs.rules.list(
    upper.fs,
    nodes.upperOf(node),
    0,
    (name, inodeNumber, type, hidden) => entries.push({ name, inodeNumber, type, hidden }),
    UPPER_BRANCH,
  );
  return failed ?? entries;
}

function lowerEntries(aufs: Aufs, node: Node): readonly ListingEntry[] | Errno {
  const lower = aufs.nodes.lowerOf(node);
  if (lower === 0) return NONE;
  const below = aufs.view.listing(lower);
  return isErrno(below) ? below : below.entries;
}

/** What a directory shows. */
function shownEntries(aufs: Aufs, node: Node): ListingEntry[] | Errno {
  const above = upperEntries(aufs, node);
  if (isErrno(above)) return above;
  const below = lowerEntries(aufs, node);
  if (isErrno(below)) return below;
  if (above.length === 0) return below.filter((entry) => !entry.hidden);
  const hidden = new Set<Name>();
  for (const entry of above) if (entry.hidden) hidden.add(entry.name);
  const shown = above.filter((entry) => !entry.hidden && !hidden.has(entry.name));
  if (below.length === 0) return shown;
  for (const entry of shown) hidden.add(entry.name);
  for (const entry of below) if (!entry.hidden && !hidden.has(entry.name)) shown.push(entry);
  return shown;
}

/** d_ino is the number that stat would show, which an inode that was not met yet gets now. */
export function iterate(aufs: Aufs, node: Node, visit: VisitEntry): Errno | undefined {
  // Recorded once, with no reason to be seen in the source.
  if (aufs.nodes.has(node, IS_UNLISTABLE)) return ENOENT;
  const shown = shownEntries(aufs, node);
  if (isErrno(shown)) return shown;
  const { dentries } = aufs.nodes;
  for (const { name, inodeNumber, type } of shown) {
    // A name without a type is too long to be looked up.
    const known = type === 0 ? 0 : dentries.lookup(node, name);
    const child = known !== 0 || type === 0 ? known : lookup(aufs, node, name);
    visit(name, isErrno(child) || child === 0 || child >= WHITEOUT_ENTRY ? inodeNumber : aufs.numberOf(child), type);
  }
  return undefined;
}

/** @returns ENOTEMPTY while a directory shows an entry, one that is too long to be reached too. */
export function testEmpty(aufs: Aufs, node: Node): Errno | undefined {
  const shown = shownEntries(aufs, node);
  if (isErrno(shown)) return shown;
  return shown.length > 0 ? ENOTEMPTY : undefined;
}

/**
 * Whether every name of a directory's lower branches has a whiteout above it; an entry of the same name does not count.
 * @returns ENOTEMPTY where one has none.
 */
export function testLowerEmpty(aufs: Aufs, node: Node): Errno | undefined {
  const below = lowerEntries(aufs, node);
  if (isErrno(below) || below.length === 0) return isErrno(below) ? below : undefined;
  const above = upperEntries(aufs, node);
  if (isErrno(above)) return above;
  const covered = new Set<Name>();
  for (const entry of above) if (entry.hidden) covered.add(entry.name);
  return below.some((entry) => !entry.hidden && !covered.has(entry.name)) ? ENOTEMPTY : undefined;
}
