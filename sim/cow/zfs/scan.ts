/**
 * Reading every block of a pool to mend its copies (module/zfs/dsl_scan.c): a resilver brings sides of mirrors that have missed groups up to date, a
 * scrub asks every side for every block.
 *
 * Interface: a scan runs to its end at once, between two groups. A side that has everything then is told so, and the side that it replaces goes; one
 * that could not be written, or whose blocks nobody has, is as it was.
 */
import type { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { type BlockPointer, physicalBirth } from "./block-pointer.ts";
import { Directory } from "./dsl.ts";
import { pieceContent, piecesOf } from "./gang.ts";
import type { ScanResult } from "./labels.ts";
import { eraseLabels } from "./labels.ts";
import { logOf, readChain } from "./log-chain.ts";
import { visitDatasets } from "./operations.ts";
import type { Pool } from "./pool.ts";
import { type LogHead, storedContent } from "./records.ts";
import { wholeTest } from "./store.ts";
import { copyAt, openDevice, resilverAt, type Side, scrubAt } from "./vdev.ts";

/** Visits the log of every filesystem, as its object set on the devices tells of it. */
export function visitLogs(pool: Pool, visit: (log: LogHead) => void): Errno | undefined {
  for (const object of pool.objects.values()) {
    if (object instanceof Directory || object.isSnapshot || object.pointer === undefined) continue;
    const log = logOf(pool.store, object.pointer);
    if (isErrno(log)) return log;
    if (log !== undefined) visit(log);
  }
  return undefined;
}

interface Totals {
  repaired: number;
  errors: number;
}

/** Visits every block. @returns an error where a metadata block cannot be read, which hides those below it: the walk ends there. */
function walk(pool: Pool, kind: ScanResult["kind"], totals: Totals): Errno | undefined {
  const block = (pointer: BlockPointer): void => mend(pool, pointer, kind, totals);
  return (
    pool.meta.load(() => undefined, block) ??
    visitDatasets(pool, block) ??
    visitLogs(pool, (log) => {
      for (const place of readChain(pool.store, log).places) mendLog(pool, place);
    })
  );
}

function mend(pool: Pool, pointer: BlockPointer, kind: ScanResult["kind"], totals: Totals): void {
  const { store } = pool;
  const stored = (): Content | Errno => {
    const content = store.read(pointer);
    return isErrno(content) || pointer.kind !== "data" ? content : storedContent(content, pointer.physicalSize);
  };
  const birth = physicalBirth(pointer);
  const content = kind === "resilver" ? stored() : undefined;
  for (const piece of pointer.dvas.flatMap((dva) => piecesOf(dva, pointer.physicalSize))) {
    const good = piece.from === 0 && piece.length === pointer.physicalSize ? wholeTest(pointer) : (): boolean => true;
    const wanted = { dva: piece.dva, birth, length: piece.length, good };
    const count =
      content === undefined
        ? scrubAt(store.tops, wanted)
        : isErrno(content)
          ? content
          : resilverAt(store.tops, wanted, pieceContent(piece, content));
    if (isErrno(count)) totals.errors += 1;
    else totals.repaired += count * piece.dva.size;
  }
}

/** A log's place may have been taken long before it was written, and not be written yet. */
function mendLog({ store }: Pool, { dvas, birth, physicalSize: length }: BlockPointer): void {
  for (const dva of dvas) copyAt(store.tops, { dva, birth, length, good: () => true });
}

/** Sides that are there and have missed something. */
function behindSides(pool: Pool): Side[] {
  return pool.store.tops.flatMap(({ sides }) =>
    sides.filter((side) => side.missed !== undefined && openDevice(side) !== undefined),
  );
}

/** A side is up to date: it stands alone where it stood beside the one that it replaces (spa_vdev_resilver_done). */
function finish(pool: Pool, side: Side): void {
  side.missed = undefined;
  const { replaces } = side;
  if (replaces === undefined) return;
  const top = pool.store.tops.find(({ sides }) => sides.includes(side));
  if (top !== undefined) top.sides = top.sides.filter((one) => one !== replaces);
  side.replaces = undefined;
  const old = openDevice(replaces);
  if (old !== undefined) eraseLabels(old);
  pool.configGroup = pool.store.group;
}

/** Scrubs or resilvers a pool, and tells of it. @returns EIO when the pool can write no more. */
export function scanPool(pool: Pool, kind: ScanResult["kind"]): Errno | undefined {
  const unwritten = pool.syncIfDirty();
  if (unwritten !== undefined) return unwritten;
  const start = pool.clock.time().seconds;
  const behind = behindSides(pool).map((side) => [side, side.errors.write] as const);
  const totals: Totals = { repaired: 0, errors: 0 };
  if (walk(pool, kind, totals) !== undefined) totals.errors += 1;
  if (totals.errors === 0) {
    for (const [side, writeErrors] of behind) if (side.errors.write === writeErrors) finish(pool, side);
  }
  pool.scan = { kind, ...totals, start, end: pool.clock.time().seconds };
  return pool.syncGroup();
}
