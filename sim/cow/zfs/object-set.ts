/**
 * An object set: the dnodes of one filesystem, their trees of blocks, and the tree of the dnodes themselves (module/zfs/dmu_objset.c, dnode.c,
 * dmu_object.c).
 *
 * Interface: changes are made in memory; `sync` writes them with one transaction group and gives the pointer of the new set. Whoever keeps an
 * older pointer keeps the older set. Blocks born and killed are told to the owner.
 */
import { assert } from "../../core/assert.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import type { Time } from "../../core/clock.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import type { BlockKind, BlockPointer } from "./block-pointer.ts";
import { BlockTree, type TreeIo, visitTree } from "./block-tree.ts";
import { SECTOR, storedSize } from "./compress.ts";
import { DnodeBlock } from "./dnodes.ts";
import { DNODE_BLOCK_BYTES, dnodesLength, indirectLength, objsetLength } from "./encode.ts";
import { ObjectNumbers } from "./object-numbers.ts";
import type { BlockIo, ObjectIo, ObjectSetOwner, PendingObject } from "./pending.ts";
import {
  BLOCKS,
  DNODES_PER_BLOCK,
  type DnodeBody,
  type DnodesRecord,
  type IndirectRecord,
  LEVELS,
  type LogHead,
  MODE,
  type ObjsetRecord,
  TIMES,
  USED,
  WORDS,
} from "./records.ts";
import { Spills } from "./spills.ts";
import { type BlockStore, metadataCopies } from "./store.ts";
import { SystemObjects } from "./system-objects.ts";

const OBJECTS_BITS = 48;
const POINTER_SHIFT = 7;
/** From which level on indirect blocks have a copy more with redundant_metadata=most (zfs_redundant_metadata_most_ditto_level). */
const DITTO_LEVEL = 2;

export class ObjectSet implements TreeIo {
  readonly store: BlockStore;
  readonly fanShift: number;
  readonly numbers: ObjectNumbers;
  /** Files without names that are in use: freed at the next mount if the power goes. */
  readonly unlinked: Set<number>;
  /** Objects in use, those of the system not counted. */
  objects: number;
  /** Where the intent log began when the set was opened. */
  readonly log: LogHead | undefined;
  /** The intent log of the mount: tells where it begins behind the group at work. */
  openLog: { readonly head: LogHead | undefined; end(): void; forget(object: number): void } | undefined;
  /** How blocks of its objects are written. */
  readonly blockIo: BlockIo;
  readonly #spills: Spills;
  readonly #owner: ObjectSetOwner;
  readonly #blocks = new Map<number, DnodeBlock>();
  readonly #dirtyBlocks = new Set<number>();
  /** What objects have in memory that the device has not. */
  readonly #pending = new Map<number, PendingObject>();
  /** Trees of objects that are gone, to be freed with the next group. */
  #doomed: BlockPointer[] = [];
  #meta: BlockTree;
  #top: BlockPointer | undefined;
  readonly #system: SystemObjects;
  #pointer: BlockPointer | undefined;
  /** How long the set's block was with these pointers in it. */
  #lengthOf:
    | { readonly top: BlockPointer | undefined; readonly accounting: readonly BlockPointer[]; readonly length: number }
    | undefined;
  #dirty = false;

