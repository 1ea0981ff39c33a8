/**
 * The space maps of a pool: one of each metaslab that was ever used, and where the feature log_spacemap is active a log of each group, to which all
 * metaslabs' changes go at first (module/zfs/metaslab.c: metaslab_sync, metaslab_flush; module/zfs/spa_log_spacemap.c).
 *
 * Interface: `sync` writes what the space of the pool went through in a group, what the maps take themselves included: so it is done in passes until
 * nothing more is taken. Every group flushes one metaslab, the one whose turn is longest ago, and a log goes when no metaslab needs it any more.
 */
import { assert } from "../../core/assert.ts";
import type { Errno } from "../../core/errno.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { SECTOR } from "./compress.ts";
import type { ZfsProfile } from "./profile.ts";
import type { PoolSpace } from "./space.ts";
import { SpaceChanges } from "./space-changes.ts";
import { type FrozenSpaceMap, SpaceMap, type SpaceMapIo, type SpaceMapShape } from "./space-map.ts";

/** A metaslab's map on the devices. */
interface FrozenMetaslab {
  /** Its place among all that have maps. */
  readonly at: number;
  readonly device: number;
  readonly metaslab: number;
  readonly map: FrozenSpaceMap;
  /** The first group whose log has changes that the map has not (ms_unflushed_txg). */
  readonly since: number;
}

interface FrozenLog {
  readonly group: number;
  readonly map: FrozenSpaceMap;
}

/** What the object directory leads to: the arrays of metaslabs' maps, and the table of logs. Later roots go on with both lists, and each costs what it changes. */
export interface FrozenSpaceMaps {
  /** The first `told` of this list count: of two with one place the later. */
  readonly metaslabs: readonly FrozenMetaslab[];
  readonly told: number;
  /** Those from `firstLog` up to `endLog` count. */
  readonly logs: readonly FrozenLog[];
  readonly firstLog: number;
  readonly endLog: number;
}

/** The metaslabs' maps that a root leads to, by their places. */
export function metaslabsOf({ metaslabs, told }: Pick<FrozenSpaceMaps, "metaslabs" | "told">): FrozenMetaslab[] {
  const found: FrozenMetaslab[] = [];
  for (const of of metaslabs.slice(0, told)) found[of.at] = of;
  return found;
}

/** The logs that a root leads to. */
export function logsOf({ logs, firstLog, endLog }: Pick<FrozenSpaceMaps, "logs" | "firstLog" | "endLog">): FrozenLog[] {
  return logs.slice(firstLog, endLog);
}

interface Metaslab {
  /** Its place among all that have maps. */
  readonly at: number;
  readonly device: number;
  readonly metaslab: number;
  readonly map: SpaceMap;
  since: number;
  /** What the logs tell and the map does not. */
  readonly unflushed: SpaceChanges;
}

interface Log {
  readonly group: number;
  readonly map: SpaceMap;
}

/** How much longer than needed a list becomes until it is made anew. */
const SPARE_ENTRIES = 64;
/** Logs whose numbers compress to no more than lies in a pointer (a microzap, 112 bytes). */
const EMBEDDED_LOGS = 4;
const LOG_SHAPE: SpaceMapShape = { blockBytes: 1 << 17, hasTwoWords: true };

export class SpaceMaps {
  readonly #io: SpaceMapIo;
  readonly #space: PoolSpace;
  readonly #shape: SpaceMapShape;
  readonly #hasLogs: boolean;
  /** By device and metaslab. */
  readonly #known = new Map<number, Metaslab>();
  /** Those, the one that was flushed longest ago first. */
  readonly #turns: Metaslab[] = [];
  readonly #logs: Log[] = [];
  /** Metaslabs that the devices do not tell of as they are; of some twice. */
  readonly #thawed: Metaslab[] = [];
  /** The lists that roots share. */
  #frozenMetaslabs: FrozenMetaslab[] = [];
  #frozenLogs: FrozenLog[] = [];
  #firstLog = 0;
  /** Maps that are not empty. */
  #filled = 0;
  /** Maps that the group appends to. */
  readonly #written: SpaceMap[] = [];

