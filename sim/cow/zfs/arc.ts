/**
 * ARC: the memory in which ZFS keeps blocks it has read or written (module/zfs/arc.c), apart from the kernel's page cache.
 *
 * A block is known by its place and its birth, not by its file: a clone and its origin point to the same block and so share its memory until
 * one of them writes. A block that was used once is in the list of recently used ones (MRU), one that was used again at least 62 ms later in
 * that of frequently used ones (MFU). Each list remembers what it gave up lately (its ghosts); a hit among the ghosts makes that list's share
 * of the memory larger.
 *
 * Interface: sizes are in bytes of the block before compression. Counts only grow, but for `size`.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import type { Content } from "../../core/content.ts";
import { type BlockPointer, physicalBirth } from "./block-pointer.ts";

/** arc_min_prefetch_lifespan's sibling ARC_MINTIME: hits nearer together count as one; in nanoseconds. */
const MIN_TIME = 62_000_000;

interface Cached {
  readonly key: number;
  readonly birth: number;
  readonly size: number;
  readonly isData: boolean;
  readonly content: Content;
  /** When it was last used. */
  used: number;
  list: List;
  /** Its neighbours in its list: used before it, and after it. */
  before: Cached | undefined;
  after: Cached | undefined;
}

export interface ArcCounters {
  hits: number;
  misses: number;
  demandDataHits: number;
  demandDataMisses: number;
  ghostHits: number;
  evicted: number;
}

/** Blocks in the order of their last use. Using one again moves it alone, however many there are. */
class List {
  /** Bytes of its blocks. */
  bytes = 0;
  #oldest: Cached | undefined;
  #newest: Cached | undefined;

  get oldest(): Cached | undefined {
    return this.#oldest;
  }

  *values(): Generator<Cached> {
    for (let at = this.#oldest; at !== undefined; at = at.after) yield at;
  }

  add(cached: Cached): void {
    cached.list = this;
    this.bytes += cached.size;
    this.#link(cached);
  }

  delete(cached: Cached): void {
    this.bytes -= cached.size;
    this.#unlink(cached);
  }

  /** Makes a block of the list the one used last. */
  touch(cached: Cached): void {
    if (cached === this.#newest) return;
    this.#unlink(cached);
    this.#link(cached);
  }

  clear(): void {
    this.bytes = 0;
    this.#oldest = undefined;
    this.#newest = undefined;
  }

  #link(cached: Cached): void {
    cached.before = this.#newest;
    cached.after = undefined;
    if (this.#newest === undefined) this.#oldest = cached;
    else this.#newest.after = cached;
    this.#newest = cached;
  }

  #unlink({ before, after }: Cached): void {
    if (before === undefined) this.#oldest = after;
    else before.after = after;
    if (after === undefined) this.#newest = before;
    else after.before = before;
  }
}

/** A block's place as one number: devices are below 2^12, places below 2^41 sectors. */
function keyOf(pointer: BlockPointer): number {
  const dva = pointer.dvas[0];
  return dva === undefined ? -1 : dva.vdev * 2 ** 41 + dva.offset / 512;
}

export class Arc {
  /** Bytes that it may hold. */
  readonly capacity: number;
  readonly counters: ArcCounters = { hits: 0, misses: 0, demandDataHits: 0, demandDataMisses: 0, ghostHits: 0, evicted: 0 };
  size = 0;
  /** Of `size`, what is file data. */
  dataSize = 0;
  readonly #clock: Clock;
  /** Both lists' blocks by their places. */
  readonly #blocks = new Map<number, Cached>();
  readonly #recent: List = new List();
  readonly #frequent: List = new List();
  readonly #recentGhosts = new Map<number, number>();
  readonly #frequentGhosts = new Map<number, number>();
  #ghostSizes: [number, number] = [0, 0];
  /** The share of the memory that recently used blocks should have (p), in bytes. */
  #target: number;

  constructor(clock: Clock, capacity: number) {
    this.#clock = clock;
    this.capacity = capacity;
    this.#target = capacity / 2;
  }

  /** The block, if it is in memory; counts a hit or a miss. */
  get(pointer: BlockPointer): Content | undefined {
    const key = keyOf(pointer);
    const isData = pointer.kind === "data" && pointer.level === 0;
    const found = this.#blocks.get(key);
    if (found === undefined || found.birth !== physicalBirth(pointer)) {
      this.counters.misses += 1;
      if (isData) this.counters.demandDataMisses += 1;
      return undefined;
    }
    this.counters.hits += 1;
    if (isData) this.counters.demandDataHits += 1;
    const now = this.#clock.now;
    const again = now - found.used >= MIN_TIME;
    found.used = now;
    if (again && found.list === this.#recent) {
      this.#recent.delete(found);
      this.#frequent.add(found);
    } else found.list.touch(found);
    return found.content;
  }

