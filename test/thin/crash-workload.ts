/**
 * Power cuts: after every write of either device, with every subset of at most two of the writes that were not flushed lost or torn, the pool
 * opens at its last commit or a later one, its metadata has no fault, and every flushed byte is there.
 *
 * How every subset is judged without a restart for each. A pool that opens reads blocks of its metadata and depends on nothing else: two metadata
 * images that agree on the sectors that were read open alike. So a restart notes what it reads (`Restart.reads`), and losing a write that touches
 * none of it is the same restart. Bytes of volumes never steer anything: of a mapped data sector each value that a cut can leave there (what was
 * durable, and what each unflushed write put there) is looked at, which covers any subset of writes, not only two. A restart goes on to be valid
 * while later writes touch nothing that it read. Some cuts are made and judged whole all the same, to hold the shortcut to the long way.
 */
import { expect } from "vitest";
import { type CutChoice, keepAll } from "../../sim/block/disk.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import type { PoolOptions } from "../../sim/thin/pool-options.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { type Command, Noting, Told } from "./telling-devices.ts";
import { type Disks, disks, openPool, openVolume, sectors } from "./thin-lab.ts";

const DEVICES = 4;
const VOLUME_BLOCKS = 24;
const SECTORS = VOLUME_BLOCKS * 128;
/** Enough for each device to have blocks of its own. */
const DATA_BLOCKS = DEVICES * VOLUME_BLOCKS + 4;
const BLOCK_SECTORS = 128;
/** Whether this is a long campaign. */
export const SOAK: boolean = Number(process.env["COWLAB_SOAK"] ?? 0) > 0;
/** One cut in so many is made and judged whole as well. */
const WHOLE_EVERY = SOAK ? 50 : 500;

/** What becomes of a write: nothing of it is there, its even sectors are, its odd ones. */
const FATES = ["lost", "even", "odd"] as const;
interface Loss {
  readonly write: number;
  readonly fate: (typeof FATES)[number];
}

function isLost({ fate }: Loss, sector: number): boolean {
  return fate === "lost" || (sector % 2 === 0) !== (fate === "even");
}

function choiceOf(losses: readonly Loss[]): CutChoice {
  return (write, sector) => !losses.some((loss) => loss.write === write && isLost(loss, sector));
}

/** How many subsets of at most two of `unflushed` writes there are, each of them lost or torn in one of two ways. */
function waysOf(unflushed: number): number {
  return 1 + FATES.length * unflushed + FATES.length ** 2 * ((unflushed * (unflushed - 1)) / 2);
}

/** A pool after a cut that metadata has come through, with its devices as it found them. */
interface Restart {
  readonly losses: readonly Loss[];
  readonly reads: ReadonlySet<number>;
  /** Device → data block of each virtual block; -1 where there is none. */
  readonly maps: ReadonlyMap<number, Int32Array>;
}

/** Device → what each sector holds, when it was last durable, and what may be there instead since. */
type Sets = Map<number, Set<number>[]>;

interface Allowed {
  readonly ids: ReadonlySet<number>;
  readonly sets: Sets;
}

/** Random operations on a pool; after each write of either device every cut is judged. */
export class Workload {
  readonly disks: Disks = disks({ data: DATA_BLOCKS, metadata: 256 });
  readonly random: Random;
  readonly volumes: Map<number, ThinVolume> = new Map();
  readonly options: Partial<PoolOptions>;
  pool: ThinPool;
  writes = 0;
  /** Subsets of writes that were judged, restarts that it took, and cuts that were made whole. */
  ways = 0;
  restarts = 0;
  whole = 0;
  /** Before the operation at work, since the last flush: each state that a cut may go back to. */
  readonly committed: Allowed[] = [];
  readonly now: Sets = new Map();
  /** Each data sector's values that a cut may leave: the durable one first, then those of unflushed writes. */
  readonly #values: number[][] = Array.from({ length: DATA_BLOCKS * BLOCK_SECTORS }, () => [0]);
  readonly #dirty = new Set<number>();
  #unflushed: Command[] = [];
  /** The restarts that stand for every subset, as of the last write. */
  #valid: Restart[] = [];
  /** What is allowed has shrunk since: each value is to be looked at again. */
  #isStale = true;
  #begun = false;