  constructor(io: SpaceMapIo, space: PoolSpace, profile: ZfsProfile, frozen?: FrozenSpaceMaps) {
    this.#io = io;
    this.#space = space;
    this.#shape = { blockBytes: 1 << profile.spaceMapShift, hasTwoWords: profile.logsSpace };
    this.#hasLogs = profile.logsSpace;
    if (frozen === undefined) return;
    this.#frozenMetaslabs = metaslabsOf(frozen);
    this.#frozenLogs = logsOf(frozen);
    for (const of of this.#frozenMetaslabs) {
      const { device, metaslab, since } = of;
      const map = SpaceMap.read(this.#shape, of.map);
      if (!map.isEmpty) this.#filled += 1;
      this.#add({ at: this.#turns.length, device, metaslab, map, since, unflushed: new SpaceChanges() });
    }
    this.#turns.sort((one, other) => one.since - other.since);
    for (const { group, map } of this.#frozenLogs) this.#logs.push({ group, map: SpaceMap.read(LOG_SHAPE, map) });
  }

  #add(made: Metaslab): Metaslab {
    this.#known.set(keyOf(made.device, made.metaslab), made);
    this.#turns.push(made);
    return made;
  }

  #of(device: number, metaslab: number, group: number): Metaslab {
    const known = this.#known.get(keyOf(device, metaslab));
    if (known !== undefined) return known;
    const map = new SpaceMap(this.#shape);
    const made = this.#add({ at: this.#turns.length, device, metaslab, map, since: group, unflushed: new SpaceChanges() });
    this.#thawed.push(made);
    return made;
  }

  /** Objects that have something in them. */
  get objects(): number {
    return this.#filled + this.#logs.length;
  }

  /** Bytes of the table of logs, compressed: a few lie in its pointer. */
  get tableBytes(): number {
    return this.#logs.length > EMBEDDED_LOGS ? SECTOR : 0;
  }

  /** Writes what the space went through since the last group. @returns ENOSPC, EIO. */
  sync(group: number): Errno | undefined {
    const log = this.#hasLogs ? this.#newLog(group) : undefined;
    for (let pass = 1; this.#space.isChanged; pass++) {
      this.#append({ group, pass }, log);
      for (let at = 0; at < this.#written.length; at++) {
        const failed = this.#written[at]?.fit(this.#io, group + at);
        if (failed !== undefined) return failed;
      }
    }
    this.#written.length = 0;
    return undefined;
  }

  /** The log of a group. It may have the place of one that goes with the group: what that said, the root does not tell any more. */
  #newLog(group: number): SpaceMap {
    const needed = this.#flush(group);
    const last = this.#logs.at(-1)?.map ?? new SpaceMap(LOG_SHAPE);
    let gone: SpaceMap | undefined;
    for (let first = this.#logs[0]; first !== undefined && first.group < needed; first = this.#logs[0]) {
      gone?.destroy(this.#io);
      gone = first.map;
      this.#logs.shift();
    }
    const map = last.next(gone);
    this.#logs.push({ group, map });
    this.#written.push(map);
    return map;
  }

  #append(when: { readonly group: number; readonly pass: number }, log: SpaceMap | undefined): void {
    for (const { device, metaslab, changes, sectors } of this.#space.takeChanged()) {
      const of = this.#of(device, metaslab, when.group);
      if (log === undefined) {
        of.map.append(changes, when);
        if (when.pass === 1) of.map.condense(this.#io, when);
        if (!this.#written.includes(of.map)) this.#written.push(of.map);
        this.#thawed.push(of);
      } else {
        log.append(changes, when, sectors);
        of.unflushed.addAll(changes);
      }
      changes.clear();
    }
  }

  /** Brings the map up to date whose turn it is. @returns the first group whose log is needed still. */
  #flush(group: number): number {
    const of = this.#turns.shift();
    if (of === undefined) return group;
    this.#turns.push(of);
    if (!of.unflushed.isEmpty) {
      if (of.map.isEmpty) this.#filled += 1;
      of.map.append(of.unflushed, { group, pass: 1 });
      of.map.condense(this.#io, { group, pass: 1 });
      of.unflushed.clear();
      this.#written.push(of.map);
    }
    of.since = group;
    this.#thawed.push(of);
    return this.#turns[0]?.since ?? group;
  }

  /** The maps as the set's root leads to them: what has not changed is shared with earlier roots. */
  freeze(): FrozenSpaceMaps {
    this.#freezeMetaslabs();
    this.#freezeLogs();
    const metaslabs = this.#frozenMetaslabs;
    const logs = this.#frozenLogs;
    return { metaslabs, told: metaslabs.length, logs, firstLog: this.#firstLog, endLog: logs.length };
  }

  #freezeMetaslabs(): void {
    for (const { at, device, metaslab, map, since } of this.#thawed)
      this.#frozenMetaslabs.push({ at, device, metaslab, map: map.freeze(), since });
    this.#thawed.length = 0;
    const metaslabs = this.#frozenMetaslabs;
    if (metaslabs.length > 2 * this.#turns.length + SPARE_ENTRIES)
      this.#frozenMetaslabs = metaslabsOf({ metaslabs, told: metaslabs.length });
  }

  #freezeLogs(): void {
    const first = this.#logs[0]?.group ?? 0;
    while ((this.#frozenLogs[this.#firstLog]?.group ?? first) < first) this.#firstLog += 1;
    if (this.#firstLog > this.#logs.length + SPARE_ENTRIES) {
      this.#frozenLogs = this.#frozenLogs.slice(this.#firstLog);
      this.#firstLog = 0;
    }
    for (let at = this.#frozenLogs.length - this.#firstLog; at < this.#logs.length; at++) {
      const { group, map } = this.#logs[at] as Log;
      this.#frozenLogs.push({ group, map: map.freeze() });
    }
  }

  /** Visits the blocks of all maps and logs. */
  visitBlocks(visit: (pointer: BlockPointer) => void): void {
    for (const { map } of this.#known.values()) map.visitBlocks(visit);
    for (const { map } of this.#logs) map.visitBlocks(visit);
  }

  /** Takes the places that by the maps and logs are not free: what an import does. */
  load(): void {
    for (const log of this.#logs)
      this.#readLog(log, ({ unflushed }, start, count, isTaken) => unflushed.add(start, count, isTaken));
    for (const of of this.#known.values()) {
      const all = new SpaceChanges();
      of.map.visit((_device, start, count, isTaken) => all.add(start, count, isTaken));
      all.addAll(of.unflushed);
      all.visit((start, count, isTaken) => {
        assert(isTaken, "a space map gives back what was not taken");
        this.#space.takeRun(of.device, of.metaslab, start, count);
      });
    }
  }

  /** Visits what a log tells of metaslabs whose maps do not have it yet. */
  #readLog({ group, map }: Log, visit: (of: Metaslab, start: number, count: number, isTaken: boolean) => void): void {
    map.visit((device, first, sectors, isTaken) => {
      const { metaslab, start, count } = this.#space.runOf(device, first, sectors);
      const of = this.#known.get(keyOf(device, metaslab));
      if (of !== undefined && group >= of.since) visit(of, start, count, isTaken);
    });
  }

  /** Throws an InvariantError where the maps' words do not tell what is taken, or their counts not what their words do. */
  check(): void {
    const told = new Map<Metaslab, SpaceChanges>();
    for (const of of this.#known.values()) {
      const all = new SpaceChanges();
      let taken = 0;
      of.map.visit((_device, start, count, isTaken) => {
        all.add(start, count, isTaken);
        taken += isTaken ? count : -count;
      });
      assert(taken === of.map.taken, `a space map's words tell of ${taken} units, it counts ${of.map.taken}`);
      told.set(of, all);
    }
    for (const log of this.#logs) this.#readLog(log, (of, start, count, isTaken) => told.get(of)?.add(start, count, isTaken));
    this.#space.checkMaps((device, metaslab) => {
      const of = this.#known.get(keyOf(device, metaslab));
      return (of && told.get(of)) ?? new SpaceChanges();
    });
  }
}

function keyOf(device: number, metaslab: number): number {
  return device * 2 ** 32 + metaslab;
}
