/**
 * Blocks of intent logs on the devices: allocated outside transaction groups, chained, and found again after a power cut (module/zfs/zil.c,
 * zil_parse, zil_claim).
 */
import { type Errno, isErrno } from "../../core/errno.ts";
import type { BlockPointer } from "./block-pointer.ts";
import type { LogHead, ObjsetRecord } from "./records.ts";
import type { BlockStore } from "./store.ts";
import { readAt } from "./vdev.ts";
import type { Intent } from "./zpl/state.ts";

/** The most that one log block holds (zil_maxblocksize). */
export const LOG_BLOCK_BYTES = 131_072;

export interface LogBlock {
  readonly kind: "zfs.log";
  readonly length: number;
  /** The pool's group in which the chain was begun, and the place of the block in it. */
  readonly chain: number;
  readonly sequence: number;
  readonly intents: readonly Intent[];
  readonly next: BlockPointer;
}

/** A place for a log block; undefined when there is no room for one. */
export function allocateLogBlock(store: BlockStore): BlockPointer | undefined {
  const dvas = store.space.allocate(LOG_BLOCK_BYTES, 1);
  if (dvas === undefined) return undefined;
  for (const { size } of dvas) store.logBytes += size;
  const size = LOG_BLOCK_BYTES;
  return { dvas, logicalSize: size, physicalSize: size, birth: store.group, level: 0, kind: "system", stamp: 0 };
}

export function freeLogBlock(store: BlockStore, block: BlockPointer): void {
  for (const dva of block.dvas) {
    store.logBytes -= dva.size;
    store.space.free(dva, store.group, false);
  }
}

function readLogBlock(store: BlockStore, place: BlockPointer): LogBlock | undefined {
  for (const dva of place.dvas) {
    const found = readAt(store.tops, { dva, birth: place.birth }, LOG_BLOCK_BYTES, () => true);
    const record = isErrno(found) ? undefined : found.runs[0]?.wholeRecord();
    if (record?.kind === "zfs.log") return record as LogBlock;
  }
  return undefined;
}

interface ChainBlock {
  readonly place: BlockPointer;
  readonly block: LogBlock;
}

/** The blocks of a chain that are whole, from its beginning on. */
export function readChain(store: BlockStore, log: LogHead): ChainBlock[] {
  const chain: ChainBlock[] = [];
  let place = log.block;
  for (let { sequence } = log; ; sequence++) {
    const block = readLogBlock(store, place);
    if (block === undefined || block.chain !== log.chain || block.sequence !== sequence) return chain;
    chain.push({ place, block });
    place = block.next;
  }
}

/** The places that a chain holds after a power cut: of its whole blocks, or, without one, of the first that was to be. */
export function placesOf(log: LogHead, chain: readonly ChainBlock[]): BlockPointer[] {
  return chain.length === 0 ? [log.block] : chain.map(({ place }) => place);
}

/** Takes the places of a chain that an import has found (zil_claim). */
export function claimChain(store: BlockStore, log: LogHead): void {
  for (const { dvas } of placesOf(log, readChain(store, log))) {
    for (const dva of dvas) {
      store.space.claim(dva);
      store.logBytes += dva.size;
    }
  }
}

/** The log that the object set behind a pointer leaves to be replayed. */
export function logOf(store: BlockStore, pointer: BlockPointer): LogHead | undefined | Errno {
  const record = store.readRecord(pointer);
  return isErrno(record) ? record : (record as ObjsetRecord).log;
}

/** Gives up a log that will not be replayed: its dataset goes, or goes back (zil_destroy). */
export function destroyLog(store: BlockStore, pointer: BlockPointer): Errno | undefined {
  const log = logOf(store, pointer);
  if (log === undefined || isErrno(log)) return log;
  for (const place of placesOf(log, readChain(store, log))) freeLogBlock(store, place);
  return undefined;
}