  constructor(seed: number, options: Partial<PoolOptions>) {
    this.random = new Random(seed);
    this.options = options;
    this.pool = openPool(
      {
        data: new Told(this.disks.data, (command) => this.#dataChanged(command)),
        metadata: new Told(this.disks.metadata, (command) => this.#metadataChanged(command)),
      },
      options,
    );
    this.#begun = true;
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
    this.#isStale = true;
  }

  #dataChanged(command: Command | "flush"): void {
    if (command === "flush") {
      for (const sector of this.#dirty)
        this.#values[sector]?.splice(0, Number.POSITIVE_INFINITY, this.#values[sector]?.at(-1) ?? 0);
      this.#dirty.clear();
      return;
    }
    for (let sector = command.first; sector < command.first + command.count; sector++) {
      this.#values[sector]?.push(command.byteAt(sector));
      this.#dirty.add(sector);
    }
    if (!this.#begun) return;
    this.#wrote();
    this.#lookAt(command);
  }

  #metadataChanged(command: Command | "flush"): void {
    if (command === "flush") {
      this.#unflushed = [];
      // The restart of all writes is what is left.
      this.#valid = this.#valid.filter(({ losses }) => losses.length === 0);
      return;
    }
    this.#unflushed.push(command);
    const matters = (reads: ReadonlySet<number>): boolean => {
      for (let at = command.first; at < command.first + command.count; at++) if (reads.has(at)) return true;
      return false;
    };
    if (this.#valid.some(({ reads }) => matters(reads))) this.#valid = [];
    if (this.#begun) this.#wrote();
  }

  /** A cut after this write, with every subset: restarts where the metadata can differ, values where data can. */
  #wrote(): void {
    this.writes += 1;
    this.ways += waysOf(this.disks.data.unflushedWrites + this.disks.metadata.unflushedWrites);
    if (this.#valid.length === 0) {
      this.#restart([]);
      this.#isStale = true;
    }
    if (this.#isStale) for (const one of this.#valid) this.#lookAtAll(one);
    this.#isStale = false;
    if (this.writes % WHOLE_EVERY === 0) this.#cutWhole();
  }

  /** Opens the metadata without the writes of `losses`, and then without one write more where that makes a difference. */
  #restart(losses: readonly Loss[]): void {
    const disk = this.disks.metadata.clone({ silent: true });
    disk.powerCut(losses.length === 0 ? keepAll : choiceOf(losses));
    const metadata = new Noting(disk);
    const pool = openPool({ data: this.disks.data.clone({ silent: true }), metadata }, this.options);
    this.restarts += 1;
    expect(pool.metadata.needsCheck).toBe(false);
    checkPool(pool);
    this.#valid.push({ losses, reads: metadata.reads, maps: mapsOf(pool) });
    if (losses.length === 2) return;
    for (const [write, command] of this.#unflushed.entries()) {
      if (losses.some((loss) => loss.write === write)) continue;
      for (const fate of FATES) {
        const loss = { write, fate };
        let matters = false;
        for (let at = command.first; at < command.first + command.count && !matters; at++)
          matters = isLost(loss, at) && metadata.reads.has(at);
        if (matters) this.#restart([...losses, loss]);
      }
    }
  }

  #isAllowed({ ids, sets }: Allowed, id: number, at: number, value: number): boolean {
    return ids.has(id) && (sets.get(id)?.[at]?.has(value) === true || this.now.get(id)?.[at]?.has(value) === true);
  }

  /** The allowed states that have the devices of a restart. */
  #statesOf({ maps }: Restart): readonly Allowed[] {
    return this.committed.filter(({ ids }) => ids.size === maps.size && [...maps.keys()].every((id) => ids.has(id)));
  }

  /** Every value that a cut may leave in any sector of any device, or of those whose data blocks lie in [first, last]. */
  #lookAtAll(one: Restart, first = -1, last: number = Number.POSITIVE_INFINITY): void {
    const fits = this.#statesOf(one).some((state) =>
      [...one.maps].every(([id, map]) =>
        map.every((block, virtual) => block < first || block > last || this.#fits(state, id, virtual, block)),
      ),
    );
    if (!fits)
      throw new Error(`after write ${this.writes}, without ${JSON.stringify(one.losses)}: not a state that was committed`);
  }

