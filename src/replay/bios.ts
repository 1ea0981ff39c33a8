/**
 * Streams of bios that real filesystems gave to a block device, replayed on a thin volume with a snapshot where the stream says so: how
 * many blocks each phase provisions, zeroes, moves off a snapshot and copies, and how many are mapped after it.
 *
 * A line is `["snapshot"]` or `[phase, label, [[rwbs, sector, sectors]…], {wbytes, prov, zero, brk, copy, mapped}]`. rwbs is blktrace's: a
 * leading F for a flush before, the operation (R, W, D, N for write zeroes, F where there is none), a later F for forced to the medium.
 */
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { snapshot } from "../../sim/core/counters.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes, GIB } from "../../sim/core/units.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import { parsePoolTable, SECTOR, TargetError } from "../../sim/thin/pool-options.ts";
import { ThinVolume } from "../../sim/thin/volume.ts";
import { isList, isRecord, type Json, parseJson, sameJson } from "../calls/json.ts";
import { StepError } from "../calls/step.ts";
import type { RecordedDifference } from "./recorded.ts";
import { atLine } from "./trace.ts";

/** The recorded device. */
const DEVICE_SIZE = GIB(10);
/** The pool has room for many generations of it. */
const POOL_SIZE = GIB(80);
const METADATA_SIZE = GIB(1);
/** 64 KiB blocks that are zeroed. */
const TABLE = ["meta", "data", "128", "0"];

/** One bio. */
interface Bio {
  readonly rwbs: string;
  readonly sector: number;
  readonly sectors: number;
}

function bioOf(item: Json): Bio {
  if (!isList(item)) throw new StepError("a bio is [rwbs, sector, sectors]");
  const [rwbs, sector, sectors] = item;
  if (typeof rwbs !== "string" || typeof sector !== "number" || typeof sectors !== "number") {
    throw new StepError("a bio is [rwbs, sector, sectors]");
  }
  return { rwbs, sector, sectors };
}

/** The operation's letter, without the flush before it: "FWS" flushes and writes, "F" alone only flushes. */
function operationOf(rwbs: string): string {
  return rwbs.startsWith("F") ? rwbs.charAt(1) : rwbs.charAt(0);
}

interface Machine {
  readonly pool: ThinPool;
  readonly volume: ThinVolume;
  snapshots: number;
  writtenBytes: number;
}

function makeMachine(): Machine {
  const table = parsePoolTable(TABLE);
  if (table instanceof TargetError) throw new StepError(table.reason);
  const pool = ThinPool.open({
    name: "pool",
    metadata: new Disk({ name: "meta", size: METADATA_SIZE, cachedWrites: 0 }),
    data: new Disk({ name: "data", size: POOL_SIZE, cachedWrites: 0 }),
    table,
  });
  if (pool instanceof TargetError) throw new StepError(pool.reason);
  sendMessage(pool, "create_thin 0");
  const volume = ThinVolume.open(pool, { name: "thin", id: 0, size: DEVICE_SIZE });
  if (volume instanceof TargetError) throw new StepError(volume.reason);
  return { pool, volume, snapshots: 0, writtenBytes: 0 };
}

function makeBio(machine: Machine, { rwbs, sector, sectors }: Bio, seed: number): void {
  const { volume } = machine;
  const offset = bytes(sector * SECTOR);
  const length = bytes(sectors * SECTOR);
  if (rwbs.startsWith("F")) volume.flush();
  if (length === 0) return;
  const operation = operationOf(rwbs);
  let failed: unknown;
  if (operation === "R") {
    const content = volume.read(offset, length);
    failed = isErrno(content) ? content : undefined;
  } else if (operation === "D") failed = volume.discard(offset, length);
  else {
    const content = operation === "N" ? Content.zeros(length) : Content.pattern(seed, length);
    failed = volume.write(offset, content);
    machine.writtenBytes += length;
  }
  if (failed !== undefined) throw new StepError(`${rwbs} ${sector} + ${sectors}: ${String(failed)}`);
  if (rwbs.slice(1).includes("F") && operation === "W") volume.flush();
}

/** Makes a phase's bios. @returns what it counted, by the recording's names. */
function runPhase(machine: Machine, bios: readonly Bio[], line: number): Json {
  const before = snapshot(machine.pool.counters);
  const writtenBefore = machine.writtenBytes;
  for (const bio of bios) makeBio(machine, bio, line);
  const { counters } = machine.pool;
  return {
    wbytes: machine.writtenBytes - writtenBefore,
    prov: counters.provisioned - before.provisioned,
    zero: counters.zeroed - before.zeroed,
    brk: counters.broken - before.broken,
    copy: counters.copied - before.copied,
    mapped: machine.volume.mapped,
  };
}

/** Whether a file's first line is a phase of such a stream. */
export function isBioStream(text: string): boolean {
  return text.startsWith("[");
}

/** Replays a stream; each phase is a step. @throws TraceError for a line that cannot be understood. */
export function replayBios(
  file: string,
  text: string,
): { readonly steps: number; readonly differing: readonly RecordedDifference[] } {
  const machine = makeMachine();
  const differing: RecordedDifference[] = [];
  let steps = 0;
  for (const [index, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const line = index + 1;
    atLine(file, line, () => {
      const entry = parseJson(content);
      if (!isList(entry)) throw new StepError("each line must be a list");
      const [phase, label, bios, expected] = entry;
      if (phase === "snapshot") {
        machine.snapshots += 1;
        const failed = sendMessage(machine.pool, `create_snap ${machine.snapshots} 0`);
        if (failed !== undefined) throw new StepError(`snapshot ${machine.snapshots}: ${failed.code}`);
        return;
      }
      if (!isList(bios) || !isRecord(expected)) throw new StepError("a phase is [phase, label, bios, counts]");
      steps += 1;
      const got = runPhase(machine, bios.map(bioOf), line);
      if (!sameJson(expected, got)) differing.push({ line, step: { phase: phase ?? "", label: label ?? "" }, expected, got });
    });
  }
  return { steps, differing };
}
