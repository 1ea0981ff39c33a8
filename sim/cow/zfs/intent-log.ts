/**
 * The intent log of a mounted dataset (ZIL; module/zfs/zil.c, zfs_log.c; OpenZFS 2.1): what an fsync, or a sync of the filesystem, makes durable before
 * its transaction group is written.
 *
 * Calls gather as intents until their group is on the devices. An fsync writes those that matter to its file into log blocks: everything that
 * makes and removes names, what was done to the file itself, and what was done to a file before it was renamed; a sync of the filesystem writes all. The
 * blocks form a chain that begins in the object set: each one tells where the next will be, which is taken with it. The first commit of a filesystem has a
 * group written, so that the set tells where the chain begins; the block that is to be the next stays, with or without a mount, as long as the filesystem
 * does. A mount after a power cut does the calls again.
 *
 * Interface: every group that is written moves the beginning of the chain behind the blocks whose intents it holds, and frees them. A commit that
 * finds no place for a block, or cannot write it, has the group written instead.
 */
import { assert } from "../../core/assert.ts";
import { Content } from "../../core/content.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import { alignUp } from "../../core/units.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { allocateLogBlock, CHAIN_BYTES, LOG_UNIT, type LogBlock, readChain } from "./log-chain.ts";
import { LogFill } from "./log-fill.ts";
import { type ContentIntent, type Intent, isContent, type LogRecord } from "./log-records.ts";
import { LogSizes } from "./log-sizes.ts";
import type { ObjectSet } from "./object-set.ts";
import type { Pool } from "./pool.ts";
import { type LogHead, NLINK } from "./records.ts";
import { flushAll, writeAt } from "./vdev.ts";
import { loggedWrite } from "./zpl/log-data.ts";
import { replayRecord } from "./zpl/replay.ts";
import type { ZplState } from "./zpl/state.ts";

export class IntentLog {
  readonly #pool: Pool;
  readonly #set: ObjectSet;
  readonly #sizes = new LogSizes();
  /** Whose files have the data of writes (zl_get_data). */
  #zpl: ZplState | undefined;
  /** Intents of the open group that no block holds yet, and that the next fsync of any file makes durable (i_sync_list). */
  #sync: Intent[] = [];
  /** Those that only an fsync of their own object does, by that (i_async_tree). */
  readonly #ownContent = new Map<number, ContentIntent[]>();
  /** Where the next block lies, of which chain, and its place in that (the last of zl_lwb_list). */
  #next: Omit<LogHead, "replayed"> | undefined;
  /** The group that must be written before the chain goes on: the object set tells of its beginning with that (zl_destroy_txg). */
  #begunIn: number | undefined;
  /** Places of the chain whose intents are not in a group yet. */
  #places: BlockPointer[] = [];
  /** The chain that is being done again, and how many of its records have been. */
  #replaying: LogHead | undefined;

  constructor(pool: Pool, set: ObjectSet) {
    this.#pool = pool;
    this.#set = set;
    set.openLog = this;
  }

  /** Where the chain begins behind the group at work. */
  get head(): LogHead | undefined {
    return this.#replaying ?? (this.#next === undefined ? undefined : { ...this.#next, replayed: 0 });
  }

  get isReplaying(): boolean {
    return this.#replaying !== undefined;
  }

