/**
 * What is dirty, in the order in which it became so (kernel: bdi_writeback.b_dirty, inode.dirtied_when): mappings, and pages that have none.
 *
 * Interface: an item is told its place when it is put in, and the queue asks for it (`placeOf`): one whose place is another now is passed over, so
 * that taking an item out costs nothing. Every operation is O(1), amortised; a Map from which the oldest is taken again and again is not.
 */

/** Slots that are passed over before the queue is cut. */
const CUT_SLOTS = 1024;
/** Places are told modulo this. */
const PLACES = 2 ** 32;

export class DirtyQueue<Item> {
  #items: Item[] = [];
  #since: number[] = [];
  /** The first slot that may hold an item. */
  #head = 0;
  /** How many slots were cut off in front. */
  #base = 0;
  readonly #placeOf: (item: Item) => number;

  /** @param placeOf - the place that an item was told, or -1 when it is not in the queue any more. */
  constructor(placeOf: (item: Item) => number) {
    this.#placeOf = placeOf;
  }

  /** Puts an item at the end. @returns its place. */
  add(item: Item, now: number): number {
    const place = this.#placeAt(this.#items.length);
    this.#items.push(item);
    this.#since.push(now);
    return place;
  }

  /** Puts another item at a place that is taken. */
  replace(place: number, item: Item): void {
    this.#items[(place - this.#base + PLACES) % PLACES] = item;
  }

  /** Whether an item is in the queue, at the place that it tells. */
  has(item: Item): boolean {
    const place = this.#placeOf(item);
    return place >= 0 && this.#items[(place - this.#base + PLACES) % PLACES] === item;
  }

  #placeAt(slot: number): number {
    return (this.#base + slot) % PLACES;
  }

  /** The item that has been dirty longest. */
  oldest(): Item | undefined {
    const items = this.#items;
    while (this.#head < items.length && this.#placeOf(items[this.#head] as Item) !== this.#placeAt(this.#head)) this.#head += 1;
    if (this.#head >= CUT_SLOTS && this.#head * 2 >= items.length) {
      this.#items = items.slice(this.#head);
      this.#since = this.#since.slice(this.#head);
      this.#base = (this.#base + this.#head) % PLACES;
      this.#head = 0;
    }
    return this.#items[this.#head];
  }

  /** Those that have been dirty since `before` or earlier, the oldest first. */
  until(before: number): Item[] {
    const out: Item[] = [];
    for (let at = this.#head; at < this.#items.length && (this.#since[at] as number) <= before; at++) {
      const item = this.#items[at] as Item;
      if (this.#placeOf(item) === this.#placeAt(at)) out.push(item);
    }
    return out;
  }
}
