/**
 * Mappings with dirty pages, in the order in which they became dirty (kernel: bdi_writeback.b_dirty, inode.dirtied_when).
 *
 * Interface: a mapping knows its place in the queue (`queuePlace`, -1: it is clean), so that taking one out costs nothing: its
 * slot is passed over later. Every operation is O(1), amortised; a Map from which the oldest is taken again and again is not.
 */

/** What the queue keeps of a mapping. */
export interface Queued {
  queuePlace: number;
}

/** Slots that are passed over before the queue is cut. */
const CUT_SLOTS = 1024;

export class DirtyQueue<Item extends Queued> {
  #items: Item[] = [];
  #since: number[] = [];
  /** The first slot that may hold an item. */
  #head = 0;
  /** How many slots were cut off in front. */
  #base = 0;

  /** Puts a clean mapping at the end. */
  add(item: Item, now: number): void {
    item.queuePlace = this.#base + this.#items.length;
    this.#items.push(item);
    this.#since.push(now);
  }

  remove(item: Item): void {
    item.queuePlace = -1;
  }

  has(item: Item): boolean {
    return item.queuePlace >= 0;
  }

  /** The mapping that has been dirty longest. */
  oldest(): Item | undefined {
    const items = this.#items;
    while (this.#head < items.length && (items[this.#head] as Item).queuePlace !== this.#base + this.#head) this.#head += 1;
    if (this.#head >= CUT_SLOTS && this.#head * 2 >= items.length) {
      this.#items = items.slice(this.#head);
      this.#since = this.#since.slice(this.#head);
      this.#base += this.#head;
      this.#head = 0;
    }
    return this.#items[this.#head];
  }

  /** Those that have been dirty since `before` or earlier, the oldest first. */
  until(before: number): Item[] {
    const out: Item[] = [];
    for (let at = this.#head; at < this.#items.length && (this.#since[at] as number) <= before; at++) {
      const item = this.#items[at] as Item;
      if (item.queuePlace === this.#base + at) out.push(item);
    }
    return out;
  }
}