  /** A call was made (zil_itx_assign). */
  add(intent: Intent): void {
    if (this.#replaying !== undefined) return;
    if (!isContent(intent)) {
      if (intent.op === "remove" && this.#set.word(intent.object, NLINK) === 0) this.forget(intent.object);
      if (intent.op === "rename") this.#wantContent(intent.object);
      this.#sync.push(intent);
      return;
    }
    // Nobody could find an object without names after a power cut.
    if (this.#set.word(intent.object, NLINK) === 0) return;
    const list = this.#ownContent.get(intent.object);
    if (list === undefined) this.#ownContent.set(intent.object, [intent]);
    else list.push(intent);
  }

  /** What was done to an object goes with all else from now on (zil_async_to_sync). */
  #wantContent(object: number): void {
    for (const intent of this.#ownContent.get(object) ?? []) this.#sync.push(intent);
    this.#ownContent.delete(object);
  }

  /** What was done to an object that has come to its end matters no more, and another object may get its number (zil_remove_async). */
  forget(object: number): void {
    this.#ownContent.delete(object);
  }

  /**
   * Makes durable what an fsync of an object promises, or, without one, all that was done to the filesystem (zil_commit).
   */
  commit(object?: number): Errno | undefined {
    if (this.#pool.failure !== undefined) return EIO;
    for (const each of object === undefined ? [...this.#ownContent.keys()].sort((one, other) => one - other) : [object])
      this.#wantContent(each);
    if (this.#sync.length === 0) return undefined;
    if (this.#next === undefined && !this.#begin()) return this.#pool.syncGroup();
    // What the group holds then is not for the log any more; but a block is written for whoever waits.
    const failed = this.#begunIn === undefined ? undefined : this.#pool.syncGroup();
    if (failed !== undefined) return failed;
    const intents = this.#sync;
    this.#sync = [];
    return this.#write(intents) ? undefined : this.#pool.syncGroup();
  }

  /** Takes the first block of a chain; the object set tells of it with the group that is open (zil_create). @returns whether there was room. */
  #begin(): boolean {
    const block = allocateLogBlock(this.#pool.store, LOG_UNIT);
    if (block === undefined) return false;
    this.#beginAt(block);
    return true;
  }

  #beginAt(block: BlockPointer): void {
    const { store } = this.#pool;
    this.#next = { block, chain: store.takeStamp(), sequence: 1 };
    this.#begunIn = store.group;
    this.#set.touch();
  }

  /** Writes intents into as many blocks as they need, and makes those durable (zil_process_commit_list). @returns whether that worked. */
  #write(intents: readonly Intent[]): boolean {
    const fill: LogFill = new LogFill((used, records) => this.#issue(used, records, fill.committed));
    for (const intent of intents) {
      const data = intent.op === "write" ? loggedWrite(this.#files, intent) : undefined;
      if (isErrno(data) || !fill.add(intent, data, this.#space)) return false;
    }
    return fill.end() && flushAll(this.#pool.store.tops, this.#pool.store.group) === undefined;
  }

  get #files(): ZplState {
    assert(this.#zpl !== undefined, "a log is written before it is open");
    return this.#zpl;
  }

  /** Bytes of the next block. */
  get #space(): number {
    return this.#next?.block.physicalSize ?? 0;
  }

  /** Writes a block, and takes the next (zil_lwb_write_issue). @returns bytes of the next one; undefined: none could be taken, or this one not be written. */
  #issue(used: number, records: readonly LogRecord[], committed: number): number | undefined {
    const { store } = this.#pool;
    const at = this.#next;
    assert(at !== undefined, "a log is written that has not begun");
    const block = allocateLogBlock(store, this.#sizes.next(committed + CHAIN_BYTES));
    // The object set tells with the group that the chain has moved on.
    this.#set.touch();
    this.#places.push(at.block);
    const { chain, sequence } = at;
    this.#next = block === undefined ? undefined : { block, chain, sequence: sequence + 1 };
    if (block === undefined) return undefined;
    const length = alignUp(used, LOG_UNIT);
    const content: LogBlock = { kind: "zfs.log", length, chain, sequence, records, next: block };
    const failed = at.block.dvas.find((dva) => writeAt(store.tops, dva, Content.record(content), store.group) !== undefined);
    return failed === undefined ? block.physicalSize : undefined;
  }

  /** The group that was open is written: its intents are in it. */
  groupWritten(): void {
    // Most groups have no intents, and clearing even an empty map makes a new table.
    if (this.#sync.length > 0) this.#sync = [];
    if (this.#ownContent.size > 0) this.#ownContent.clear();
    this.#begunIn = undefined;
  }

  /** The set tells of the chain as it is: what that does not lead to any more goes with the group. */
  setWritten(): void {
    if (this.#places.length === 0) return;
    for (const place of this.#places.splice(0)) this.#pool.store.freeLogged(place);
  }

  /** Ends the chain with the group that is open: the next commit begins another (zil_suspend). */
  end(): void {
    if (this.#next === undefined) return;
    this.#places.push(this.#next.block);
    this.#next = undefined;
    this.#set.touch();
  }

  /**
   * Begins the log of a mount, and goes on with what an earlier mount has left. A chain of which something is written was left by a power cut: its calls are made again, and it ends with
   * the group that holds them; a group that is written in between tells how far that has come (zh_replay_seq). The first call that fails now ends it
   * (zil_replay_error). Of another chain the block that was to be written next begins a new one (zil_destroy with keep_first).
   */
  open(zpl: ZplState): Errno | undefined {
    this.#zpl = zpl;
    const { log } = this.#set;
    if (log === undefined) return undefined;
    const { records, places, isWritten } = readChain(this.#pool.store, log);
    if (!isWritten) {
      this.#beginAt(log.block);
      return undefined;
    }
    for (let replayed = log.replayed; replayed < records.length; replayed++) {
      this.#replaying = { ...log, replayed };
      if (replayRecord(zpl, records[replayed] as LogRecord) !== undefined) break;
    }
    this.#replaying = undefined;
    this.#places.push(...places);
    this.#set.touch();
    return this.#pool.syncGroup();
  }
}
