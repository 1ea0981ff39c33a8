/**
 * The operations of a recording, made on the simulated pool. Each gives the result as the recorder wrote it down.
 */
import { Disk } from "../../../sim/block/disk.ts";
import { Content } from "../../../sim/core/content.ts";
import { type Errno, isErrno } from "../../../sim/core/errno.ts";
import { bytes } from "../../../sim/core/units.ts";
import { sendMessage } from "../../../sim/thin/messages.ts";
import { SECTOR, type TargetError } from "../../../sim/thin/pool-options.ts";
import { Waiting } from "../../../sim/thin/waiting.ts";
import type { Json } from "../../calls/json.ts";
import { isList, isRecord } from "../../calls/json.ts";
import { type Step, StepError, textOf, wholeOf } from "../../calls/step.ts";
import { type DmMachine, filled } from "./machine.ts";

/** [first byte of the sector, sectors] for each run of sectors that begin with the same byte. */
export function sectorRuns(content: Content): [number, number][] {
  const runs: [number, number][] = [];
  for (let at = 0; at < content.length; at += SECTOR) {
    const byte = content.byteAt(at);
    const last = runs.at(-1);
    if (last !== undefined && last[0] === byte) last[1] += 1;
    else runs.push([byte, 1]);
  }
  return runs;
}

/** Recorded next to a result, but not a part of it: how long it took, and whether the recorder's thread still ran. */
const NOT_COMPARED: ReadonlySet<string> = new Set(["took_s", "alive"]);

/** A recorded result as far as it can be compared. */
export function comparable(result: Json | undefined): Json {
  if (!isRecord(result)) return result ?? null;
  return Object.fromEntries(Object.entries(result).filter(([key]) => !NOT_COMPARED.has(key)));
}

/** A replay's place between operations. */
export interface DmRun {
  readonly machine: DmMachine;
  /** By id, offset, length and tag, for `write_done`: the last such write that waited, or the error that it gave at once. */
  readonly writes: Map<string, Waiting | Errno>;
}

function messageResult(failed: Errno | undefined): Json {
  return { ok: failed === undefined, err: failed?.code ?? null };
}

function activation(refused: TargetError | undefined): Json {
  return { err: refused === undefined ? null : `failed: ${refused.errno.code}` };
}

function range(step: Step): { readonly offset: ReturnType<typeof bytes>; readonly length: number } {
  return { offset: bytes(wholeOf(step, "off") * SECTOR), length: wholeOf(step, "n") * SECTOR };
}

/** One write and the fsync behind it. A write that fails is not synced. */
function write(run: DmRun, step: Step): Json {
  const { machine } = run;
  const volume = machine.volume(wholeOf(step, "id"));
  const { offset, length } = range(step);
  const result = volume.submit(offset, filled(wholeOf(step, "tag"), length));
  if (result instanceof Waiting) {
    run.writes.set(keyOf(step), result);
    const recorded = step["res"];
    if (isRecord(recorded) && recorded["queued"] === true) return { queued: true };
    const failed = machine.pool.waitFor(result);
    return failed === undefined ? { n: wholeOf(step, "n") } : { err: failed.code };
  }
  if (result !== undefined) {
    run.writes.set(keyOf(step), result);
    return { err: result.code };
  }
  const failed = volume.flush();
  return failed === undefined ? { n: wholeOf(step, "n") } : { err: failed.code };
}

function keyOf(step: Step): string {
  return [step["id"], step["off"], step["n"], step["tag"]].join(" ");
}

/** How a write ended that was begun earlier; where the recorder saw it still blocked, nothing is waited for. */
function writeDone({ machine, writes }: DmRun, step: Step): Json {
  const begun = writes.get(keyOf(step));
  if (begun === undefined) throw new StepError("write_done: no such write was made");
  if (isErrno(begun)) return { err: begun.code };
  const recorded = step["res"];
  machine.pool.work();
  if (isRecord(recorded) && recorded["alive"] === true) return begun.pending ? comparable(recorded) : { done: true };
  const failed = machine.pool.waitFor(begun);
  return failed === undefined ? { n: wholeOf(step, "n") } : { err: failed.code };
}

function read({ machine }: DmRun, step: Step): Json {
  const { offset, length } = range(step);
  const content = machine.volume(wholeOf(step, "id")).read(offset, bytes(length));
  return isErrno(content) ? { err: content.code } : { rle: sectorRuns(content) };
}

function ioctl(failed: Errno | undefined): Json {
  return failed === undefined ? { ok: true } : { err: failed.code };
}

function discard({ machine }: DmRun, step: Step): Json {
  const { offset, length } = range(step);
  return ioctl(machine.volume(wholeOf(step, "id")).discard(offset, bytes(length)));
}

/** BLKZEROOUT: thin offers no write-zeroes, so zeros are written; the ioctl then flushes. */
function zeroout({ machine }: DmRun, step: Step): Json {
  const { offset, length } = range(step);
  return ioctl(machine.volume(wholeOf(step, "id")).write(offset, Content.zeros(length)));
}

