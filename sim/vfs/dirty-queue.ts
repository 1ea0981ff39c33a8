/**
 * What is dirty, in the order in which it became so (kernel: bdi_writeback.b_dirty, inode.dirtied_when): mappings, and pages that have none.
 *
 * Interface: an item is told its place when it is put in, and the queue asks for it (`placeOf`): one whose place is another now is passed over, so
 * that taking an item out costs nothing. Every operation is O(1), amortised; a Map from which the oldest is taken again and again is not.
 */

/** Slots of a chunk: what the queue grows by, and what it gives up at its front. */
const CHUNK_BITS = 10;
const CHUNK_SLOTS: number = 1 << CHUNK_BITS;
const CHUNK_MASK: number = CHUNK_SLOTS - 1;
/** Places are told modulo this. */
const PLACES = 2 ** 32;

/** Items, and since when each has been dirty. */
interface Chunk<Item> {
  readonly items: (Item | undefined)[];
  readonly since: Float64Array;
}

export class DirtyQueue<Item> {
  #chunks: Chunk<Item>[] = [];
  /** The place of the first chunk's first slot, from which slots are counted. */
  #base = 0;
  /** The first slot that may hold an item. */
  #head = 0;
  /** Behind the last one. */
  #end = 0;
  readonly #placeOf: (item: Item) => number;

  /** @param placeOf - the place that an item was told, or -1 when it is not in the queue any more. */
  constructor(placeOf: (item: Item) => number) {
    this.#placeOf = placeOf;
  }

  /** Puts an item at the end. @returns its place. */
  add(item: Item, now: number): number {
    if ((this.#end & CHUNK_MASK) === 0) this.#addChunk();
    const slot = this.#end++;
    const chunk = this.#chunkOf(slot);
    chunk.items[slot & CHUNK_MASK] = item;
    chunk.since[slot & CHUNK_MASK] = now;
    return this.#placeAt(slot);
  }

  /** Puts another item at a place that is taken. */
  replace(place: number, item: Item): void {
    const slot = this.#slotAt(place);
    this.#chunkOf(slot).items[slot & CHUNK_MASK] = item;
  }

  /** Whether an item is in the queue, at the place that it tells. */
  has(item: Item): boolean {
    const place = this.#placeOf(item);
    if (place < 0) return false;
    const slot = this.#slotAt(place);
    return slot < this.#end && this.#itemAt(slot) === item;
  }

  #chunkOf(slot: number): Chunk<Item> {
    return this.#chunks[slot >>> CHUNK_BITS] as Chunk<Item>;
  }
  #itemAt(slot: number): Item {
    return this.#chunkOf(slot).items[slot & CHUNK_MASK] as Item;
  }
  #placeAt(slot: number): number {
    return (this.#base + slot) % PLACES;
  }
  #slotAt(place: number): number {
    return (place - this.#base + PLACES) % PLACES;
  }

  /** Of files that come and go, what has gone is given up before there is room for more. */
  #addChunk(): void {
    this.#passGone();
    this.#chunks.push({ items: new Array(CHUNK_SLOTS), since: new Float64Array(CHUNK_SLOTS) });
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
  oldest(): Item | undefined {
    this.#passGone();
    return this.#head < this.#end ? this.#itemAt(this.#head) : undefined;
  }

  /** Those that have been dirty since `before` or earlier, the oldest first. */
  until(before: number): Item[] {
    const out: Item[] = [];
    for (let slot = this.#head; slot < this.#end; slot++) {
      const { items, since } = this.#chunkOf(slot);
      if ((since[slot & CHUNK_MASK] as number) > before) break;
      const item = items[slot & CHUNK_MASK] as Item;
      if (this.#placeOf(item) === this.#placeAt(slot)) out.push(item);
    }
    return out;
  }
}