  /** Whether the block is in memory; counts nothing. */
  has(pointer: BlockPointer): boolean {
    const key = keyOf(pointer);
    return this.#blocks.get(key)?.birth === physicalBirth(pointer);
  }

  /** Keeps a block that was read or written. */
  add(pointer: BlockPointer, content: Content): void {
    const key = keyOf(pointer);
    if (key < 0 || pointer.logicalSize > this.capacity) return;
    const before = this.#blocks.get(key);
    if (before !== undefined) this.#forget(before);
    const isData = pointer.kind === "data" && pointer.level === 0;
    const size = pointer.logicalSize;
    const used = this.#clock.now;
    const cached: Cached = {
      key,
      birth: physicalBirth(pointer),
      size,
      isData,
      content,
      used,
      list: this.#recent,
      before: undefined,
      after: undefined,
    };
    this.#blocks.set(key, cached);
    (this.#wasGhost(key, size) ? this.#frequent : this.#recent).add(cached);
    this.size += size;
    if (isData) this.dataSize += size;
    while (this.size > this.capacity) this.#evict();
  }

  /** Forgets a block that was freed. */
  remove(pointer: BlockPointer): void {
    const found = this.#blocks.get(keyOf(pointer));
    if (found?.birth === physicalBirth(pointer)) this.#forget(found);
  }

  /** Forgets everything: the pool is exported. */
  clear(): void {
    for (const list of [this.#blocks, this.#recent, this.#frequent, this.#recentGhosts, this.#frequentGhosts]) list.clear();
    this.size = 0;
    this.dataSize = 0;
    this.#ghostSizes = [0, 0];
  }

  #forget(found: Cached): void {
    this.#blocks.delete(found.key);
    found.list.delete(found);
    this.size -= found.size;
    if (found.isData) this.dataSize -= found.size;
  }

  /** A block that comes back after it was given up shows which list was too short (arc_adapt). */
  #wasGhost(key: number, size: number): boolean {
    const wasRecent = this.#recentGhosts.has(key);
    const ghosts = wasRecent ? this.#recentGhosts : this.#frequentGhosts;
    const known = ghosts.get(key);
    if (known === undefined) return false;
    ghosts.delete(key);
    this.#ghostSizes[wasRecent ? 0 : 1] -= known;
    this.counters.ghostHits += 1;
    const step = wasRecent ? size : -size;
    this.#target = Math.min(this.capacity, Math.max(0, this.#target + step));
    return true;
  }

  #evict(): void {
    const fromRecent =
      this.#recent.oldest !== undefined && (this.#recent.bytes > this.#target || this.#frequent.oldest === undefined);
    const list = fromRecent ? this.#recent : this.#frequent;
    const found = list.oldest as Cached;
    const { key } = found;
    this.#forget(found);
    this.counters.evicted += 1;
    const ghosts = fromRecent ? this.#recentGhosts : this.#frequentGhosts;
    const index = fromRecent ? 0 : 1;
    ghosts.set(key, found.size);
    this.#ghostSizes[index] += found.size;
    while (this.#ghostSizes[index] > this.capacity) {
      const [oldest, size] = ghosts.entries().next().value as [number, number];
      ghosts.delete(oldest);
      this.#ghostSizes[index] -= size;
    }
  }

  /** Throws an InvariantError when sizes do not add up. */
  check(): void {
    let size = 0;
    let data = 0;
    let blocks = 0;
    for (const list of [this.#recent, this.#frequent]) {
      let bytes = 0;
      for (const cached of list.values()) {
        if (this.#blocks.get(cached.key) !== cached || cached.list !== list)
          throw new InvariantError(`ARC: block ${cached.key} is in a wrong list`);
        bytes += cached.size;
        if (cached.isData) data += cached.size;
        blocks += 1;
      }
      assert(bytes === list.bytes, `ARC: ${list.bytes} bytes of a list are counted, ${bytes} held`);
      size += bytes;
    }
    assert(blocks === this.#blocks.size, `ARC: ${this.#blocks.size} blocks are known, ${blocks} in its lists`);
    assert(size === this.size && data === this.dataSize, `ARC: ${this.size} bytes are counted, ${size} held`);
    assert(this.size <= this.capacity, `ARC: ${this.size} bytes in memory for ${this.capacity}`);
  }
}
