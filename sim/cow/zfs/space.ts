/**
 * Free space of a pool: top-level devices cut into metaslabs, a block at a time next-fit in the metaslab at work (module/zfs/metaslab.c).
 *
 * Interface:
 * - Sizes are multiples of the device's allocation unit, 2^ashift.
 * - What is freed in transaction group t is used again two groups later at the earliest (TXG_DEFER_SIZE), so that the last uberblocks stay
 *   whole; until then it counts as allocated.
 * - The copies of one block lie in different parts of the pool.
 * - A block for which there is no place that is long enough may be a gang of shorter ones (module/zfs/zio.c).
 */
import { BlockBitmap } from "../../block/allocator.ts";
import { assert } from "../../core/assert.ts";
import { alignUp } from "../../core/units.ts";
import { type Dva, placesOf } from "./block-pointer.ts";

/** Transaction groups that freed space waits. */
const DEFER_GROUPS = 2;
/** How much goes to one top-level device before the next has its turn, in bytes (metaslab_aliquot). */
const ALIQUOT = 1 << 20;
/** Copies of a block begin so many parts of the pool apart. */
const COPIES_MAX = 3;

interface Group {
  /** Allocation unit in bytes. */
  readonly unit: number;
  readonly metaslabBytes: number;
  readonly bitmaps: (BlockBitmap | undefined)[];
  /** For each copy: the metaslab at work and where the next search in it begins. */
  readonly active: { metaslab: number; cursor: number }[];
}

export interface SpaceOfDevice {
  /** Bytes that whole metaslabs cover. */
  readonly size: number;
  readonly metaslabShift: number;
  readonly ashift: number;
}

/** Bytes of a gang's header, and of the smallest block (SPA_GANGBLOCKSIZE, SPA_MINBLOCKSIZE). */
export const GANG_HEADER_BYTES = 512;
/** Parts that a gang's header can point to (SPA_GBH_NBLKPTRS). */
const GANG_PARTS = 3;

const NO_PLACES: readonly never[] = [];

/** Places with one more, in a list that is no longer than they are: as many are kept as there are blocks in the pool. */
function withPlace(places: readonly Dva[], place: Dva): readonly Dva[] {
  const [first, second] = places;
  if (first === undefined) return [place];
  return second === undefined ? [first, place] : [first, second, place];
}

export class PoolSpace {
  /** Bytes of all metaslabs. */
  readonly capacity: number;
  /** The smallest unit of all devices. */
  readonly unit: number;
  /** Bytes allocated, those that wait to be free again included. */
  allocated = 0;
  readonly #groups: Group[] = [];
  #rotor = 0;
  #spent = 0;
  /** Freed places by transaction group, in ascending order: two groups or three. */
  readonly #deferred: { readonly group: number; readonly places: Dva[] }[] = [];

  constructor(devices: readonly SpaceOfDevice[]) {
    let capacity = 0;
    for (const { size, metaslabShift, ashift } of devices) {
      const metaslabBytes = 2 ** metaslabShift;
      const count = Math.floor(size / metaslabBytes);
      assert(count > 0, "a device of a pool is too small for a metaslab");
      const active = Array.from({ length: COPIES_MAX }, (_, copy) => ({
        metaslab: Math.floor((copy * count) / COPIES_MAX),
        cursor: 0,
      }));
      // By a shift: what a power gives is kept as a float, and so is every size and sum that comes of it.
      this.#groups.push({ unit: 1 << ashift, metaslabBytes, bitmaps: new Array(count).fill(undefined), active });
      capacity += count * metaslabBytes;
    }
    this.capacity = capacity;
    this.unit = Math.min(...this.#groups.map((group) => group.unit));
  }

  /** Places for the copies of a block of `size` bytes; undefined when there is no room for one of them. */
  allocate(size: number, copies: number): readonly Dva[] | undefined {
    let places: readonly Dva[] = NO_PLACES;
    for (let copy = 0; copy < copies; copy++) {
      const place = this.#place(size, copy);
      if (place === undefined) {
        for (const one of places) this.#release(one);
        return undefined;
      }
      places = withPlace(places, place);
    }
    return places;
  }

  /**
   * Places for a block of which no device has a place that is long enough: a header, and up to three parts, each of which may be such a gang itself
   * (zio_write_gang_block). undefined when there is no room for one of all these; the smallest block cannot be in pieces.
   */
  allocateGang(size: number, copies: number): readonly Dva[] | undefined {
    if (size <= GANG_HEADER_BYTES) return undefined;
    const headers = this.allocate(GANG_HEADER_BYTES, Math.min(COPIES_MAX, copies + 1));
    if (headers === undefined) return undefined;
    const parts: { places: readonly Dva[]; from: number; length: number }[] = [];
    for (let from = 0; from < size; ) {
      const length = alignUp(Math.floor((size - from) / (GANG_PARTS - parts.length)), GANG_HEADER_BYTES);
      const places = this.allocate(length, copies) ?? this.allocateGang(length, copies);
      if (places === undefined) {
        for (const one of [headers, ...parts.map((part) => part.places)].flat()) this.#releaseAll(one);
        return undefined;
      }
      parts.push({ places, from, length });
      from += length;
    }
    return headers.map(({ vdev, offset, size: headerSize }, copy) => {
      const own = parts.flatMap(({ places, from, length }) => {
        const dva = places[copy];
        return dva === undefined ? [] : [{ dva, from, length }];
      });
      const whole = own.reduce((sum, { dva }) => sum + dva.size, headerSize);
      return { vdev, offset, size: whole, gang: { headerSize, parts: own } };
    });
  }

  #releaseAll(dva: Dva): void {
    for (const place of placesOf(dva)) this.#release(place);
  }

