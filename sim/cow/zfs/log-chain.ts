/**
 * Blocks of intent logs on the devices: allocated outside transaction groups, chained, and found again after a power cut (module/zfs/zil.c,
 * zil_parse, zil_claim).
 *
 * Interface: the last whole block of a chain names the place of the next, which is taken already. Places of logs, and of data that only a log has a
 * pointer to, are counted in the store's `logBytes` until they are free, or an object set has them.
 */
import type { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { KIB } from "../../core/units.ts";
import type { BlockPointer } from "./block-pointer.ts";
import type { LogRecord } from "./log-records.ts";
import type { LogHead, ObjsetRecord } from "./records.ts";
import type { BlockStore } from "./store.ts";
import { readAt } from "./vdev.ts";

/** The first block of a chain, and the unit in which blocks are written (ZIL_MIN_BLKSZ). */
export const LOG_UNIT: number = KIB(4);
/** The most that one log block holds (zil_maxblocksize). */
export const LOG_BLOCK_BYTES: number = KIB(128);
/** What each block has before its records: the pointer to the next, the bytes in use, a checksum (zil_chain_t). */
export const CHAIN_BYTES = 184;

export interface LogBlock {
  readonly kind: "zfs.log";
  readonly length: number;
  /** The chain that the block is of, and its place in it. */
  readonly chain: number;
  readonly sequence: number;
  readonly records: readonly LogRecord[];
  readonly next: BlockPointer;
}

/** A place for a log block of so many bytes; undefined when there is no room for one (zio_alloc_zil). */
export function allocateLogBlock(store: BlockStore, size: number): BlockPointer | undefined {
  const dvas = store.space.allocate(size, 1);
  if (dvas === undefined) return undefined;
  const place: BlockPointer = {
    dvas,
    logicalSize: size,
    physicalSize: size,
    birth: store.group,
    level: 0,
    kind: "system",
    stamp: 0,
  };
  store.holdLogged(place);
  return place;
}

/** The log block that a place's content is; undefined for anything else, such as what was there before. */
function logBlockIn(content: Content): LogBlock | undefined {
  const record = content.runs[0]?.wholeRecord();
  return record?.kind === "zfs.log" ? (record as LogBlock) : undefined;
}

function readLogBlock(store: BlockStore, place: BlockPointer, of: Pick<LogBlock, "chain" | "sequence">): LogBlock | undefined {
  // A side that was not there when the block was written has something else, whenever the place was taken.
  const good = (content: Content): boolean => {
    const found = logBlockIn(content);
    return found?.chain === of.chain && found.sequence === of.sequence;
  };
  const [dva] = place.dvas;
  if (dva === undefined) return undefined;
  const { birth, physicalSize: length } = place;
  const found = readAt(store.tops, { dva, birth, length, good, isSpeculative: true });
  return isErrno(found) ? undefined : logBlockIn(found);
}

/** A chain as the devices have it. */
export interface Chain {
  /** Of its whole blocks, up to the first that tells of data which is not whole. */
  readonly records: readonly LogRecord[];
  /** Whether there is a whole block at all: a mount has something to do again (ZIL_REPLAY_NEEDED). */
  readonly isWritten: boolean;
  /** All that it has taken: its blocks, the one that was to be the next, and data that it points to. */
  readonly places: readonly BlockPointer[];
}

/** Reads a chain from its beginning on. */
export function readChain(store: BlockStore, log: LogHead): Chain {
  const records: LogRecord[] = [];
  const places: BlockPointer[] = [];
  let isWritten = false;
  let place = log.block;
  for (let { sequence } = log; ; sequence++) {
    places.push(place);
    const block = readLogBlock(store, place, { chain: log.chain, sequence });
    if (block === undefined) return { records, isWritten, places };
    isWritten = true;
    for (const record of block.records) {
      if (record.op === "block" && record.pointer !== undefined) {
        if (!isWhole(store, record.pointer, record)) return { records, isWritten, places };
        places.push(record.pointer);
      }
      records.push(record);
    }
    place = block.next;
  }
}

/** Whether a block's data came to the devices before the power went: it is written beside the log block that points to it (zil_claim_log_record). */
function isWhole(store: BlockStore, pointer: BlockPointer, { checksum }: Extract<LogRecord, { op: "block" }>): boolean {
  const found = store.read(pointer);
  const isRight = !isErrno(found) && found.equals(checksum);
  if (!isRight && pointer.dvas.length > 0) store.arc.remove(pointer);
  return isRight;
}

/** Takes the places of a chain that an import has found (zil_claim). */
export function claimChain(store: BlockStore, log: LogHead): void {
  for (const place of readChain(store, log).places) {
    for (const dva of place.dvas) store.space.claim(dva);
    store.holdLogged(place);
  }
}

/** The log that the object set behind a pointer leaves to be replayed. */
export function logOf(store: BlockStore, pointer: BlockPointer): LogHead | undefined | Errno {
  const record = store.readRecord(pointer);
  return isErrno(record) ? record : (record as ObjsetRecord).log;
}

/** Gives up a log that will not be replayed: its dataset goes, or goes back (zil_destroy_sync). */
export function destroyLog(store: BlockStore, pointer: BlockPointer): Errno | undefined {
  const log = logOf(store, pointer);
  if (log === undefined || isErrno(log)) return log;
  for (const place of readChain(store, log).places) store.freeLogged(place);
  return undefined;
}
