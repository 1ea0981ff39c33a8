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
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import type { Content } from "../../core/content.ts";
import type { BlockPointer } from "./block-pointer.ts";

/** arc_min_prefetch_lifespan's sibling ARC_MINTIME: hits nearer together count as one; in nanoseconds. */
const MIN_TIME = 62_000_000;

interface Cached {
  readonly birth: number;
  readonly size: number;
  readonly isData: boolean;
  readonly content: Content;
  /** When it was last used. */
  used: number;
}

export interface ArcCounters {
  hits: number;
  misses: number;
  demandDataHits: number;
  demandDataMisses: number;
  ghostHits: number;
  evicted: number;
}

type List = Map<number, Cached>;

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
  readonly #recent: List = new Map();
  readonly #frequent: List = new Map();
  readonly #recentGhosts = new Map<number, number>();
  readonly #frequentGhosts = new Map<number, number>();
  #recentSize = 0;
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
    const recent = this.#recent.get(key);
    const found = recent ?? this.#frequent.get(key);
    if (found === undefined || found.birth !== pointer.birth) {
      this.counters.misses += 1;
      if (isData) this.counters.demandDataMisses += 1;
      return undefined;
    }
    this.counters.hits += 1;
    if (isData) this.counters.demandDataHits += 1;
    const now = this.#clock.now;
    const again = now - found.used >= MIN_TIME;
    found.used = now;
    if (recent === undefined) touch(this.#frequent, key, found);
    else if (again) {
      this.#recent.delete(key);
      this.#recentSize -= found.size;
      this.#frequent.set(key, found);
    } else touch(this.#recent, key, found);
    return found.content;
  }

  /** Whether the block is in memory; counts nothing. */
  has(pointer: BlockPointer): boolean {
    const key = keyOf(pointer);
    return (this.#recent.get(key) ?? this.#frequent.get(key))?.birth === pointer.birth;
  }

  /** Keeps a block that was read or written. */
  add(pointer: BlockPointer, content: Content): void {
    const key = keyOf(pointer);
    if (key < 0 || pointer.logicalSize > this.capacity) return;
    this.#forget(key);
    const isData = pointer.kind === "data" && pointer.level === 0;
    const size = pointer.logicalSize;
    const cached: Cached = { birth: pointer.birth, size, isData, content, used: this.#clock.now };
    if (this.#wasGhost(key, size)) this.#frequent.set(key, cached);
    else {
      this.#recent.set(key, cached);
      this.#recentSize += size;
    }
    this.size += size;
    if (isData) this.dataSize += size;
    while (this.size > this.capacity) this.#evict();
  }

  /** Forgets a block that was freed. */
  remove(pointer: BlockPointer): void {
    const key = keyOf(pointer);
    if ((this.#recent.get(key) ?? this.#frequent.get(key))?.birth === pointer.birth) this.#forget(key);
  }

  /** Forgets everything: the pool is exported. */
  clear(): void {
    for (const list of [this.#recent, this.#frequent, this.#recentGhosts, this.#frequentGhosts]) list.clear();
    this.size = 0;
    this.dataSize = 0;
    this.#recentSize = 0;
    this.#ghostSizes = [0, 0];
  }

  #forget(key: number): void {
    const recent = this.#recent.get(key);
    const found = recent ?? this.#frequent.get(key);
    if (found === undefined) return;
    if (recent !== undefined) this.#recentSize -= found.size;
    this.#recent.delete(key);
    this.#frequent.delete(key);
    this.size -= found.size;
    if (found.isData) this.dataSize -= found.size;
  }

  /** A block that comes back after it was given up shows which list was too short (arc_adapt). */
  #wasGhost(key: number, size: number): boolean {
    for (const [index, ghosts] of [this.#recentGhosts, this.#frequentGhosts].entries()) {
      const known = ghosts.get(key);
      if (known === undefined) continue;
      ghosts.delete(key);
      this.#ghostSizes[index as 0 | 1] -= known;
      this.counters.ghostHits += 1;
      const step = index === 0 ? size : -size;
      this.#target = Math.min(this.capacity, Math.max(0, this.#target + step));
      return true;
    }
    return false;
  }

  #evict(): void {
    const fromRecent = this.#recent.size > 0 && (this.#recentSize > this.#target || this.#frequent.size === 0);
    const list = fromRecent ? this.#recent : this.#frequent;
    const [key, found] = list.entries().next().value as [number, Cached];
    this.#forget(key);
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
    for (const list of [this.#recent, this.#frequent]) {
      for (const cached of list.values()) {
        size += cached.size;
        if (cached.isData) data += cached.size;
      }
    }
    assert(size === this.size && data === this.dataSize, `ARC: ${this.size} bytes are counted, ${size} held`);
    assert(this.size <= this.capacity, `ARC: ${this.size} bytes in memory for ${this.capacity}`);
  }
}

/** Makes an entry the last one of its list. */
function touch(list: List, key: number, cached: Cached): void {
  list.delete(key);
  list.set(key, cached);
}