  #place(size: number, copy: number): Dva | undefined {
    const count = this.#groups.length;
    for (let tries = 0; tries < count; tries++) {
      const vdev = (this.#rotor + copy + tries) % count;
      const found = this.#placeIn(vdev, size, copy);
      if (found === undefined) continue;
      this.#spent += found.size;
      if (this.#spent >= ALIQUOT) {
        this.#spent = 0;
        this.#rotor = (this.#rotor + 1) % count;
      }
      this.allocated += found.size;
      return found;
    }
    return undefined;
  }

  #placeIn(vdev: number, size: number, copy: number): Dva | undefined {
    const group = this.#groups[vdev] as Group;
    const units = Math.ceil(size / group.unit);
    const at = group.active[copy] as { metaslab: number; cursor: number };
    for (let tries = 0; tries < group.bitmaps.length; tries++) {
      const bitmap = this.#bitmap(group, at.metaslab);
      const start = bitmap.allocateRun(units, at.cursor);
      if (start !== undefined) {
        at.cursor = start + units;
        return { vdev, offset: at.metaslab * group.metaslabBytes + start * group.unit, size: units * group.unit };
      }
      at.metaslab = (at.metaslab + 1) % group.bitmaps.length;
      at.cursor = 0;
    }
    return undefined;
  }

  #bitmap(group: Group, metaslab: number): BlockBitmap {
    return (group.bitmaps[metaslab] ??= new BlockBitmap(group.metaslabBytes / group.unit));
  }

  #blocks(dva: Dva): { bitmap: BlockBitmap; start: number; count: number } {
    const group = this.#groups[dva.vdev] as Group;
    const metaslab = Math.floor(dva.offset / group.metaslabBytes);
    const start = (dva.offset - metaslab * group.metaslabBytes) / group.unit;
    return { bitmap: this.#bitmap(group, metaslab), start, count: dva.size / group.unit };
  }

  #release(dva: Dva): void {
    const { bitmap, start, count } = this.#blocks(dva);
    bitmap.free(start, count);
    this.allocated -= dva.size;
  }

  /** Takes a place that a pool on its devices already uses (import). */
  claim(dva: Dva): void {
    if (dva.gang !== undefined) {
      for (const place of placesOf(dva)) this.claim(place);
      return;
    }
    const { bitmap, start, count } = this.#blocks(dva);
    bitmap.take(start, count);
    this.allocated += dva.size;
  }

  /** Gives a place up in a transaction group; one that was taken in this very group is free at once. */
  free(dva: Dva, group: number, bornNow: boolean): void {
    if (dva.gang !== undefined) {
      for (const place of placesOf(dva)) this.free(place, group, bornNow);
      return;
    }
    if (bornNow) {
      this.#release(dva);
      return;
    }
    const last = this.#deferred.at(-1);
    if (last?.group === group) last.places.push(dva);
    else this.#deferred.push({ group, places: [dva] });
  }

  /** A transaction group is on the devices: what was freed two groups before may be used again. */
  groupDone(group: number): void {
    for (let first = this.#deferred[0]; first !== undefined && first.group <= group - DEFER_GROUPS; first = this.#deferred[0]) {
      for (const dva of first.places) this.#release(dva);
      this.#deferred.shift();
    }
  }

  /** Bytes that were freed and wait. */
  get deferredBytes(): number {
    let sum = 0;
    for (const { places } of this.#deferred) for (const { size } of places) sum += size;
    return sum;
  }

  /** Bytes that a block of `size` takes on the device whose unit is largest. */
  roundUp(size: number): number {
    return alignUp(size, Math.max(...this.#groups.map((group) => group.unit)));
  }

  /** Throws an InvariantError when bitmaps and counts do not agree. */
  check(): void {
    let used = 0;
    for (const { bitmaps, unit } of this.#groups) {
      for (const bitmap of bitmaps) {
        if (bitmap === undefined) continue;
        bitmap.check();
        used += (bitmap.size - bitmap.freeCount) * unit;
      }
    }
    assert(used === this.allocated, `pool: ${this.allocated} bytes are counted as allocated, ${used} are`);
  }
}