  /** Whether a virtual block may hold what a cut may leave in its data block; -1: it has none. */
  #fits(state: Allowed, id: number, virtual: number, block: number): boolean {
    const durable = state.sets.get(id);
    const current = this.now.get(id);
    for (let sector = 0; sector < BLOCK_SECTORS; sector++) {
      const at = virtual * BLOCK_SECTORS + sector;
      const values = block < 0 ? ZERO : (this.#values[block * BLOCK_SECTORS + sector] as number[]);
      for (const value of values) if (durable?.[at]?.has(value) !== true && current?.[at]?.has(value) !== true) return false;
    }
    return true;
  }

  /** The blocks that a command changed, where they are mapped. */
  #lookAt({ first, count }: Command): void {
    const last = first + count - 1;
    for (const one of this.#valid) this.#lookAtAll(one, Math.floor(first / BLOCK_SECTORS), Math.floor(last / BLOCK_SECTORS));
  }

  /** One cut of both devices, chosen at random, made and looked at byte by byte. */
  #cutWhole(): void {
    this.whole += 1;
    const { data, metadata } = this.disks;
    const count = data.unflushedWrites + metadata.unflushedWrites;
    const losses = Array.from({ length: this.random.below(3) }, () => ({
      write: this.random.below(Math.max(1, count)),
      fate: this.random.pick(FATES),
    }));
    const cut = { data: data.clone({ silent: true }), metadata: metadata.clone({ silent: true }) };
    cut.data.powerCut(choiceOf(losses));
    cut.metadata.powerCut(choiceOf(losses.map((loss) => ({ ...loss, write: loss.write - data.unflushedWrites }))));
    const pool = openPool(cut, this.options);
    expect(pool.metadata.needsCheck).toBe(false);
    checkPool(pool);
    const maps = mapsOf(pool);
    const fits = this.committed.some((state) => {
      if (state.ids.size !== maps.size) return false;
      return [...maps.keys()].every((id) => {
        const volume = openVolume(pool, id, VOLUME_BLOCKS);
        const content = volume.read(bytes(0), volume.size);
        volume.close();
        if (isErrno(content)) return false;
        for (let at = 0; at < SECTORS; at++) if (!this.#isAllowed(state, id, at, content.byteAt(at * 512))) return false;
        return true;
      });
    });
    expect(fits).toBe(true);
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
    } else if (kind === 3 && !this.pool.features.discardPassdown) this.discard(id, mine);
    else this.write(id, mine);
  }

  write(id: number, mine: Set<number>[]): void {
    const tag = 1 + this.random.below(255);
    const count = this.random.pick([1, 8, 128, 130]);
    const from =
      this.random.below(2) === 0 ? this.random.below(VOLUME_BLOCKS - 1) * BLOCK_SECTORS : this.random.below(SECTORS - count);
    this.#change(mine, from, from + count, tag);
    expect(this.volume(id).write(bytes(from * 512), sectors(tag, count))).toBeUndefined();
  }

  /**
   * Whole blocks: they read as zeros, at once and for good only when they were committed. A discard that is passed on is another matter
   * (modes.test.ts).
   */
  discard(id: number, mine: Set<number>[]): void {
    const from = this.random.below(VOLUME_BLOCKS - 2) * BLOCK_SECTORS;
    const count = this.random.pick([128, 256]);
    this.#change(mine, from, from + count, 0);
    expect(this.volume(id).discard(bytes(from * 512), bytes(count * 512))).toBeUndefined();
  }

  #change(mine: Set<number>[], from: number, to: number, value: number): void {
    for (let at = from; at < to; at++) {
      const set = mine[at] as Set<number>;
      set.delete(value);
      set.add(value);
    }
  }
}

const ZERO: readonly number[] = [0];

/** Where each device of a pool has its virtual blocks. */
function mapsOf(pool: ThinPool): ReadonlyMap<number, Int32Array> {
  const devices = pool.metadata.devices();
  if (isErrno(devices)) throw new Error(devices.code);
  return new Map(
    devices.map(({ id, runs }) => {
      const map = new Int32Array(VOLUME_BLOCKS).fill(-1);
      for (const { origin, data, length } of runs) for (let at = 0; at < length; at++) map[origin + at] = data + at;
      return [id, map] as const;
    }),
  );
}

function fresh(): Set<number>[] {
  return Array.from({ length: SECTORS }, () => new Set([0]));
}
