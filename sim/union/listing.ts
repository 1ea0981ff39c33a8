/**
 * The merged listing of a directory: whose names come first, and which layer's entry shows.
 *
 * Order of aufs (union.md section 16, fs/aufs/vdir.c): layer by layer from the top, each name where it is seen first.
 * Order of overlayfs (union.md section 7, fs/overlayfs/readdir.c): what the lowest layer holds in that layer's own order, a name that an upper layer has too
 * standing at this place; then what only the layers above hold, topmost layer first. A name that is hidden keeps its place, for an upper
 * layer may show it again.
 */
import { type Errno, isErrno } from "../core/errno.ts";
import type { Name } from "../core/names.ts";
import { S_IFREG } from "../vfs/filesystem.ts";
import type { LayerRules, StackedDirectory, VisitLayerEntry } from "./layer.ts";

/** One name of a merged directory. */
export interface ListingEntry {
  readonly name: Name;
  readonly inodeNumber: number;
  /** Type bits of the mode. */
  readonly type: number;
  /** A whiteout was found first. */
  readonly hidden: boolean;
  /** It may be a whiteout: only looking the name up in the union tells. */
  readonly doubtful: boolean;
}

export interface Listing {
  readonly entries: readonly ListingEntry[];
  /** How many of the entries, from the first on, the lowest layer has. */
  readonly lowest: number;
}

/**
 * Merges a stack of directories, topmost first. Costs what they hold.
 * @param filesMayHide - whether a directory's files may be whiteouts
 */
export function mergeListing(
  stack: readonly StackedDirectory[],
  rules: LayerRules,
  filesMayHide: (directory: StackedDirectory) => boolean,
): Listing | Errno {
  const found = new Map<Name, ListingEntry>();
  const middle: ListingEntry[] = [];
  for (const [index, directory] of stack.entries()) {
    const { fs, inode, layer } = directory;
    const doubts = filesMayHide(directory);
    const isLast = index === stack.length - 1;
    const lowest = isLast && !rules.listsFromTop;
    const visit: VisitLayerEntry = (name, inodeNumber, type, hidden) => {
      const entry = found.get(name) ?? { name, inodeNumber, type, hidden, doubtful: doubts && type === S_IFREG };
      if (lowest) {
        found.delete(name);
        middle.push(entry);
      } else found.set(name, entry);
    };
    const failed = rules.list(fs, inode, visit, layer, isLast);
    if (isErrno(failed)) return failed;
  }
  return { entries: [...middle, ...found.values()], lowest: middle.length };
}

/** Puts an upper layer's entries over the listing of what lies below. */
export function overListing(upper: readonly ListingEntry[], below: Listing): ListingEntry[] {
  const own = new Map<Name, ListingEntry>();
  for (const entry of upper) own.set(entry.name, entry);
  const shown: ListingEntry[] = [];
  const inLowest = below.entries.slice(0, below.lowest);
  for (const entry of inLowest) {
    const over = own.get(entry.name) ?? entry;
    own.delete(entry.name);
    if (!over.hidden) shown.push(over);
  }
  const fromUpper = new Set<Name>();
  for (const entry of own.values()) {
    fromUpper.add(entry.name);
    if (!entry.hidden) shown.push(entry);
  }
  for (let at = below.lowest; at < below.entries.length; at++) {
    const entry = below.entries[at];
    if (entry !== undefined && !entry.hidden && !fromUpper.has(entry.name)) shown.push(entry);
  }
  return shown;
}
