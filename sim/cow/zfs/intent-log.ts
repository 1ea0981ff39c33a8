/**
 * The intent log of a mounted dataset (ZIL; module/zfs/zil.c, zfs_log.c): what an fsync makes durable before its transaction group is written.
 *
 * Calls gather as intents until their group is on the devices. An fsync writes those that matter to its file into log blocks: everything that
 * makes and removes names, and what was done to the file itself. The blocks form a chain that begins in the object set: each one tells where the
 * next will be. The first fsync of a mount has a group written, so that the set tells where the chain begins. A mount after a power cut
 * does the calls again.
 *
 * Interface: every group that is written moves the beginning of the chain behind the blocks whose intents it holds, and frees them.
 */
import { Content } from "../../core/content.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import { alignUp } from "../../core/units.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { allocateLogBlock, freeLogBlock, LOG_BLOCK_BYTES, type LogBlock, readChain } from "./log-chain.ts";
import type { ObjectSet } from "./object-set.ts";
import type { Pool } from "./pool.ts";
import { flushAll, writeAt } from "./vdev.ts";
import { replayIntent } from "./zpl/replay.ts";
import type { Intent, ZplState } from "./zpl/state.ts";

/** A record's head, as it counts in the length of a block. */
const RECORD_BYTES = 192;

export class IntentLog {
  readonly #pool: Pool;
  readonly #set: ObjectSet;
  /** Intents of the open group that no block holds yet. */
  #intents: Intent[] = [];
  /** Where the next block of the chain lies. */
  #next: BlockPointer | undefined;
  #sequence = 0;
  #chain = 0;
  /** Blocks of the chain whose intents are not in a group yet. */
  #blocks: BlockPointer[] = [];
  #replaying = false;

  constructor(pool: Pool, set: ObjectSet) {
    this.#pool = pool;
    this.#set = set;
    set.logHead = () => {
      if (this.#replaying) return set.log;
      return this.#next === undefined ? undefined : { block: this.#next, chain: this.#chain, sequence: this.#sequence };
    };
  }

  /** A call was made. @param always - whether it is to be durable at once (sync=always). */
  add(intent: Intent, always: boolean): void {
    if (this.#replaying) return;
    this.#intents.push(intent);
    if (always) this.commit(0, "always");
  }

  /** Makes durable what an fsync of an object promises. @param sync - the property of that name. */
  commit(object: number, sync: string): Errno | undefined {
    if (sync === "disabled") return undefined;
    if (this.#pool.failure !== undefined) return EIO;
    const needed = this.#intents.filter((intent) => sync === "always" || isNeeded(intent, object));
    if (needed.length === 0) return undefined;
    if (this.#next === undefined) return this.#begin();
    const chosen = new Set(needed);
    this.#intents = this.#intents.filter((intent) => !chosen.has(intent));
    let bytes = 0;
    let part: Intent[] = [];
    for (const intent of needed) {
      const size = RECORD_BYTES + (intent.op === "write" ? intent.content.length : 0);
      if (part.length > 0 && bytes + size > LOG_BLOCK_BYTES) {
        const failed = this.#write(part, bytes);
        if (failed !== undefined) return failed;
        part = [];
        bytes = 0;
      }
      part.push(intent);
      bytes += size;
    }
    return this.#write(part, bytes);
  }

  /** The chain's first block is told in the object set: with the group that is open, which also holds the intents. */
  #begin(): Errno | undefined {
    const first = allocateLogBlock(this.#pool.store);
    if (isErrno(first)) return first;
    this.#next = first;
    this.#chain = this.#pool.store.group;
    this.#sequence = 1;
    this.#set.touch();
    return this.#pool.syncGroup();
  }

  #write(intents: readonly Intent[], size: number): Errno | undefined {
    const { store } = this.#pool;
    const next = allocateLogBlock(store);
    if (isErrno(next)) return next;
    const place = this.#next as BlockPointer;
    // Large writes would lie in blocks of their own; here they count in the length of the log, up to its block's.
    const length = Math.min(LOG_BLOCK_BYTES, alignUp(Math.max(size, 1), store.space.unit));
    const block: LogBlock = { kind: "zfs.log", length, chain: this.#chain, sequence: this.#sequence, intents, next };
    for (const dva of place.dvas) {
      const failed = writeAt(store.tops, dva, Content.record(block));
      if (failed !== undefined) return failed;
    }
    this.#blocks.push(place);
    this.#next = next;
    this.#sequence += 1;
    return flushAll(store.tops);
  }

  /** The group that was open is written: its intents are in it. */
  groupWritten(): void {
    this.#intents = [];
    for (const block of this.#blocks.splice(0)) freeLogBlock(this.#pool.store, block);
  }

  /** Ends the log: the dataset is unmounted, its last group is about to be written. */
  close(): void {
    if (this.#next === undefined) return;
    this.#blocks.push(this.#next);
    this.#next = undefined;
    this.#set.touch();
  }

  /** Does again what a chain holds that a power cut left, and ends the chain with the group that holds it. */
  replay(zpl: ZplState): Errno | undefined {
    const { log } = this.#set;
    if (log === undefined) return undefined;
    this.#replaying = true;
    const blocks = readChain(this.#pool.store, log);
    for (const { block } of blocks) for (const intent of block.intents) replayIntent(zpl, intent);
    this.#replaying = false;
    const places = blocks.length === 0 ? [log.block] : blocks.map(({ place }) => place);
    this.#blocks.push(...places);
    this.#set.touch();
    return this.#pool.syncGroup();
  }
}

/** Whether an fsync of an object makes an intent durable: those of names always, of content only the object's own (zil_commit). */
function isNeeded(intent: Intent, object: number): boolean {
  if (intent.op === "write" || intent.op === "truncate" || intent.op === "setattr" || intent.op === "xattr") {
    return intent.object === object;
  }
  return true;
}
