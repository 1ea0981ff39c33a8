/**
 * Replays recordings of the real dm-thin: each line is one step; its result, the pool's status, the volumes' status, every device's
 * mappings, and the sectors that went to the two devices are compared.
 *
 * The sectors written to the metadata device are those of the operation; the kernel also commits when its last commit by time is a second
 * old, and when that was the recording does not tell. Where the recorder's figure is that of one commit more, the figure is not compared.
 */
import { isErrno } from "../../../sim/core/errno.ts";
import { bytes } from "../../../sim/core/units.ts";
import { sendMessage } from "../../../sim/thin/messages.ts";
import { TargetError } from "../../../sim/thin/pool-options.ts";
import { poolStatus } from "../../../sim/thin/status.ts";
import { isList, isRecord, type Json, sameJson } from "../../calls/json.ts";
import { StepError, textOf } from "../../calls/step.ts";
import { dumpXml } from "../../thin/xml.ts";
import type { RecordedDifference } from "../recorded.ts";
import { atLine } from "../trace.ts";
import { type DmIo, DmMachine } from "./machine.ts";
import { comparable, type DmRun, OPERATIONS, sectorRuns } from "./operations.ts";
import type { DmLine, DmRecording } from "./recording.ts";

/** What a commit writes at least: a bitmap, the index, a leaf, its root and the superblock, of 8 sectors each. */
const COMMIT_SECTORS_MIN = 40;
/** The pool's status as recorded. The number of events is the one from before the status commits. */
function statusOf(machine: DmMachine): Json {
  const { events } = machine.pool;
  const status = poolStatus(machine.pool);
  if (status === undefined) return { mode: "Fail" };
  return {
    txid: status.transaction,
    meta_used: status.usedMetadata,
    meta_total: status.totalMetadata,
    data_used: status.usedData,
    data_total: status.totalData,
    held: status.held === undefined ? "-" : String(status.held),
    mode: status.mode,
    rest: [status.discard, status.noSpace, status.needsCheck ? "needs_check" : "-", String(status.metadataLowWater)],
    events,
  };
}

function volumesOf(machine: DmMachine): Json {
  return Object.fromEntries([...machine.volumes].map(([id, volume]) => [String(id), volume.status.split(" ")]));
}

function mappingsOf(machine: DmMachine): Json {
  const devices = machine.pool.metadata.devices();
  if (isErrno(devices)) return { err: devices.code };
  return Object.fromEntries(
    devices.map(({ id, details, runs }) => [
      String(id),
      {
        mapped: details.mapped,
        tx: details.transaction,
        ctime: details.creationTime,
        stime: details.snapshotTime,
        map: runs.map(({ origin, data, length, time }) => [origin, data, length, time]),
      },
    ]),
  );
}

/** The recorder reserved a metadata snapshot after each operation, dumped it and released it. */
function holdAndRelease(machine: DmMachine): void {
  if (sendMessage(machine.pool, "reserve_metadata_snap") === undefined) sendMessage(machine.pool, "release_metadata_snap");
}

function ioParts(
  recorded: Json | undefined,
  io: { readonly data: DmIo; readonly meta: DmIo },
): { expected: Json; got: Json } | undefined {
  if (!isRecord(recorded) || !isRecord(recorded["data"] ?? null) || !isRecord(recorded["meta"] ?? null)) return undefined;
  const data = recorded["data"] as { readonly [key: string]: Json };
  const meta = recorded["meta"] as { readonly [key: string]: Json };
  const three = (from: { readonly [key: string]: Json }): Json => [from["r"] ?? 0, from["w"] ?? 0, from["d"] ?? 0];
  const byTime = Number(meta["w"] ?? 0) - io.meta.w >= COMMIT_SECTORS_MIN;
  const metaWritten = byTime ? io.meta.w : (meta["w"] ?? 0);
  return { expected: [three(data), metaWritten], got: [[io.data.r, io.data.w, io.data.d], io.meta.w] };
}

