/**
 * A column of references by row, in slabs of a thousand rows: it grows by a slab, and copies nothing. A single array of so many is made anew for each
 * half that it grows by, which takes longer than all else that is done with a new row.
 *
 * Interface: rows are counted from 0; the next one is added at the end, and none is taken away.
 */

const SLAB_BITS = 10;
const SLAB_ROWS: number = 1 << SLAB_BITS;
const SLAB_MASK: number = SLAB_ROWS - 1;

/** @typeParam Item - what a row refers to. */
export class Slabs<Item> {
  /** How many rows there are. */
  length = 0;
  readonly #slabs: Item[][] = [];

  get(row: number): Item {
    return (this.#slabs[row >>> SLAB_BITS] as Item[])[row & SLAB_MASK] as Item;
  }

  set(row: number, item: Item): void {
    (this.#slabs[row >>> SLAB_BITS] as Item[])[row & SLAB_MASK] = item;
  }

  push(item: Item): void {
    if ((this.length & SLAB_MASK) === 0) this.#slabs.push([item]);
    else (this.#slabs[this.length >>> SLAB_BITS] as Item[]).push(item);
    this.length += 1;
  }

  /** Each item once that differs from the others. */
  distinct(): Set<Item> {
    const found = new Set<Item>();
    for (const slab of this.#slabs) for (const item of slab) found.add(item);
    return found;
  }
}
