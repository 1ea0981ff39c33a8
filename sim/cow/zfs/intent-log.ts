/**
 * The intent log of a mounted dataset (ZIL; module/zfs/zil.c, zfs_log.c): what an fsync makes durable before its transaction group is written.
 *
 * Calls gather as intents until their group is on the devices. An fsync writes those that matter to its file into log blocks: everything that
 * makes and removes names, what was done to the file itself, and what was done to a file before it was renamed. The blocks form a chain that
 * begins in the object set: each one tells where the next will be. The first fsync of a mount has a group written, so that the set tells where the
 * chain begins. A mount after a power cut does the calls again.
 *
 * Interface: every group that is written moves the beginning of the chain behind the blocks whose intents it holds, and frees them. An fsync that
 * finds no place for a block, or cannot write it, has the group written instead.
 */
import { Content } from "../../core/content.ts";
import { EIO, type Errno } from "../../core/errno.ts";
import { alignUp } from "../../core/units.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { allocateLogBlock, freeLogBlock, LOG_BLOCK_BYTES, type LogBlock, placesOf, readChain } from "./log-chain.ts";
import type { ObjectSet } from "./object-set.ts";
import type { Pool } from "./pool.ts";
import { type LogHead, NLINK } from "./records.ts";
import { flushAll, writeAt } from "./vdev.ts";
import { replayIntent } from "./zpl/replay.ts";
import type { ContentIntent, Intent, ZplState } from "./zpl/state.ts";

/** A record's head, as it counts in the length of a block. */
const RECORD_BYTES = 192;

export class IntentLog {
  readonly #pool: Pool;
  readonly #set: ObjectSet;
  /** Intents of the open group that no block holds yet, and that the next fsync of any file makes durable (i_sync_list). */
  #sync: Intent[] = [];
  /** Those that only an fsync of their own object does, by that (i_async_tree). */
  readonly #ownContent = new Map<number, Intent[]>();
  /** Where the next block of the chain lies. */
  #next: BlockPointer | undefined;
  #sequence = 0;
  #chain = 0;
  /** Blocks of the chain whose intents are not in a group yet. */
  #blocks: BlockPointer[] = [];
  /** The chain that is being done again, and how many of its intents have been. */
  #replaying: LogHead | undefined;

  constructor(pool: Pool, set: ObjectSet) {
    this.#pool = pool;
    this.#set = set;
    set.openLog = this;
  }

  /** Where the chain begins behind the group at work. */
  get head(): LogHead | undefined {
    if (this.#replaying !== undefined) return this.#replaying;
    return this.#next === undefined
      ? undefined
      : { block: this.#next, chain: this.#chain, sequence: this.#sequence, replayed: 0 };
  }

  get isReplaying(): boolean {
    return this.#replaying !== undefined;
  }

  /** A call was made. @param always - whether it is to be durable at once (sync=always). */
  add(intent: Intent, always: boolean): void {
    if (this.#replaying !== undefined) return;
    // Nobody could find an object without names after a power cut.
    if (isContent(intent) && this.#set.word(intent.object, NLINK) === 0) return;
    if (isContent(intent)) {
      const list = this.#ownContent.get(intent.object);
      if (list === undefined) this.#ownContent.set(intent.object, [intent]);
      else list.push(intent);
    } else {
      if (intent.op === "remove") this.#forgetContent(intent.object);
      if (intent.op === "rename") this.#wantContent(intent.object);
      this.#sync.push(intent);
    }
    if (always) this.commit(0, "always");
  }

  /** What was done to an object goes with all else from now on (zil_async_to_sync). */
  #wantContent(object: number): void {
    for (const intent of this.#ownContent.get(object) ?? []) this.#sync.push(intent);
    this.#ownContent.delete(object);
  }

  /** What was done to an object that has lost its last name matters no more, and another object may get its number (zil_remove_async). */
  #forgetContent(object: number): void {
    if (this.#set.word(object, NLINK) === 0) this.#ownContent.delete(object);
  }

  /** Makes durable what an fsync of an object promises. @param sync - the property of that name. */
  commit(object: number, sync: string): Errno | undefined {
    if (sync === "disabled") return undefined;
    if (this.#pool.failure !== undefined) return EIO;
    for (const each of sync === "always" ? [...this.#ownContent.keys()] : [object]) this.#wantContent(each);
    if (this.#sync.length === 0) return undefined;
    if (this.#next === undefined) return this.#begin();
    const intents = this.#sync;
    this.#sync = [];
    return this.#writeParts(intents) ? undefined : this.#pool.syncGroup();
  }

  /** Writes intents into as many blocks as they need. @returns whether that worked. */
  #writeParts(intents: readonly Intent[]): boolean {
    let bytes = 0;
    let part: Intent[] = [];
    for (const intent of intents) {
      const size = RECORD_BYTES + (intent.op === "write" ? intent.content.length : 0);
      if (part.length > 0 && bytes + size > LOG_BLOCK_BYTES) {
        if (!this.#write(part, bytes)) return false;
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
    if (first !== undefined) {
      this.#next = first;
      this.#chain = this.#pool.store.group;
      this.#sequence = 1;
      this.#set.touch();
    }
    return this.#pool.syncGroup();
  }

  #write(intents: readonly Intent[], size: number): boolean {
    const { store } = this.#pool;
    const next = allocateLogBlock(store);
    if (next === undefined) return false;
    const place = this.#next as BlockPointer;
    // Large writes would lie in blocks of their own; here they count in the length of the log, up to its block's.
    const length = Math.min(LOG_BLOCK_BYTES, alignUp(Math.max(size, 1), store.space.unit));
    const block: LogBlock = { kind: "zfs.log", length, chain: this.#chain, sequence: this.#sequence, intents, next };
    for (const dva of place.dvas) {
      if (writeAt(store.tops, dva, Content.record(block), store.group) === undefined) continue;
      freeLogBlock(store, next);
      return false;
    }
    this.#blocks.push(place);
    this.#next = next;
    this.#sequence += 1;
    return flushAll(store.tops, store.group) === undefined;
  }

  /** The group that was open is written: its intents are in it. */
  groupWritten(): void {
    this.#sync = [];
    this.#ownContent.clear();
    for (const block of this.#blocks.splice(0)) freeLogBlock(this.#pool.store, block);
  }

  /** Ends the chain with the group that is open: the next fsync begins another (zil_close, zil_suspend). @returns whether there was one. */
  close(): boolean {
    if (this.#next === undefined) return false;
    this.#blocks.push(this.#next);
    this.#next = undefined;
    this.#set.touch();
    return true;
  }

  /**
   * Does again what a chain holds that a power cut left, and ends the chain with the group that holds it. A group that is written in between tells
   * how far that has come (zh_replay_seq). The first call that fails now ends it (zil_replay_error).
   */
  replay(zpl: ZplState): Errno | undefined {
    const { log } = this.#set;
    if (log === undefined) return undefined;
    const blocks = readChain(this.#pool.store, log);
    const intents = blocks.flatMap(({ block }) => block.intents);
    for (let replayed = log.replayed; replayed < intents.length; replayed++) {
      this.#replaying = { ...log, replayed };
      if (replayIntent(zpl, intents[replayed] as Intent) !== undefined) break;
    }
    this.#replaying = undefined;
    this.#blocks.push(...placesOf(log, blocks));
    this.#set.touch();
    return this.#pool.syncGroup();
  }
}

/** Whether an intent is of an object's content: an fsync of another object need not write it. */
function isContent(intent: Intent): intent is ContentIntent {
  return intent.op === "write" || intent.op === "truncate" || intent.op === "setattr" || intent.op === "xattr";
}
