/**
 * Power cuts: after every write of either device, with one or two of the writes that were not flushed lost or torn, the pool opens at its
 * last commit or a later one, thin_check has nothing to say, and every flushed byte is there.
 */
import { expect, test } from "vitest";
import type { BlockDevice } from "../../sim/block/device.ts";
import { type CutChoice, type Disk, keepAll } from "../../sim/block/disk.ts";
import type { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { type Bytes, bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { type Disks, disks, openPool, openVolume, sectors } from "./thin-lab.ts";

const DEVICES = 4;
const VOLUME_BLOCKS = 24;
const SECTORS = VOLUME_BLOCKS * 128;
const SOAK = Number(process.env["COWLAB_SOAK"] ?? 0) > 0;
/** How many device writes the workload comes to at least. */
const WRITES = SOAK ? 10_000 : 400;
/** How many of the ways to lose one or two writes are tried at each. */
const WAYS_MAX = SOAK ? 6 : 4;

/** A device that tells of each write before the next command. */
class Told implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly #disk: Disk;
  readonly #after: () => void;

  constructor(disk: Disk, after: () => void) {
    this.name = disk.name;
    this.size = disk.size;
    this.sectorSize = disk.sectorSize;
    this.#disk = disk;
    this.#after = after;
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    return this.#disk.read(offset, length);
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    const failed = this.#disk.write(offset, content);
    this.#after();
    return failed;
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    const failed = this.#disk.discard(offset, length);
    this.#after();
    return failed;
  }

  flush(): Errno | undefined {
    return this.#disk.flush();
  }
}

/** Device → what each sector holds, when it was last durable, and what may be there instead since. */
type Sets = Map<number, Set<number>[]>;

/** One of `unflushed` writes, or two, each lost or torn: how many ways there are. */
function waysOf(unflushed: number): number {
  return 2 * unflushed + 2 * unflushed * (unflushed - 1);
}

/** The way of a number below `waysOf(unflushed)`: first the single writes, then the pairs. */
function wayOf(number: number, unflushed: number): CutChoice {
  const isKept = (isTorn: boolean, sector: number): boolean => isTorn && sector % 2 === 0;
  if (number < 2 * unflushed) return (write, sector) => write !== number >> 1 || isKept(number % 2 === 1, sector);
  const pair = number - 2 * unflushed;
  let other = 1;
  let before = 0;
  for (; before + 4 * other <= pair; other++) before += 4 * other;
  const one = (pair - before) >> 2;
  return (write, sector) => {
    if (write === one) return isKept((pair & 1) === 1, sector);
    return write !== other || isKept((pair & 2) === 2, sector);
  };
}

/** What a power cut may leave of `unflushed` writes: all, nothing, and of the ways to lose one or two all or as many as there is time for. */
function choices(unflushed: number, random: Random): readonly CutChoice[] {
  const ways = waysOf(unflushed);
  const tried = Math.min(ways, WAYS_MAX);
  const from = random.below(Math.max(1, ways));
  const some = Array.from({ length: tried }, (_, n) => wayOf((from + Math.floor((n * ways) / tried)) % ways, unflushed));
  return [keepAll, () => false, ...some];
}

class Workload {
  readonly disks: Disks = disks({ data: 80, metadata: 256 });
  readonly random = new Random(7);
  readonly volumes = new Map<number, ThinVolume>();
  pool: ThinPool;
  writes = 0;
  cuts = 0;
  /** How many cuts it would take to try every way. */
  ways = 0;
  /** Before the operation at work, since the last flush: each state that a cut may go back to. */
  readonly committed: { readonly ids: ReadonlySet<number>; readonly sets: Sets }[] = [];
  readonly now: Sets = new Map();
  #checking = false;

  constructor() {
    const told = (disk: Disk): BlockDevice => new Told(disk, () => this.#wrote());
    this.pool = openPool({ data: told(this.disks.data), metadata: told(this.disks.metadata) });
    this.commit();
  }

  /** What was written so far is durable: only the values of now are allowed, and the devices of now. */
  commit(): void {
    for (const sets of this.now.values()) for (const [at, set] of sets.entries()) sets[at] = new Set([[...set].at(-1) as number]);
    this.committed.length = 0;
    this.keep();
  }

  /** One more state that a cut may leave. */
  keep(): void {
    const sets = new Map([...this.now].map(([id, all]) => [id, all.map((set) => new Set(set))] as const));
    this.committed.push({ ids: new Set(this.now.keys()), sets });
  }

  #wrote(): void {
    if (this.#checking || this.committed.length === 0) return;
    this.writes += 1;
    this.#checking = true;
    const { data, metadata } = this.disks;
    const unflushed = Math.max(data.unflushedWrites, metadata.unflushedWrites);
    this.ways += 2 + waysOf(unflushed);
    for (const choice of choices(unflushed, this.random)) {
      const cut = { data: data.clone({ silent: true }), metadata: metadata.clone({ silent: true }) };
      cut.data.powerCut(choice);
      cut.metadata.powerCut(choice);
      this.#judge(cut);
      this.cuts += 1;
    }
    this.#checking = false;
  }

  /** Every device of one of the allowed states is there, with what it may hold. */
  #judge(cut: Disks): void {
    const pool = openPool(cut);
    expect(pool.metadata.needsCheck).toBe(false);
    checkPool(pool);
    const fits = this.committed.some(({ ids, sets }) => {
      for (let id = 0; id < DEVICES; id++) if (!isErrno(pool.metadata.device(id)) !== ids.has(id)) return false;
      return [...sets].every(([id, allowed]) => this.#holds(pool, id, allowed));
    });
    expect(fits).toBe(true);
  }

  #holds(pool: ThinPool, id: number, allowed: readonly Set<number>[]): boolean {
    const volume = openVolume(pool, id, VOLUME_BLOCKS);
    const content = volume.read(bytes(0), volume.size);
    volume.close();
    if (isErrno(content)) return false;
    const current = this.now.get(id);
    for (let at = 0; at < SECTORS; at++) {
      const byte = content.byteAt(at * 512);
      if (allowed[at]?.has(byte) !== true && current?.[at]?.has(byte) !== true) return false;
    }
    return true;
  }

  volume(id: number): ThinVolume {
    const open = this.volumes.get(id) ?? openVolume(this.pool, id, VOLUME_BLOCKS);
    this.volumes.set(id, open);
    return open;
  }

  /** A message changes what is there at its commit: before it the old state holds, after it the new one. */
  message(text: string, change: () => void): void {
    this.committed.length = 0;
    this.keep();
    change();
    this.keep();
    expect(sendMessage(this.pool, text)).toBeUndefined();
    this.commit();
  }

  step(): void {
    const id = this.random.below(DEVICES);
    const mine = this.now.get(id);
    const kind = this.random.below(12);
    if (mine === undefined) {
      const origins = [...this.now.keys()];
      if (origins.length === 0 || kind < 4) this.message(`create_thin ${id}`, () => this.now.set(id, fresh()));
      else {
        const origin = this.random.pick(origins);
        this.message(`create_snap ${id} ${origin}`, () =>
          this.now.set(
            id,
            (this.now.get(origin) ?? []).map((set) => new Set(set)),
          ),
        );
      }
    } else if (kind === 0) {
      this.volumes.get(id)?.close();
      this.volumes.delete(id);
      this.message(`delete ${id}`, () => this.now.delete(id));
    } else if (kind < 3) {
      expect(this.volume(id).flush()).toBeUndefined();
      expect(this.pool.commit()).toBeUndefined();
      this.commit();
    } else this.write(id, mine);
  }

  write(id: number, mine: Set<number>[]): void {
    const tag = 1 + this.random.below(255);
    const count = this.random.pick([1, 8, 128, 130]);
    const from = this.random.below(SECTORS - count);
    for (let at = from; at < from + count; at++) {
      const set = mine[at] as Set<number>;
      set.delete(tag);
      set.add(tag);
    }
    expect(this.volume(id).write(bytes(from * 512), sectors(tag, count))).toBeUndefined();
  }
}

function fresh(): Set<number>[] {
  return Array.from({ length: SECTORS }, () => new Set([0]));
}

test(
  "a cut after any write leaves the last commit or a later one, whole, with every flushed byte",
  () => {
    const workload = new Workload();
    while (workload.writes < WRITES) workload.step();
    expect(workload.cuts).toBeGreaterThan(WRITES);
    expect(workload.ways).toBeGreaterThanOrEqual(workload.cuts);
    if (SOAK) process.stdout.write(`${workload.writes} writes, ${workload.cuts} of ${workload.ways} cuts\n`);
  },
  24 * 3_600_000,
);
