/**
 * What is dirty, in the order in which it became so (kernel: bdi_writeback.b_dirty, inode.dirtied_when): mappings, and the rows of pages that have
 * none, which take four bytes each.
 *
 * Interface: an item is told its place when it is put in, and the queue asks for it (`placeOf`): one whose place is another now is passed over, so
 * that taking an item out costs nothing. Every operation is O(1), amortised; a Map from which the oldest is taken again and again is not.
 */

/** Slots of a chunk: what the queue grows by, and what it gives up at its front. */
const CHUNK_BITS = 10;
const CHUNK_SLOTS: number = 1 << CHUNK_BITS;
const CHUNK_MASK: number = CHUNK_SLOTS - 1;
/** Places are told modulo one more than this: below 2^31, which an engine keeps in the object that was told. */
const PLACE_MASK: number = 2 ** 31 - 1;

interface Chunk<Item> {
  /** Of each slot, the row; or, below 0, which of `objects`: 0 is -1. */
  readonly slots: Int32Array;
  readonly objects: Item[];
  /** Since when items have been dirty: pairs of a slot and the time of all from there on. */
  readonly since: number[];
}

/** @typeParam Item - what is queued beside rows, which are below 2^31. */
export class DirtyQueue<Item extends object> {
  #chunks: Chunk<Item>[] = [];
  /** The place of the first chunk's first slot, from which slots are counted. */
  #base = 0;
  /** The first slot that may hold an item. */
  #head = 0;
  /** Behind the last one. */
  #end = 0;
  readonly #placeOf: (item: Item | number) => number;

  /** @param placeOf - the place that an item was told, or -1 when it is not in the queue any more. */
  constructor(placeOf: (item: Item | number) => number) {
    this.#placeOf = placeOf;
  }

  /** Puts an item at the end. @returns its place. */
  add(item: Item | number, now: number): number {
    if ((this.#end & CHUNK_MASK) === 0) this.#addChunk();
    const slot = this.#end++;
    const { since } = this.#chunkOf(slot);
    if (since.at(-1) !== now) since.push(slot & CHUNK_MASK, now);
    this.#put(slot, item);
    return this.#placeAt(slot);
  }

  #put(slot: number, item: Item | number): void {
    const { slots, objects } = this.#chunkOf(slot);
    slots[slot & CHUNK_MASK] = typeof item === "number" ? item : -objects.push(item);
  }

  /** Puts another item at a place that is taken. */
  replace(place: number, item: Item): void {
    this.#put(this.#slotAt(place), item);
  }

  /** The item at a place that is taken. */
  at(place: number): Item | number {
    return this.#itemAt(this.#slotAt(place));
  }

  /** Whether an item is in the queue, at the place that it tells. */
  has(item: Item | number): boolean {
    const place = this.#placeOf(item);
    if (place < 0) return false;
    const slot = this.#slotAt(place);
    return slot < this.#end && this.#itemAt(slot) === item;
  }

  #chunkOf(slot: number): Chunk<Item> {
    return this.#chunks[slot >>> CHUNK_BITS] as Chunk<Item>;
  }
  #itemAt(slot: number): Item | number {
    const { slots, objects } = this.#chunkOf(slot);
    const item = slots[slot & CHUNK_MASK] as number;
    return item >= 0 ? item : (objects[-item - 1] as Item);
  }
  #placeAt(slot: number): number {
    return (this.#base + slot) & PLACE_MASK;
  }
  #slotAt(place: number): number {
    return (place - this.#base) & PLACE_MASK;
  }

  /** Of files that come and go, what has gone is given up before there is room for more. */
  #addChunk(): void {
    this.#passGone();
    this.#chunks.push({ slots: new Int32Array(CHUNK_SLOTS), objects: [], since: [] });
  }

  /** Goes on to the first slot that holds an item. Every slot is passed once. */
  #passGone(): void {
    while (this.#head < this.#end && this.#placeOf(this.#itemAt(this.#head)) !== this.#placeAt(this.#head)) this.#head += 1;
    const chunks = this.#head >>> CHUNK_BITS;
    if (chunks === 0) return;
    this.#chunks.splice(0, chunks);
    this.#base = this.#placeAt(chunks * CHUNK_SLOTS);
    this.#head -= chunks * CHUNK_SLOTS;
    this.#end -= chunks * CHUNK_SLOTS;
  }

  /** The item that has been dirty longest. */
  oldest(): Item | number | undefined {
    this.#passGone();
    return this.#head < this.#end ? this.#itemAt(this.#head) : undefined;
  }

  /** Those that have been dirty since `before` or earlier, the oldest first. */
  until(before: number): (Item | number)[] {
    const out: (Item | number)[] = [];
    const end = this.#behind(before);
    for (let slot = this.#head; slot < end; slot++) {
      const item = this.#itemAt(slot);
      if (this.#placeOf(item) === this.#placeAt(slot)) out.push(item);
    }
    return out;
  }

  /** The first slot from the head on whose item has been dirty for less than since `before`. */
  #behind(before: number): number {
    for (let index = this.#head >>> CHUNK_BITS; index < this.#chunks.length; index++) {
      const { since } = this.#chunks[index] as Chunk<Item>;
      for (let pair = 0; pair < since.length; pair += 2)
        if ((since[pair + 1] as number) > before) return (index << CHUNK_BITS) + (since[pair] as number);
    }
    return this.#end;
  }
}
