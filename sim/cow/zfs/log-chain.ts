/**
 * Blocks of intent logs on the devices: allocated outside transaction groups, chained, and found again after a power cut (module/zfs/zil.c,
 * zil_parse, zil_claim).
 */
import { EIO, ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import type { BlockPointer } from "./block-pointer.ts";
import type { LogHead } from "./records.ts";
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

/** A place for a log block. */
export function allocateLogBlock(store: BlockStore): BlockPointer | Errno {
  const dvas = store.space.allocate(LOG_BLOCK_BYTES, 1);
  if (dvas === undefined) return ENOSPC;
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
    const found = readAt(store.tops, dva, LOG_BLOCK_BYTES, () => true);
    const record = isErrno(found) ? undefined : found.runs[0]?.wholeRecord();
    if (record?.kind === "zfs.log") return record as LogBlock;
  }
  return undefined;
}

/** The blocks of a chain that are whole, from its beginning on. */
export function readChain(store: BlockStore, log: LogHead): { readonly place: BlockPointer; readonly block: LogBlock }[] {
  const chain: { place: BlockPointer; block: LogBlock }[] = [];
  let place = log.block;
  for (let { sequence } = log; ; sequence++) {
    const block = readLogBlock(store, place);
    if (block === undefined || block.chain !== log.chain || block.sequence !== sequence) return chain;
    chain.push({ place, block });
    place = block.next;
  }
}

/** Takes the places of a chain that an import has found. */
export function claimChain(store: BlockStore, log: LogHead): Errno | undefined {
  const blocks = readChain(store, log);
  const places = blocks.length === 0 ? [log.block] : blocks.map(({ place }) => place);
  for (const place of places) {
    if (place.dvas.length === 0) return EIO;
    for (const dva of place.dvas) {
      store.space.claim(dva);
      store.logBytes += dva.size;
    }
  }
  return undefined;
}
