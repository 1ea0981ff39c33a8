/**
 * The space of a device: chunks of data, metadata and system, made when they are needed; allocation of extents in them
 * (fs/btrfs/volumes.c: btrfs_create_chunk, extent-tree.c: find_free_extent; Linux 6.18. spec/block-cow.md 2.3).
 *
 * Words: *logical* addresses are what extents have; a chunk maps a range of them to one place on the device (data: single) or two (metadata: DUP).
 *
 * Interface: what is freed in a transaction is pinned until it has committed, so that a power cut finds the old tree whole.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { alignDown, alignUp, GIB, KIB, MIB } from "../../core/units.ts";
import { BlockGroup, type SizeClass } from "./block-group.ts";
import type { ChunkType } from "./items.ts";
import { DEVICE_RESERVED, SECTOR_SIZE, STRIPE_LENGTH, SUPERBLOCK_AT } from "./layout.ts";
import { UnusedGroups, type UnusedRules } from "./unused-groups.ts";

/** Copies of a chunk of each type. */
const COPIES: Readonly<Record<ChunkType, number>> = { data: 1, metadata: 2, system: 2 };
const LARGE_DEVICE = GIB(50);
/** A type's chunks are to have this much beside what is used, and a fifth of theirs, before another is made without need (should_alloc_chunk). */
const CHUNK_SLACK = MIB(2);
/** What statfs leaves of the space that is in no chunk. */
const UNALLOCATED_KEPT = MIB(1);

export interface Totals {
  readonly total: number;
  readonly used: number;
}

/** The class of an extent's length (btrfs_calc_block_group_size_class). */
export function sizeClassOf(length: number): SizeClass {
  if (length <= KIB(128)) return "small";
  return length <= MIB(8) ? "medium" : "large";
}

export class Space {
  readonly deviceBytes: number;
  /** Ascending by logical address. */
  readonly groups: BlockGroup[] = [];
  /** Whether chunks keep to a size class (from Linux 6.3). */
  readonly sizeClasses: boolean;
  /** Those that nothing is in. */
  readonly unused: UnusedGroups;
  /** Freed in this transaction: pairs of start and length. */
  #pinned: number[] = [];
  #pinnedBytes: Record<ChunkType, number> = { data: 0, metadata: 0, system: 0 };
  /** Bytes that are taken, while the extent tree does not know. */
  readonly #unsettled: Record<ChunkType, number> = { data: 0, metadata: 0, system: 0 };
  /** Told of each chunk that comes or goes. */
  onChunk: (group: BlockGroup, made: boolean) => void = () => undefined;
  #last: BlockGroup | undefined;

  constructor(deviceBytes: number, sizeClasses: boolean, rules?: UnusedRules) {
    this.deviceBytes = alignDown(deviceBytes, SECTOR_SIZE);
    this.sizeClasses = sizeClasses;
    this.unused = new UnusedGroups(rules);
  }

  // Chunks

  add(group: BlockGroup): void {
    this.groups.push(group);
    this.groups.sort((one, other) => one.start - other.start);
    // Each copy of the superblock keeps its place out of the chunk that lies over it.
    for (const at of SUPERBLOCK_AT) {
      for (const stripe of group.stripes) {
        if (at >= stripe && at < stripe + group.length) group.exclude(group.start + at - stripe, STRIPE_LENGTH);
      }
    }
  }

  groupOf(logical: number): BlockGroup {
    const last = this.#last;
    if (last !== undefined && logical >= last.start && logical < last.end) return last;
    for (const group of this.groups) {
      if (logical < group.start || logical >= group.end) continue;
      this.#last = group;
      return group;
    }
    throw new InvariantError(`address ${logical} lies in no chunk`);
  }

  /** Bytes of a type's chunks, and of the extents in them that the extent tree knows (total_bytes, bytes_used). */
  totals(type: ChunkType): Totals {
    let total = 0;
    let used = -this.#unsettled[type];
    for (const group of this.groups) {
      if (group.type !== type) continue;
      total += group.length;
      used += group.used;
    }
    return { total, used };
  }

  /** Bytes of a type that are taken, while the extent tree does not know. */
  unsettled(type: ChunkType): number {
    return this.#unsettled[type];
  }

  /** Bytes that nodes of log trees take, of which the extent tree never knows. */
  get logged(): number {
    return this.groups.reduce((sum, group) => sum + group.reserved, 0);
  }

  /** Bytes of a type that nothing new can have, those that copies of the superblock keep among them: all but what is promised (btrfs_space_info_used). */
  taken(type: ChunkType): number {
    let taken = this.#pinnedBytes[type];
    for (const group of this.groups) if (group.type === type) taken += group.used + group.reserved + group.excluded;
    return taken;
  }

