/**
 * Disk: the device at the bottom. Sparse, up to 16 TiB, with a volatile write cache and a power plug.
 *
 * What it holds is a map of byte ranges to runs of Content; runs that continue each other become one, zeros are not held. Writes are
 * applied at once; those since the last flush are also kept in order, each with what it replaced, so that a power cut can take them back
 * and put any subset of their sectors in place. Without power cuts this costs one search a write.
 *
 * Interface:
 * - A command that is not aligned to sectors or leaves the device gives EINVAL and does nothing. Other errors: see faulty.ts.
 * - `flush` makes everything durable. The cache keeps at most `cachedWrites` commands: beyond, the oldest becomes durable, as in a drive.
 * - A sector is written whole or not at all; sectors of one write are independent of each other, and of other writes' sectors, until flushed.
 * - A discard that is not flushed is undone by a power cut, or not, as one: devices deallocate ranges, not sectors.
 * - Time: each command spends what the profile says (profile.ts).
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { Content } from "../core/content.ts";
import { EINVAL, type Errno } from "../core/errno.ts";
import type { EventStream } from "../core/events.ts";
import type { Range } from "../core/interval-leaf.ts";
import { IntervalMap } from "../core/intervals.ts";
import { type Bytes, bytes, nanoseconds, TIB } from "../core/units.ts";
import { type DeviceCounters, newDeviceCounters } from "./counting.ts";
import type { BlockDevice } from "./device.ts";
import { type DeviceProfile, FREE, positioning } from "./profile.ts";

export interface DiskOptions {
  /** Default "vda". */
  readonly name?: string;
  /** Bytes; a multiple of the sector size, at most 16 TiB. */
  readonly size: number;
  /** 512 (the default) or 4096. */
  readonly sectorSize?: number;
  /** How many commands the volatile cache holds; default 32,768. 0: a drive without one, every write is durable. */
  readonly cachedWrites?: number;
  /** What commands cost; default: nothing. */
  readonly profile?: DeviceProfile;
  /** Whose time commands spend; needed for any profile but the free one. */
  readonly clock?: Clock;
  readonly events?: EventStream;
}

/** A command that changes what the disk holds or what is durable, as `Disk.watcher` hears it. */
export type DiskCommand =
  | { readonly kind: "write"; readonly offset: number; readonly content: Content }
  | { readonly kind: "discard"; readonly offset: number; readonly length: number }
  | { readonly kind: "flush" };

/**
 * Which unflushed sectors a power cut leaves written.
 * @param write - the index of the write or discard among the unflushed ones, in order, from 0.
 * @param sector - the sector's number on the device; of a discard its first, asked once.
 */
export type CutChoice = (write: number, sector: number) => boolean;

/** Everything reached the medium. */
export const keepAll: CutChoice = () => true;
/** Nothing since the last flush reached the medium. */
export const keepNone: CutChoice = () => false;
/** The first `count` unflushed writes reached the medium whole, the others not at all. */
export function keepFirst(count: number): CutChoice {
  return (write) => write < count;
}
/** Each sector of each write with a probability: `next` gives numbers from 0 up to 1, as Random.fraction does. */
export function keepRandom(next: () => number, probability = 0.5): CutChoice {
  return () => next() < probability;
}

/** A write or discard that is not yet durable. */
interface Unflushed {
  readonly offset: number;
  readonly content: Content;
  /** What it replaced; undefined: a hole. */
  readonly before: Content | undefined;
  /** Bytes of each command, where several came at once; else all. */
  readonly unit: number;
  /** A discard is kept or lost as one. */
  readonly whole: boolean;
}

function isWhole(value: number): boolean {
  return Math.floor(value) === value;
}

function commandsOf(write: Unflushed): number {
  return write.content.length / write.unit;
}

const sliceContent = (content: Content, from: number, to: number): Content => content.slice(from, to);
const joinContents = (left: Content, right: Content): Content | undefined =>
  left.continuesInto(right) ? left.extendedBy(right) : undefined;