function createThin({ machine }: DmRun, step: Step): Json {
  const id = wholeOf(step, "id");
  const failed = sendMessage(machine.pool, `create_thin ${id}`);
  if (failed === undefined) machine.activate(id);
  return messageResult(failed);
}

/** The origin is suspended for the message, as Docker does; the snapshot is activated. */
function createSnap({ machine }: DmRun, step: Step): Json {
  const id = wholeOf(step, "id");
  const failed = sendMessage(machine.pool, `create_snap ${id} ${wholeOf(step, "origin")}`);
  if (failed === undefined) machine.activate(id);
  return messageResult(failed);
}

function snapActive({ machine }: DmRun, step: Step): Json {
  return messageResult(sendMessage(machine.pool, `create_snap ${wholeOf(step, "id")} ${wholeOf(step, "origin")}`));
}

function remove({ machine }: DmRun, step: Step): Json {
  const id = wholeOf(step, "id");
  machine.deactivate(id);
  return messageResult(sendMessage(machine.pool, `delete ${id}`));
}

function activateExternal({ machine }: DmRun, step: Step): Json {
  const id = wholeOf(step, "id");
  const size = wholeOf(step, "ext_sectors") * SECTOR;
  const origin = new Disk({ name: "origin", size });
  origin.write(bytes(0), filled(wholeOf(step, "ext_fill"), size));
  const failed = sendMessage(machine.pool, `create_thin ${id}`);
  return failed === undefined ? activation(machine.activate(id, origin)) : { err: failed.code };
}

function reload({ machine }: DmRun, step: Step): Json {
  machine.volume(wholeOf(step, "id")).reload(wholeOf(step, "sectors") * SECTOR);
  return { ok: true };
}

function resize({ machine }: DmRun, step: Step): Json {
  const refused = machine.resize(wholeOf(step, "data_blocks"));
  return refused === undefined ? { ok: true } : { err: refused.errno.code };
}

/** "write b8", "discard b0-1": whole blocks, one after the other, nothing is synced between. */
function batch({ machine }: DmRun, step: Step): Json {
  const volume = machine.volume(wholeOf(step, "id"));
  const size = machine.pool.blockSize;
  const sequence = step["seq"];
  if (!isList(sequence)) throw new StepError("batch_no_commit: seq must be a list");
  for (const item of sequence) {
    const [, what, from = "", to = from] = /^(write|discard) b(\d+)(?:-(\d+))?$/.exec(String(item)) ?? [];
    if (what === undefined) throw new StepError(`batch_no_commit: ${String(item)} is not understood`);
    const offset = bytes(Number(from) * size);
    const length = (Number(to) - Number(from) + 1) * size;
    const failed =
      what === "write" ? volume.write(offset, filled(wholeOf(step, "tag"), length)) : volume.discard(offset, bytes(length));
    if (failed !== undefined) return { err: failed.code };
  }
  return { ok: true };
}

/** A transaction of its own: first a write with a flush, then discards and writes of whole blocks [kind, block, blocks] without one. */
function transaction({ machine }: DmRun, step: Step): Json {
  const volume = machine.volume(wholeOf(step, "id"));
  const size = machine.pool.blockSize;
  const sequence = step["seq"];
  if (!isList(sequence)) throw new StepError("txn: seq must be a list");
  const tag = filled(wholeOf(step, "tag"), size);
  const first = volume.write(bytes(wholeOf(step, "flush_write") * size), tag) ?? volume.flush();
  if (first !== undefined) return { err: first.code };
  const each = sequence.map((item) => {
    if (!isList(item)) throw new StepError("txn: each item is [kind, block, blocks]");
    const [kind, block, blocks] = item;
    const offset = bytes(Number(block) * size);
    const length = Number(blocks) * size;
    const failed =
      kind === "d" ? volume.discard(offset, bytes(length)) : volume.write(offset, filled(wholeOf(step, "tag"), length));
    return failed?.code ?? "ok";
  });
  return { each };
}

/** Each operation by its name. */
export const OPERATIONS: Readonly<Record<string, (run: DmRun, step: Step) => Json>> = {
  pool_create: () => ({ ok: true, err: null }),
  create_thin: createThin,
  create_snap: createSnap,
  snap_active_no_suspend: snapActive,
  delete: remove,
  delete_active: ({ machine }, step) => messageResult(sendMessage(machine.pool, `delete ${wholeOf(step, "id")}`)),
  message: ({ machine }, step) => messageResult(sendMessage(machine.pool, textOf(step, "msg"))),
  activate: ({ machine }, step) => activation(machine.activate(wholeOf(step, "id"))),
  activate_ext: activateExternal,
  thin_reload: reload,
  pool_resize: resize,
  write,
  write_done: writeDone,
  read,
  discard,
  zeroout,
  batch_no_commit: batch,
  txn: transaction,
};