  constructor(store: BlockStore, owner: ObjectSetOwner, pointer: BlockPointer | undefined, record: ObjsetRecord | undefined) {
    this.store = store;
    this.#owner = owner;
    this.blockIo = {
      profile: store.profile,
      store,
      copies: (kind) => (kind === "data" ? owner.copies : metadataCopies(owner.copies)),
      rounded: (compressed, logical) => this.#rounded(compressed, logical),
    };
    this.fanShift = store.profile.indirectShift - POINTER_SHIFT;
    this.#spills = new Spills(this.blockIo, (killed) => this.kill(killed));
    this.#pointer = pointer;
    this.#top = record?.tops[0];
    const parts = {
      store,
      write: (made: BlockRecord, size: number) => this.#write("system", 0, made, size),
      kill: (killed: BlockPointer) => this.kill(killed),
      change: (object: number) => void this.#change(object),
    };
    this.#system = new SystemObjects(parts, record);
    if (record !== undefined) this.#lengthOf = { top: this.#top, accounting: this.#system.accounting, length: record.length };
    this.objects = record?.objects ?? 0;
    this.unlinked = new Set(record?.unlinked);
    this.log = record?.log;
    this.#meta = this.#metaTree();
    const taken = new Set([0, store.profile.rootObject, ...store.profile.systemObjects.map(([number]) => number)]);
    // One whose dnode cannot be read counts as free: whoever takes it loads it first.
    const isFree = (object: number): boolean =>
      this.load(object) !== undefined || this.#block(object).isFree(object % DNODES_PER_BLOCK);
    const how = { region: DNODES_PER_BLOCK << this.fanShift, rescanAfter: store.profile.rescanAfter };
    this.numbers = new ObjectNumbers(how, record?.regions, taken, isFree);
    if (record === undefined) this.touch();
  }

  #metaTree(): BlockTree {
    let levels = 1;
    while (3 * 2 ** (5 + (levels - 1) * this.fanShift) < 2 ** OBJECTS_BITS) levels++;
    return new BlockTree(this, this.#top, levels);
  }

  /** The set's block must be written anew, whatever else changes. */
  touch(): void {
    this.#dirty = true;
  }

  get isDirty(): boolean {
    return this.#dirty || this.#dirtyBlocks.size > 0 || this.#pending.size > 0 || this.#doomed.length > 0;
  }

  // Dnodes

  /** Brings the dnode of an object into memory: to be done before anything else is asked of the object. @returns EIO. */
  load(object: number): Errno | undefined {
    const index = Math.floor(object / DNODES_PER_BLOCK);
    if (this.#blocks.has(index)) return undefined;
    const pointer = this.#meta.get(index);
    const record = pointer === undefined || isErrno(pointer) ? pointer : this.store.readRecord(pointer);
    if (isErrno(record)) return record;
    this.#blocks.set(index, new DnodeBlock(record as DnodesRecord | undefined));
    return undefined;
  }

  #block(object: number): DnodeBlock {
    const index = Math.floor(object / DNODES_PER_BLOCK);
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    const failed = this.load(object);
    assert(failed === undefined, `object ${object} is asked for, and its dnode cannot be read`);
    return this.#blocks.get(index) as DnodeBlock;
  }

