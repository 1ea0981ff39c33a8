/**
 * In which order the entries of a directory are read (fs/ext4/dir.c, namei.c: ext4_readdir, ext4_dx_readdir, ext4_htree_fill_tree).
 *
 * A directory of one block and one with a tree of hashes are read in the order of their names' hashes; one that was made with several blocks and has no
 * tree (mke2fs's lost+found) in the order of its blocks.
 */
import type { DirectoryBlock, DirectoryData } from "./directory-data.ts";
import { blockAt } from "./directory-index.ts";
import type { EntryRow } from "./entry-rows.ts";
import type { Ext4State } from "./state.ts";

/** More than a block has entries. */
const PLACES = 1024;
const KEYS: Float64Array = new Float64Array(PLACES);

/** Visits the rows of a directory's entries as readdir tells them. Precondition: the directory was read from the disk. */
export function visitRows(state: Ext4State, data: DirectoryData, visit: (row: EntryRow) => void): void {
  const { leaves, blocks } = data;
  if (leaves === undefined) {
    for (let at = 0; at < blocks.length; at++) {
      const block = blockAt(data, at);
      for (const row of blocks.length === 1 ? hashed(state, block) : inBlockOrder(state, block.rows)) visit(row);
    }
    return;
  }
  for (let at = 0; at < leaves.length; ) {
    let rows: readonly EntryRow[] = hashed(state, blockAt(data, leaves[at]?.at as number));
    // Names of one hash go on in the next leaf.
    for (at++; at < leaves.length && leaves[at]?.continues === true; at++)
      rows = inHashOrder(state, rows.concat(blockAt(data, leaves[at]?.at as number).rows));
    for (const row of rows) visit(row);
  }
}

/** The rows of a block in the order of their names' hashes, in which they are kept until another comes or one goes. */
function hashed(state: Ext4State, block: DirectoryBlock): readonly EntryRow[] {
  if (block.isHashed) return block.rows;
  block.rows = inHashOrder(state, block.rows);
  for (let place = 0; place < block.rows.length; place++) state.dentries.setPlace(block.rows[place] as EntryRow, place);
  block.isHashed = true;
  return block.rows;
}

/** The rows of a block in the order in which they lie there. */
export function inBlockOrder({ dentries }: Ext4State, rows: readonly EntryRow[]): EntryRow[] {
  return sorted(rows, (row) => dentries.offsetOf(row));
}

/** Rows in the order of their names' hashes. */
export function inHashOrder({ dentries, hashes }: Ext4State, rows: readonly EntryRow[]): EntryRow[] {
  const hashOf = (row: EntryRow): number => hashes.of(dentries.name(row));
  const out = sorted(rows, hashOf);
  if (!hasEqual(out.length)) return out;
  const minorOf = (row: EntryRow): number => hashes.minorOf(dentries.name(row));
  return out.sort((one, other) => hashOf(one) - hashOf(other) || minorOf(one) - minorOf(other));
}

/** Whether two of the numbers that were sorted last are equal. */
function hasEqual(length: number): boolean {
  for (let at = 1; at < length; at++)
    if (Math.floor((KEYS[at] as number) / PLACES) === Math.floor((KEYS[at - 1] as number) / PLACES)) return true;
  return false;
}

/** Rows in the order of a number that each has, below 2^31; of equal ones the earlier first. */
function sorted(rows: readonly EntryRow[], numberOf: (row: EntryRow) => number): EntryRow[] {
  const { length } = rows;
  // Number and place in one number each: sorted without a call for each comparison.
  const keys = KEYS.subarray(0, length);
  let last = -1;
  let isSorted = true;
  for (let place = 0; place < length; place++) {
    const key = numberOf(rows[place] as EntryRow) * PLACES + place;
    keys[place] = key;
    isSorted &&= key > last;
    last = key;
  }
  const out = rows.slice();
  if (isSorted) return out;
  keys.sort();
  for (let at = 0; at < length; at++) {
    const key = keys[at] as number;
    out[at] = rows[key - Math.floor(key / PLACES) * PLACES] as EntryRow;
  }
  return out;
}
