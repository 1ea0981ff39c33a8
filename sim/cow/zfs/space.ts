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
import { SECTOR } from "./compress.ts";
import { averageFragmentation } from "./fragmentation.ts";
import { SpaceChanges } from "./space-changes.ts";
import type { SectorsOf } from "./space-map.ts";

/** Transaction groups that freed space waits. */
const DEFER_GROUPS = 2;
/** How much goes to one top-level device before the next has its turn, in bytes (metaslab_aliquot). */
const ALIQUOT = 1 << 20;
/** Copies of a block begin so many parts of the pool apart. */
const COPIES_MAX = 3;

/** A part of a device. */
interface Metaslab {
  readonly device: number;
  readonly metaslab: number;
  /** Where it lies in its device, for the log of all. */
  readonly sectors: SectorsOf;
  readonly bitmap: BlockBitmap;
  /** What it went through since its map was told last. */
  readonly changes: SpaceChanges;
}

/** Units of a metaslab. */
interface Place {
  readonly metaslab: Metaslab;
  readonly start: number;
  readonly count: number;
}

/** A metaslab at work and where the next search in it begins. */
interface Active {
  metaslab: number;
  cursor: number;
}

interface Group {
  /** Allocation unit in bytes. */
  readonly unit: number;
  readonly metaslabBytes: number;
  readonly metaslabs: (Metaslab | undefined)[];
  /** The metaslabs at work, by allocator and copy: the last copy of all allocators goes to one. */
  readonly active: Active[];
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
  /** Metaslabs whose maps have not been told all. */
  #changed: Metaslab[] = [];
  /** Those that were asked for last: the list is used by turns. */
  #told: Metaslab[] = [];
  #rotor = 0;
  #spent = 0;
  /** Freed places by transaction group, in ascending order: two groups or three. */
  readonly #deferred: { readonly group: number; readonly places: Place[] }[] = [];