export class Disk implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly profile: DeviceProfile;
  readonly counters: DeviceCounters = newDeviceCounters();
  /** Hears every write, discard and flush before it is done: a history, a test that counts. */
  watcher: ((command: DiskCommand) => void) | undefined;
  readonly #options: DiskOptions;
  readonly #cachedWrites: number;
  #held: IntervalMap<Content> = new IntervalMap<Content>(sliceContent, joinContents);
  /** In order; those before #durable count no more. */
  #unflushed: Unflushed[] = [];
  #durable = 0;
  /** How many commands they are. */
  #unflushedCommands = 0;
  /** Where the last command ended. */
  #head = 0;
  readonly #range: Range<Content> = { start: 0, end: 0, value: Content.empty };

  constructor(options: DiskOptions) {
    this.#options = options;
    this.name = options.name ?? "vda";
    this.size = bytes(options.size);
    this.sectorSize = bytes(options.sectorSize ?? 512);
    this.profile = options.profile ?? FREE;
    this.#cachedWrites = options.cachedWrites ?? 32_768;
    assert(this.sectorSize === 512 || this.sectorSize === 4096, `disk ${this.name}: no sectors of ${this.sectorSize} bytes`);
    assert(this.size <= TIB(16) && this.size % this.sectorSize === 0, `disk ${this.name}: no size of ${this.size} bytes`);
    assert(this.profile === FREE || options.clock !== undefined, `disk ${this.name}: profile ${this.profile.name} needs a clock`);
  }

  get rotational(): boolean {
    return this.profile.rotational;
  }

  /** What the sparse backing holds, in bytes: written, not discarded, not zeros. */
  get allocatedBytes(): Bytes {
    return bytes(this.#held.covered);
  }

  /** How many runs hold them. */
  get allocatedRuns(): number {
    return this.#held.size;
  }

  /** How many writes and discards a power cut could still lose. */
  get unflushedWrites(): number {
    return this.#unflushedCommands;
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    if (!this.#within(offset, length)) return EINVAL;
    this.#noteRead(offset, length);
    return this.#content(offset, length);
  }

  readUnits(offset: Bytes, length: Bytes, unit: Bytes): Content | Errno {
    if (!this.#within(offset, length) || !this.#within(offset, unit) || length % unit !== 0) return EINVAL;
    for (let at = 0; at < length; at += unit) this.#noteRead(offset + at, unit);
    return this.#content(offset, length);
  }

  /** Tells, counts and takes the time of one read. */
  #noteRead(offset: number, length: number): void {
    this.counters.reads += 1;
    this.counters.readBytes += length;
    if (this.profile !== FREE)
      this.#spend(this.profile.readLatency + (length / this.profile.readBandwidth) * 1e9, offset, length);
    const events = this.#options.events;
    if (events?.listening) events.emit({ op: "deviceRead", device: this.name, offset, length });
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    if (!this.#within(offset, content.length)) return EINVAL;
    this.#note(offset, content);
    this.#apply(offset, content, content.length);
    return undefined;
  }

  writeUnits(offset: Bytes, content: Content, unit: Bytes): Errno | undefined {
    const { length } = content;
    if (!this.#within(offset, length) || !this.#within(offset, unit) || length % unit !== 0) return EINVAL;
    if (this.watcher === undefined && this.profile === FREE && this.#options.events?.listening !== true) {
      this.counters.writes += length / unit;
      this.counters.writtenBytes += length;
    } else for (let at = 0; at < length; at += unit) this.#note(offset + at, content.slice(at, at + unit));
    this.#apply(offset, content, unit);
    return undefined;
  }

  /** Tells, counts and takes the time of one write. */
  #note(offset: number, content: Content): void {
    const { length } = content;
    this.watcher?.({ kind: "write", offset, content });
    this.counters.writes += 1;
    this.counters.writtenBytes += length;
    if (this.profile !== FREE)
      this.#spend(this.profile.writeLatency + (length / this.profile.writeBandwidth) * 1e9, offset, length);
    const events = this.#options.events;
    if (events?.listening) events.emit({ op: "deviceWrite", device: this.name, offset, length });
  }

  #apply(offset: number, content: Content, unit: number): void {
    const { length } = content;
    if (length === 0) return;
    if (this.#cachedWrites > 0) this.#keep({ offset, content, before: this.#found(offset, length), unit, whole: false });
    this.#put(offset, content);
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    if (!this.#within(offset, length)) return EINVAL;
    this.watcher?.({ kind: "discard", offset, length });
    this.counters.discards += 1;
    this.counters.discardedBytes += length;
    if (this.profile !== FREE) this.#spend(this.profile.discard, this.#head, 0);
    const events = this.#options.events;
    if (events?.listening) events.emit({ op: "deviceDiscard", device: this.name, offset, length });
    if (length > 0 && this.#cachedWrites > 0)
      this.#keep({
        offset,
        content: Content.zeros(length),
        before: this.#found(offset, length),
        unit: length,
        whole: true,
      });
    this.#held.delete(offset, offset + length);
    return undefined;
  }

  flush(): Errno | undefined {
    this.watcher?.({ kind: "flush" });
    this.counters.flushes += 1;
    if (this.profile !== FREE)
      this.#spend(this.unflushedWrites > 0 ? this.profile.flush : this.profile.writeLatency, this.#head, 0);
    const events = this.#options.events;
    if (events?.listening) events.emit({ op: "deviceFlush", device: this.name });
    this.#settle();
    return undefined;
  }

  /**
   * Pulls the plug: of the sectors written since the last flush those stay that `choice` keeps, the others are as they were before.
   * Afterwards everything that is there is durable. Whoever had mounted the disk must forget what it knows.
   */
  powerCut(choice: CutChoice = keepNone): void {
    const lost = this.#unflushed.slice(this.#durable);
    this.#settle();
    if (choice === keepAll) return;
    for (const { offset, content, before } of lost.toReversed()) this.#put(offset, before ?? Content.zeros(content.length));
    if (choice === keepNone) return;
    let index = 0;
    for (const write of lost) {
      this.#putChosen(write, index, choice);
      index += commandsOf(write);
    }
  }

  /**
   * A disk that holds the same, unflushed writes included, sharing all content; its counters begin at 0. O(leaves of the map).
   * A silent one spends no time and emits no events; one for another host spends that one's time and emits its events.
   */
  clone(
    options: {
      readonly name?: string;
      readonly silent?: boolean;
      readonly host?: Pick<DiskOptions, "clock" | "events" | "profile">;
    } = {},
  ): Disk {
    const { clock, events, profile, ...rest } = this.#options;
    const name = options.name ?? this.name;
    const copy = options.silent === true ? new Disk({ ...rest, name }) : new Disk({ ...this.#options, ...options.host, name });
    copy.#held = this.#held.clone();
    copy.#unflushed = this.#unflushed.slice(this.#durable);
    copy.#unflushedCommands = this.#unflushedCommands;
    copy.#head = this.#head;
    return copy;
  }

  /** Visits the runs that are held in ascending order: what an exporter writes into a sparse image. */
  visit(visitor: (offset: number, content: Content) => void): void {
    this.#held.visit(0, this.size, (from, _to, content) => visitor(from, content));
  }

  /** Throws an InvariantError when what is held does not add up. O(runs). */
  check(): void {
    this.#held.check();
    assert(this.unflushedWrites <= this.#cachedWrites, `disk ${this.name}: ${this.unflushedWrites} writes in its cache`);
    this.#held.visit(0, Number.MAX_SAFE_INTEGER, (from, to, content) => {
      assert(to <= this.size, `disk ${this.name}: holds bytes up to ${to}`);
      assert(content.length === to - from, `disk ${this.name}: ${content.length} bytes are held from ${from} to ${to}`);
      assert(!content.isZero, `disk ${this.name}: holds zeros at ${from}`);
    });
  }

  #within(offset: number, length: number): boolean {
    const sector = this.sectorSize;
    // A division is cheaper than a remainder beyond 32 bits.
    return offset >= 0 && offset + length <= this.size && isWhole(offset / sector) && isWhole(length / sector);
  }

  #spend(cost: number, offset: number, length: number): void {
    const travel = positioning(this.profile, Math.abs(offset - this.#head), this.size);
    this.#head = offset + length;
    this.#options.clock?.spend(nanoseconds(cost + travel));
  }

  /** What a range reads as. */
  #content(offset: number, length: number): Content {
    return this.#found(offset, length) ?? Content.zeros(length);
  }

  /** What is held in a range, holes in it as zeros; undefined when all of it is one hole. */
  #found(offset: number, length: number): Content | undefined {
    const end = offset + length;
    const range = this.#range;
    if (!this.#held.next(offset, range) || range.start >= end) return undefined;
    if (range.start <= offset && range.end >= end) return range.value.slice(offset - range.start, end - range.start);
    const parts: Content[] = [];
    let at = offset;
    this.#held.visit(offset, end, (from, to, content) => {
      if (from > at) parts.push(Content.zeros(from - at));
      parts.push(content);
      at = to;
    });
    if (at < end) parts.push(Content.zeros(end - at));
    return Content.concat(parts);
  }

  #put(offset: number, content: Content): void {
    if (content.kind !== "rope") {
      this.#putRun(offset, content);
      return;
    }
    let at = offset;
    for (const run of content.runs) {
      this.#putRun(at, run);
      at += run.length;
    }
  }

  #putRun(offset: number, run: Content): void {
    if (run.isZero) this.#held.delete(offset, offset + run.length);
    else this.#held.set(offset, offset + run.length, run);
  }

  #keep(write: Unflushed): void {
    this.#unflushed.push(write);
    this.#unflushedCommands += commandsOf(write);
    if (this.#unflushedCommands <= this.#cachedWrites) return;
    while (this.#unflushedCommands > this.#cachedWrites) {
      this.#unflushedCommands -= commandsOf(this.#unflushed[this.#durable] as Unflushed);
      this.#durable += 1;
    }
    if (this.#durable < this.#cachedWrites) return;
    this.#unflushed = this.#unflushed.slice(this.#durable);
    this.#durable = 0;
  }

  #settle(): void {
    if (this.#unflushed.length > 0) this.#unflushed = [];
    this.#durable = 0;
    this.#unflushedCommands = 0;
  }

  /** Puts the sectors of a write that a choice keeps, neighbours together. */
  #putChosen(write: Unflushed, index: number, choice: CutChoice): void {
    const first = write.offset / this.sectorSize;
    const sectors = write.content.length / this.sectorSize;
    if (write.whole) {
      if (choice(index, first)) this.#put(write.offset, write.content);
      return;
    }
    const inUnit = write.unit / this.sectorSize;
    let from = 0;
    for (let sector = 0; sector <= sectors; sector++) {
      if (sector < sectors && choice(index + Math.floor(sector / inUnit), first + sector)) continue;
      const start = from * this.sectorSize;
      if (sector > from) this.#put(write.offset + start, write.content.slice(start, sector * this.sectorSize));
      from = sector + 1;
    }
  }
}