  /** Whether a type's chunks are so full that another may be made without need. */
  wantsChunk(type: ChunkType): boolean {
    return this.taken(type) + CHUNK_SLACK >= Math.floor((this.totals(type).total * 80) / 100);
  }

  pinned(type: ChunkType): number {
    return this.#pinnedBytes[type];
  }

  /** Bytes of the device that chunks take. */
  get allocated(): number {
    return this.groups.reduce((sum, group) => sum + group.length * group.stripes.length, 0);
  }

  /** Bytes that no chunk takes, those before the first one included (btrfs filesystem usage: Device unallocated). */
  get unallocated(): number {
    return this.deviceBytes - this.allocated;
  }

  /** Device ranges that no chunk takes, ascending: pairs of start and end. */
  #holes(): number[] {
    const taken = this.groups.flatMap((group) => group.stripes.map((at) => [at, at + group.length] as const));
    taken.sort(([one], [other]) => one - other);
    const out: number[] = [];
    let at: number = DEVICE_RESERVED;
    for (const [from, to] of taken) {
      if (from > at) out.push(at, from);
      at = Math.max(at, to);
    }
    if (this.deviceBytes > at) out.push(at, this.deviceBytes);
    return out;
  }

  /** How long a new chunk would be; 0 when there is no room. */
  chunkBytes(type: ChunkType): number {
    const copies = COPIES[type];
    const tenth = Math.floor(this.deviceBytes / 10);
    const stripeMax =
      type === "data" ? GIB(1) : type === "system" ? MIB(32) : this.deviceBytes > LARGE_DEVICE ? GIB(1) : MIB(256);
    const chunkMax = Math.min(type === "data" ? GIB(10) : stripeMax, tenth);
    const holes = this.#holes();
    let available = 0;
    for (let at = 0; at < holes.length; at += 2) {
      const length = (holes[at + 1] as number) - (holes[at] as number);
      available = Math.max(available, alignDown(length, STRIPE_LENGTH * copies) / copies);
    }
    let stripe = Math.min(stripeMax, available);
    if (stripe > chunkMax) stripe = Math.min(alignUp(chunkMax, MIB(16)), stripe);
    return alignDown(stripe, STRIPE_LENGTH);
  }

  /** Makes a chunk. @returns undefined when the device has no room for one. */
  makeChunk(type: ChunkType): BlockGroup | undefined {
    const length = this.chunkBytes(type);
    if (length === 0) return undefined;
    const copies = COPIES[type];
    const holes = this.#holes();
    for (let at = 0; at < holes.length; at += 2) {
      const from = holes[at] as number;
      if ((holes[at + 1] as number) - from < length * copies) continue;
      const stripes = Array.from({ length: copies }, (_, copy) => from + copy * length);
      const start = this.groups.reduce((end, group) => Math.max(end, group.end), DEVICE_RESERVED as number);
      const group = new BlockGroup({ start, length, type, stripes });
      this.add(group);
      this.unused.made(group);
      this.onChunk(group, true);
      return group;
    }
    return undefined;
  }

  /**
   * A turn of the cleaner: gives up chunks that nothing is in (btrfs_delete_unused_bgs).
   * @param promised - bytes of a type that are promised and have no place yet.
   */
  dropUnused(promised: (type: ChunkType) => number): void {
    const standing = (group: BlockGroup): "needed" | "promised" | "unused" => {
      const { type, length } = group;
      const alone = this.groups.every((other) => other === group || other.type !== type);
      if (alone || group.used + group.reserved > 0 || this.#isPinnedIn(group)) return "needed";
      return this.totals(type).total - length < this.taken(type) + promised(type) ? "promised" : "unused";
    };
    this.unused.turn(standing, (group) => {
      this.groups.splice(this.groups.indexOf(group), 1);
      this.#last = undefined;
      this.onChunk(group, false);
    });
  }

  #isPinnedIn(group: BlockGroup): boolean {
    return this.#pinned.some((at, index) => index % 2 === 0 && at >= group.start && at < group.end);
  }

  // Extents

  /**
   * Takes `wanted` bytes of data, or fewer when no place is that long, in whole sectors.
   * @returns undefined when not a sector is free.
   */
  takeData(wanted: number, hint: number | undefined): { start: number; length: number } | undefined {
    for (let length = wanted; ; ) {
      const start = this.#findData(length, hint);
      if (start !== undefined) {
        this.takeAt(start, length);
        return { start, length };
      }
      const longest = this.groups.reduce((most, group) => (group.type === "data" ? Math.max(most, group.longest) : most), 0);
      if (longest < SECTOR_SIZE) return undefined;
      length = Math.min(alignDown(Math.max(SECTOR_SIZE, length / 2), SECTOR_SIZE), longest);
    }
  }

  /** Takes data where it is. */
  takeAt(start: number, length: number): void {
    const group = this.groupOf(start);
    group.take(start, length);
    this.#unsettled[group.type] += length;
  }

  /** The extent tree knows of what was taken. */
  settled(start: number, length: number): void {
    this.#unsettled[this.groupOf(start).type] -= length;
  }

  /** Takes data that space was promised for: as `takeData`. */
  takePromised(wanted: number, hint: number | undefined): { start: number; length: number } {
    const taken = this.takeData(wanted, hint);
    assert(taken !== undefined, "data that was promised space has some");
    return taken;
  }

  #findData(length: number, hint: number | undefined): number | undefined {
    const data = this.groups.filter(({ type }) => type === "data");
    const wanted = sizeClassOf(length);
    const hinted = hint === undefined ? undefined : data.find((group) => hint >= group.start && hint < group.end);
    const fits = (group: BlockGroup): boolean => !this.sizeClasses || group.sizeClass === wanted;
    const claim = (group: BlockGroup, place: number | undefined): number | undefined => {
      if (place !== undefined && group.sizeClass === "none") group.sizeClass = wanted;
      return place;
    };
    const search = (allowed: (group: BlockGroup) => boolean): number | undefined => {
      if (hinted !== undefined && allowed(hinted)) {
        const place = claim(hinted, hinted.find(length, hint));
        if (place !== undefined) return place;
      }
      for (const group of data) {
        const place = allowed(group) ? claim(group, group.find(length)) : undefined;
        if (place !== undefined) return place;
      }
      return undefined;
    };
    const found = search(fits) ?? search((group) => group.sizeClass === "none");
    if (found !== undefined) return found;
    const made = this.makeChunk("data");
    if (made !== undefined) {
      const place = claim(made, made.find(length));
      if (place !== undefined) return place;
    }
    return search(() => true);
  }

  /** Takes room for a node. */
  takeNode(type: "metadata" | "system", length: number): number {
    for (const group of this.groups) {
      if (group.type !== type) continue;
      const start = group.takeNode(length);
      if (start === undefined) continue;
      this.#unsettled[type] += length;
      return start;
    }
    const made = this.makeChunk(type);
    assert(made !== undefined, `no room for a ${type} node: what a transaction needs is promised before it`);
    return this.takeNode(type, length);
  }

  /** Takes room for a node of a log tree, which counts as reserved: no block group's item tells of it. */
  reserveNode(length: number): number {
    const start = this.takeNode("metadata", length);
    this.settled(start, length);
    this.groupOf(start).reserve(length);
    return start;
  }

  /** Takes what is free at an address for a node of a log tree that a power cut has left. */
  reserveAt(start: number, length: number): void {
    const group = this.groupOf(start);
    group.take(start, length);
    group.reserve(length);
  }

  /** A node of a log tree is not needed any more. @param isWritten - then its place is free only when the transaction has committed. */
  unreserve(start: number, length: number, isWritten: boolean): void {
    const group = this.groupOf(start);
    group.reserved -= length;
    if (isWritten) this.#pin(group, start, length);
    else this.#give(group, start, length);
  }

  /** Gives back what was taken and never committed. */
  release(start: number, length: number): void {
    this.settled(start, length);
    const group = this.groupOf(start);
    group.discount(length);
    this.#give(group, start, length);
  }

  /** What was taken could not be written: as `pin`. */
  giveUp(start: number, length: number): void {
    this.settled(start, length);
    this.pin(start, length);
  }

  /** An extent has no references any more: it is free when the transaction has committed. */
  pin(start: number, length: number): void {
    const group = this.groupOf(start);
    group.discount(length);
    if (group.used === 0) this.unused.emptied(group);
    this.#pin(group, start, length);
  }

  #give(group: BlockGroup, start: number, length: number): void {
    group.give(start, length);
    this.unused.freed(group);
  }

  #pin(group: BlockGroup, start: number, length: number): void {
    this.#pinned.push(start, length);
    this.#pinnedBytes[group.type] += length;
  }

  /** Frees what was pinned: the transaction has committed. @param freed - told of each range, and whether it was a node. */
  unpin(freed: (start: number, isNode: boolean) => void): void {
    const pinned = this.#pinned;
    this.#pinned = [];
    this.#pinnedBytes = { data: 0, metadata: 0, system: 0 };
    for (let at = 0; at < pinned.length; at += 2) {
      const start = pinned[at] as number;
      const group = this.groupOf(start);
      this.#give(group, start, pinned[at + 1] as number);
      freed(start, group.type !== "data");
    }
  }

  // Figures

  /** Bytes that new data can have: what is free in data chunks and what new ones would take. */
  get dataAvailable(): number {
    const { total, used } = this.totals("data");
    return Math.max(0, total - used) + Math.max(0, this.unallocated - UNALLOCATED_KEPT);
  }

  check(): void {
    for (const group of this.groups) group.check();
  }
}