  /** @param allocators - that blocks of different objects go to, where there are three metaslabs for each (spa_alloc_count) */
  constructor(devices: readonly SpaceOfDevice[], allocators = 1) {
    let capacity = 0;
    for (const { size, metaslabShift, ashift } of devices) {
      const metaslabBytes = 2 ** metaslabShift;
      const count = Math.floor(size / metaslabBytes);
      assert(count > 0, "a device of a pool is too small for a metaslab");
      const active = activeOf(count, count < allocators * COPIES_MAX ? 1 : allocators);
      // By a shift: what a power gives is kept as a float, and so is every size and sum that comes of it.
      this.#groups.push({ unit: 1 << ashift, metaslabBytes, metaslabs: new Array(count).fill(undefined), active });
      capacity += count * metaslabBytes;
    }
    this.capacity = capacity;
    this.unit = Math.min(...this.#groups.map((group) => group.unit));
  }

  /** Percent: how far free space lies in pieces. Of several devices by their sizes. */
  get fragmentation(): number {
    let sum = 0;
    for (const { unit, metaslabBytes, metaslabs } of this.#groups) {
      const touched = metaslabs.flatMap((one) =>
        one === undefined ? [] : [(visit: (bytes: number) => void) => one.bitmap.visitFree((_, units) => visit(units * unit))],
      );
      sum += averageFragmentation(touched, metaslabs.length) * metaslabs.length * metaslabBytes;
    }
    return Math.floor(sum / this.capacity);
  }

  /**
   * Places for the copies of a block of `size` bytes; undefined when there is no room for one of them.
   * @param object - what it belongs to, which decides the allocator
   */
  allocate(size: number, copies: number, object = 0): readonly Dva[] | undefined {
    let places: readonly Dva[] = NO_PLACES;
    for (let copy = 0; copy < copies; copy++) {
      const place = this.#place(size, copy, object);
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

  #place(size: number, copy: number, object: number): Dva | undefined {
    const count = this.#groups.length;
    for (let tries = 0; tries < count; tries++) {
      const vdev = (this.#rotor + copy + tries) % count;
      const found = this.#placeIn(vdev, size, copy, object);
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

  #placeIn(vdev: number, size: number, copy: number, object: number): Dva | undefined {
    const group = this.#groups[vdev] as Group;
    const units = Math.ceil(size / group.unit);
    const { active } = group;
    const last = active.length - 1;
    const at = active[copy === COPIES_MAX - 1 ? last : ((object * 2) % last) + copy] as Active;
    for (let tries = 0; tries < group.metaslabs.length; tries++) {
      const metaslab = this.#metaslab(vdev, at.metaslab);
      const start = metaslab.bitmap.allocateRun(units, at.cursor);
      if (start !== undefined) {
        at.cursor = start + units;
        this.#tell(metaslab, start, units, true);
        return { vdev, offset: at.metaslab * group.metaslabBytes + start * group.unit, size: units * group.unit };
      }
      at.metaslab = (at.metaslab + 1) % group.metaslabs.length;
      at.cursor = 0;
    }
    return undefined;
  }

  #metaslab(device: number, metaslab: number): Metaslab {
    const { metaslabs, metaslabBytes, unit } = this.#groups[device] as Group;
    return (metaslabs[metaslab] ??= {
      device,
      metaslab,
      sectors: { device, first: (metaslab * metaslabBytes) / SECTOR, unit: unit / SECTOR },
      bitmap: new BlockBitmap(metaslabBytes / unit),
      changes: new SpaceChanges(),
    });
  }

  /** Notes what a metaslab goes through. */
  #tell(metaslab: Metaslab, start: number, count: number, isTaken: boolean): void {
    if (metaslab.changes.isEmpty) this.#changed.push(metaslab);
    metaslab.changes.add(start, count, isTaken);
  }

  #blocks(dva: Dva): Place {
    const group = this.#groups[dva.vdev] as Group;
    const index = Math.floor(dva.offset / group.metaslabBytes);
    const start = (dva.offset - index * group.metaslabBytes) / group.unit;
    return { metaslab: this.#metaslab(dva.vdev, index), start, count: dva.size / group.unit };
  }

  /** A place was not needed: it is as if it had never been taken. */
  #release(dva: Dva): void {
    const { metaslab, start, count } = this.#blocks(dva);
    this.#tell(metaslab, start, count, false);
    metaslab.bitmap.free(start, count);
    this.allocated -= dva.size;
  }

  /** What was freed may be used again. */
  #settle({ metaslab, start, count }: Place): void {
    metaslab.bitmap.free(start, count);
    this.allocated -= count * (this.#groups[metaslab.device] as Group).unit;
  }

  /** Takes a place that only a log on the devices tells of, which was written behind the last group; one that the maps have is taken already (import). */
  claim(dva: Dva): void {
    for (const place of placesOf(dva)) {
      const { metaslab, start, count } = this.#blocks(place);
      if (!metaslab.bitmap.isRunFree(start, count)) continue;
      this.#tell(metaslab, start, count, true);
      metaslab.bitmap.take(start, count);
      this.allocated += place.size;
    }
  }

  /** Takes what a space map tells to be taken (import). */
  takeRun(device: number, index: number, start: number, count: number): void {
    this.#metaslab(device, index).bitmap.take(start, count);
    this.allocated += count * (this.#groups[device] as Group).unit;
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
    const place = this.#blocks(dva);
    this.#tell(place.metaslab, place.start, place.count, false);
    const last = this.#deferred.at(-1);
    if (last?.group === group) last.places.push(place);
    else this.#deferred.push({ group, places: [place] });
  }

  /** A transaction group is on the devices: what was freed two groups before may be used again. */
  groupDone(group: number): void {
    for (let first = this.#deferred[0]; first !== undefined && first.group <= group - DEFER_GROUPS; first = this.#deferred[0]) {
      for (const place of first.places) this.#settle(place);
      this.#deferred.shift();
    }
  }

  /** Whether space maps are not up to date. */
  get isChanged(): boolean {
    return this.#changed.length > 0;
  }

  /** The metaslabs that went through something. Whoever asks tells their maps, and clears it. */
  takeChanged(): readonly Metaslab[] {
    const changed = this.#changed;
    this.#changed = this.#told;
    this.#told = changed;
    this.#changed.length = 0;
    return changed;
  }

  /** The metaslab of sectors of a device, and which of its units they are. */
  runOf(device: number, first: number, sectors: number): { metaslab: number; start: number; count: number } {
    const { metaslabBytes, unit } = this.#groups[device] as Group;
    const metaslab = Math.floor((first * SECTOR) / metaslabBytes);
    return { metaslab, start: (first * SECTOR - metaslab * metaslabBytes) / unit, count: (sectors * SECTOR) / unit };
  }

  /** Bytes that were freed and wait. */
  get deferredBytes(): number {
    let sum = 0;
    for (const { places } of this.#deferred)
      for (const { metaslab, count } of places) sum += count * (this.#groups[metaslab.device] as Group).unit;
    return sum;
  }

  /** Bytes that a block of `size` takes on the device whose unit is largest. */
  roundUp(size: number): number {
    return alignUp(size, Math.max(...this.#groups.map((group) => group.unit)));
  }

  /** Throws an InvariantError when bitmaps and counts do not agree. */
  check(): void {
    let used = 0;
    for (const { metaslabs, unit } of this.#groups) {
      for (const metaslab of metaslabs) {
        if (metaslab === undefined) continue;
        const { bitmap } = metaslab;
        bitmap.check();
        used += (bitmap.size - bitmap.freeCount) * unit;
      }
    }
    assert(used === this.allocated, `pool: ${this.allocated} bytes are counted as allocated, ${used} are`);
  }

  /**
   * Throws an InvariantError when what a metaslab's map tells, with what it has not been told yet and what waits to be free, is not what is taken.
   * @param told - what the map of a metaslab tells
   */
  checkMaps(told: (device: number, metaslab: number) => SpaceChanges): void {
    const waiting = new Map<Metaslab, SpaceChanges>();
    for (const { metaslab, start, count } of this.#deferred.flatMap(({ places }) => places)) {
      const of = waiting.get(metaslab) ?? new SpaceChanges();
      of.add(start, count, true);
      waiting.set(metaslab, of);
    }
    for (const metaslab of this.#groups.flatMap(({ metaslabs }) => metaslabs)) {
      if (metaslab === undefined) continue;
      const { device, metaslab: index, bitmap, changes } = metaslab;
      const all = told(device, index);
      all.addAll(changes);
      const freed = waiting.get(metaslab);
      if (freed !== undefined) all.addAll(freed);
      let taken = 0;
      all.visit((start, count, isTaken) => {
        const isRight = isTaken && (bitmap.nextFree(start) ?? bitmap.size) >= start + count;
        assert(isRight, `metaslab ${index} of device ${device}: its map is wrong about ${count} units from ${start}`);
        taken += count;
      });
      const known = bitmap.size - bitmap.freeCount;
      assert(taken === known, `metaslab ${index} of device ${device}: its map tells of ${taken} units taken, ${known} are`);
    }
  }
}

/**
 * The metaslabs at work at first: two for each allocator, which get the first two copies of its blocks, and one for the third (metaslab_group_alloc_normal:
 * primary, secondary, claim). One allocator has them far apart, as versions without allocators want copies to be (ditto_same_vdev_distance_shift).
 */
function activeOf(count: number, allocators: number): Active[] {
  const places = 2 * allocators + 1;
  return Array.from({ length: places }, (_, at) => ({
    metaslab: allocators === 1 ? Math.floor((at * count) / places) : at,
    cursor: 0,
  }));
}