/** Keeps the keys whose values differ. */
function differing(
  expected: Readonly<Record<string, Json>>,
  got: Readonly<Record<string, Json>>,
): { expected: Json; got: Json } | undefined {
  const keys = Object.keys(expected).filter((key) => !sameJson(expected[key], got[key]));
  if (keys.length === 0) return undefined;
  const pick = (from: Readonly<Record<string, Json>>): Json => Object.fromEntries(keys.map((key) => [key, from[key] ?? null]));
  return { expected: pick(expected), got: pick(got) };
}

function runLine(run: DmRun, { line, step }: DmLine): RecordedDifference | undefined {
  const { machine } = run;
  const operation = OPERATIONS[textOf(step, "op")];
  if (operation === undefined) throw new StepError(`unknown operation ${textOf(step, "op")}`);
  let result: Json = null;
  const io = machine.counting(() => {
    result = operation(run, step);
  });
  const expected: Record<string, Json> = { res: comparable(step["res"]) };
  const got: Record<string, Json> = { res: result };
  const sectors = ioParts(step["io"], io);
  if (sectors !== undefined) {
    expected["io"] = sectors.expected;
    got["io"] = sectors.got;
  }
  expected["pool"] = step["pool"] ?? null;
  got["pool"] = statusOf(machine);
  expected["thin"] = step["thin"] ?? null;
  got["thin"] = volumesOf(machine);
  if (step["devs"] !== undefined) {
    expected["devs"] = step["devs"];
    got["devs"] = mappingsOf(machine);
  }
  if (step["devs"] !== undefined || step["dump_err"] !== undefined) holdAndRelease(machine);
  const different = differing(expected, got);
  return different === undefined ? undefined : { line, step, ...different };
}

/** The last line: the dump, and every data block as it lies on the disk. */
function runEnd(machine: DmMachine, { line, step }: DmLine): RecordedDifference | undefined {
  const { pool } = machine;
  const devices = pool.metadata.devices();
  const { metadata } = pool;
  const superblock = {
    uuid: "",
    time: metadata.time,
    transaction: metadata.transaction,
    flags: metadata.needsCheck ? 1 : 0,
    version: 2,
    dataBlockSectors: machine.header.blockSectors,
    dataBlocks: metadata.dataBlocks,
  };
  const layout = step["data_layout"];
  const blocks = isList(layout) ? layout.length : 0;
  const got: Record<string, Json> = {
    thin_dump_xml: isErrno(devices) ? devices.code : dumpXml({ superblock, devices }),
    data_layout: Array.from({ length: blocks }, (_, block) => {
      const content = machine.data.read(bytes(block * pool.blockSize), bytes(pool.blockSize));
      return isErrno(content) ? content.code : sectorRuns(content);
    }),
  };
  const expected = { thin_dump_xml: step["thin_dump_xml"] ?? null, data_layout: layout ?? null };
  const different = differing(expected, got);
  // The step is the recording's last line, which is long: what differs tells enough.
  return different === undefined ? undefined : { line, step: { end: true }, ...different };
}

/** Replays a recording. @throws TraceError for a line that cannot be understood. */
export function replayDm(recording: DmRecording): { readonly steps: number; readonly differing: readonly RecordedDifference[] } {
  const { file, header, lines, end } = recording;
  const growth = lines.map(({ step }) => (step["op"] === "pool_resize" ? Number(step["data_blocks"]) : 0));
  const out: RecordedDifference[] = [];
  const steps = lines.length + (end === undefined ? 0 : 1);
  const made = atLine(file, 1, () => DmMachine.make(header, Math.max(header.dataBlocks, ...growth)));
  if (made instanceof TargetError) throw new StepError(`${file}:1: ${made.reason}`);
  const run: DmRun = { machine: made, writes: new Map() };
  for (const line of lines) {
    const different = atLine(file, line.line, () => runLine(run, line));
    if (different !== undefined) out.push(different);
  }
  const last = end === undefined ? undefined : runEnd(made, end);
  if (last !== undefined) out.push(last);
  return { steps, differing: out };
}