  /** The block of an object, to be changed. */
  #change(object: number): DnodeBlock {
    const block = this.#block(object);
    block.own();
    this.#dirtyBlocks.add(Math.floor(object / DNODES_PER_BLOCK));
    return block;
  }

  word(object: number, column: number): number {
    return this.#block(object).words[(object % DNODES_PER_BLOCK) * WORDS + column] as number;
  }
  setWord(object: number, column: number, value: number): void {
    this.#change(object).words[(object % DNODES_PER_BLOCK) * WORDS + column] = value;
  }
  time(object: number, which: number): Time {
    return this.#block(object).times[(object % DNODES_PER_BLOCK) * TIMES + which] as Time;
  }
  setTime(object: number, which: number, value: Time): void {
    this.#change(object).times[(object % DNODES_PER_BLOCK) * TIMES + which] = value;
  }
  /** What lies in a spill block included. @returns EIO. */
  body(object: number): DnodeBody | undefined | Errno {
    const body = this.#block(object).bodies[object % DNODES_PER_BLOCK];
    return body?.spill === undefined ? body : this.#spills.whole(body);
  }
  setBody(object: number, body: DnodeBody): void {
    const { bodies } = this.#change(object);
    const index = object % DNODES_PER_BLOCK;
    this.#spills.replaces(object, bodies[index]);
    bodies[index] = body;
  }

  /** Ends an object with everything that it has. */
  free(object: number): void {
    const block = this.#change(object);
    const index = object % DNODES_PER_BLOCK;
    const top = block.tops[index];
    if (top !== undefined) this.#doomed.push(top);
    const spill = this.#spills.end(object, block.bodies[index]);
    if (spill !== undefined) this.#doomed.push(spill);
    block.tops[index] = undefined;
    block.bodies[index] = undefined;
    block.words.fill(0, index * WORDS, (index + 1) * WORDS);
    this.#pending.delete(object);
    this.openLog?.forget(object);
    this.numbers.give(object);
    this.objects -= 1;
    this.#system.accounts = true;
  }

  // Blocks of objects

  /** What an object has in memory that is not written yet. */
  pending(object: number): PendingObject | undefined {
    return this.#pending.get(object);
  }
  /** An object has something to be written with the next group. */
  addPending(object: number, pending: PendingObject): void {
    this.#pending.set(object, pending);
  }

  /** The pointer of a block of an object, as it is on the device. */
  pointerOf(object: number, block: number): BlockPointer | undefined | Errno {
    const top = this.#block(object).tops[object % DNODES_PER_BLOCK];
    if (top === undefined || block >= this.word(object, BLOCKS)) return undefined;
    return new BlockTree(this, top, this.word(object, LEVELS)).get(block);
  }

  readPointers(pointer: BlockPointer): readonly (BlockPointer | undefined)[] | Errno {
    const record = this.store.readRecord(pointer);
    return isErrno(record) ? record : (record as IndirectRecord).pointers;
  }

  writePointers(pointers: readonly (BlockPointer | undefined)[], level: number, ofData: boolean): BlockPointer | Errno {
    const bytes = 1 << this.store.profile.indirectShift;
    const length = this.#rounded(indirectLength(this.store.profile, pointers), bytes);
    const record: IndirectRecord = { kind: "zfs.indirect", length, pointers };
    const { copies, isRedundant } = this.#owner;
    const isPlain = ofData && level < DITTO_LEVEL && !isRedundant;
    return this.#write("indirect", level, record, bytes, isPlain ? copies : metadataCopies(copies));
  }

  #rounded(compressed: number, logical: number): number {
    return storedSize(compressed, logical, this.store.profile.roundsToAshift ? this.store.space.unit : SECTOR);
  }

  #write(
    kind: BlockKind,
    level: number,
    record: { readonly kind: string; readonly length: number },
    logicalSize: number,
    copies: number = metadataCopies(this.#owner.copies),
  ): BlockPointer | Errno {
    const content = Content.record(record);
    return this.#told(this.store.write({ kind, level, content, logicalSize, physicalSize: record.length, copies }));
  }

  #told(pointer: BlockPointer | Errno): BlockPointer | Errno {
    if (!isErrno(pointer)) this.#owner.born(pointer);
    return pointer;
  }

  kill(pointer: BlockPointer): void {
    this.#owner.kill(pointer);
  }

  // Sync

  /** Writes everything that has changed. @returns the pointer of the set as it is now. */
  sync(): BlockPointer | Errno {
    const failed = this.#syncObjects() ?? this.#system.syncLayouts() ?? this.#freeDoomed() ?? this.#syncDnodes();
    if (failed !== undefined) return failed;
    return this.#syncSet();
  }

  #syncObjects(): Errno | undefined {
    const objects = [...this.#pending.keys()].sort((one, other) => one - other);
    for (const object of objects) {
      const failed = this.#syncObject(object, this.#pending.get(object) as PendingObject);
      if (failed !== undefined) return failed;
    }
    this.#pending.clear();
    return this.#spills.sync(
      (object) => this.#change(object),
      (made) => this.#told(this.store.write(made)),
      (layout) => this.#system.use(layout),
    );
  }

  #syncObject(object: number, pending: PendingObject): Errno | undefined {
    const block = this.#change(object);
    const at = object % DNODES_PER_BLOCK;
    const ofData = (this.word(object, MODE) & S_IFMT) === S_IFREG;
    const tree = new BlockTree(this, block.tops[at], Math.max(1, this.word(object, LEVELS)), ofData);
    const io: ObjectIo = {
      ...this.blockIo,
      tree,
      write: (number, data) => {
        // What lies in its pointer takes no place, but counts before compression (dsl_dataset_block_born).
        const made = "placed" in data ? data.placed : this.store.write(data);
        const written = made === undefined ? undefined : this.#told(made);
        if (isErrno(written)) return written;
        return tree.set(number, written);
      },
    };
    const failed = pending.sync(io);
    if (failed !== undefined) return failed;
    const top = tree.settle();
    if (isErrno(top)) return top;
    block.tops[at] = top;
    const words = block.words;
    words[at * WORDS + LEVELS] = tree.levels;
    words[at * WORDS + USED] = (words[at * WORDS + USED] as number) + tree.usedDelta;
    this.#system.accounts = true;
    return undefined;
  }

  #freeDoomed(): Errno | undefined {
    const doomed = this.#doomed;
    this.#doomed = [];
    for (const top of doomed) {
      const failed = visitTree(this, top, -1, (pointer) => this.kill(pointer));
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  #syncDnodes(): Errno | undefined {
    if (this.#dirtyBlocks.size === 0) return undefined;
    const indexes = [...this.#dirtyBlocks].sort((one, other) => one - other);
    for (const index of indexes) {
      const block = this.#blocks.get(index) as DnodeBlock;
      const system = this.#system.inBlock(index);
      const isEmpty = block.isEmpty && system.size === 0;
      const length = isEmpty ? 0 : this.#rounded(dnodesLength(this.store.profile, block, system), DNODE_BLOCK_BYTES);
      const written = isEmpty ? undefined : this.#write("dnodes", 0, block.freeze(length), DNODE_BLOCK_BYTES);
      if (isErrno(written)) return written;
      const failed = this.#meta.set(index, written);
      if (failed !== undefined) return failed;
    }
    const top = this.#meta.settle();
    if (isErrno(top)) return top;
    this.#top = top;
    this.#dirtyBlocks.clear();
    this.#dirty = true;
    return undefined;
  }

  /** Writes the tables that every filesystem has: once, when it is made. */
  writeSystem(): Errno | undefined {
    return this.#system.make();
  }
  /** An object has lost its last name. */
  touchQueue(): void {
    this.#system.queue();
  }
  /** Attributes of an object lie in a way that is perhaps new. */
  useLayout(layout: string): void {
    this.#system.use(layout);
  }

  #syncSet(): BlockPointer | Errno {
    const failed = this.#system.syncAccounting(this.#dirty);
    if (failed !== undefined) return failed;
    const { profile } = this.store;
    const parts = { tops: [this.#top], accounting: this.#system.accounting, levels: this.#meta.levels };
    // With the same pointers in it a block is as long as before: a clone's is not compressed anew.
    const known = this.#lengthOf;
    const isSame = known?.top === this.#top && known?.accounting === this.#system.accounting;
    const length =
      isSame && known !== undefined ? known.length : this.#rounded(objsetLength(profile, parts), profile.objsetBytes);
    this.#lengthOf = { top: this.#top, accounting: this.#system.accounting, length };
    const record: ObjsetRecord = {
      kind: "zfs.objset",
      length,
      tops: [this.#top],
      system: this.#system.pointers,
      accounting: this.#system.accounting,
      layouts: this.#system.layouts,
      objects: this.objects,
      unlinked: [...this.unlinked],
      regions: this.numbers.freeze(),
      log: this.openLog?.head,
    };
    const written = this.#write("objset", 0, record, profile.objsetBytes);
    if (isErrno(written)) return written;
    if (this.#pointer !== undefined) this.kill(this.#pointer);
    this.#pointer = written;
    this.#dirty = false;
    return written;
  }

  /** Visits every dnode block on the device: whoever checks, or looks for all objects. */
  visitObjects(visit: (object: number) => void): void {
    const last = this.numbers.end;
    for (let first = 0; first < last; first += DNODES_PER_BLOCK) {
      const index = first / DNODES_PER_BLOCK;
      if (!this.#blocks.has(index) && this.#meta.get(index) === undefined) continue;
      for (let object = first; object < first + DNODES_PER_BLOCK; object++) if (this.word(object, MODE) !== 0) visit(object);
    }
  }
}
