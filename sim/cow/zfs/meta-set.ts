/**
 * The meta object set of a pool: its directories and datasets as records on the devices, in a tree by their numbers (module/zfs/dsl_pool.c).
 *
 * Each object is a block of one sector that is written anew when it changes, and beside it a block of fixed size for the tables that belong to
 * it (names of snapshots, properties, dead lists), written once. Three copies of everything. How much these tables take is measured, not made
 * (PoolCosts in profile.ts).
 *
 * Interface: `change` names what has changed, `remove` what is gone; `sync` writes it with the group at work.
 */
import { type BlockRecord, Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { allocatedSize, type BlockPointer } from "./block-pointer.ts";
import { BlockTree, type TreeIo, visitTree } from "./block-tree.ts";
import { SECTOR } from "./compress.ts";
import type { DeadListRecord } from "./dead-list.ts";
import type { IndirectRecord, SystemRecord } from "./records.ts";
import type { BlockStore } from "./store.ts";

const COPIES = 3;
/** Sectors of the pool's history. */
const HISTORY_SECTORS = 256;
/** Bytes that one command takes in it, about. */
const HISTORY_BYTES = 800;
/** Pointers in a block of the tree: few, so that a snapshot rewrites little. */
const FAN_SHIFT = 7;

/** An object of the set as it lies on the devices. */
export type MetaRecord =
  | {
      readonly kind: "zfs.directory-object";
      readonly length: number;
      readonly id: number;
      readonly name: string;
      readonly parent: number;
      readonly origin: number;
      readonly properties: readonly (readonly [string, string])[];
      readonly head: number;
      readonly snapshots: number;
      readonly logical: number;
      readonly tables: BlockPointer | undefined;
    }
  | {
      readonly kind: "zfs.dataset-object";
      readonly length: number;
      readonly id: number;
      readonly directory: number;
      readonly name: string | undefined;
      readonly previous: number;
      readonly next: number;
      readonly group: number;
      readonly created: number;
      readonly pointer: BlockPointer | undefined;
      readonly referenced: number;
      readonly logical: number;
      readonly unique: number;
      readonly deadList: DeadListRecord;
      readonly deferred: boolean;
      readonly tables: BlockPointer | undefined;
    };

export interface MetaRootRecord {
  readonly kind: "zfs.mos";
  readonly length: number;
  readonly top: BlockPointer | undefined;
  readonly levels: number;
  readonly nextId: number;
  readonly rootDirectory: number;
  readonly tables: readonly BlockPointer[];
  readonly history: readonly BlockPointer[];
}

/** Bytes that every group writes of the set's root, the pool's object directory and the log of space maps. */
export const ROOT_BYTES: number = 3 * SECTOR;

/** How an object is written: the parts that only its owner knows. */
export type FreezeObject = (id: number, tables: BlockPointer | undefined) => MetaRecord;

export class MetaSet implements TreeIo {
  readonly fanShift: number = FAN_SHIFT;
  nextId: number;
  /** Bytes allocated to the set. */
  allocated = 0;
  /** The same before copies. */
  logical = 0;
  readonly #store: BlockStore;
  readonly #changed = new Set<number>();
  readonly #removed = new Set<number>();
  readonly #tables = new Map<number, BlockPointer>();
  readonly #tree: BlockTree;
  readonly #base: BlockPointer[];
  readonly #history: BlockPointer[];
  #historyBytes = 0;
  /** How often the pool's own tables have grown. */
  growths = 0;
  #pointer: BlockPointer | undefined;
  readonly rootDirectory: number;

  constructor(store: BlockStore, pointer: BlockPointer | undefined, root: Partial<MetaRootRecord>) {
    this.#store = store;
    this.#pointer = pointer;
    this.#tree = new BlockTree(this, root.top, root.levels ?? 2);
    this.#base = [...(root.tables ?? [])];
    this.#history = [...(root.history ?? [])];
    this.#historyBytes = this.#history.length * SECTOR;
    this.growths = Math.max(0, this.#base.length - 1);
    this.nextId = root.nextId ?? 2;
    this.rootDirectory = root.rootDirectory ?? 0;
  }

  /** A number for a new object, and the one behind it. */
  takeId(): number {
    const id = this.nextId;
    this.nextId += 2;
    return id;
  }

  change(id: number): void {
    this.#changed.add(id);
  }

  remove(id: number): void {
    this.#changed.delete(id);
    this.#removed.add(id);
  }

  /** Gives an object its tables. @param bytes - what they take, one copy. */
  addTables(id: number, bytes: number): Errno | undefined {
    if (bytes <= 0) return undefined;
    const made = this.#system(bytes);
    if (isErrno(made)) return made;
    this.#tables.set(id, made);
    return undefined;
  }

  /** Writes down a command in the pool's history: a ring that is 128 KiB long in a small pool (spa_history.c). */
  addHistory(): Errno | undefined {
    this.#historyBytes += HISTORY_BYTES;
    while (this.#historyBytes > this.#history.length * SECTOR && this.#history.length < HISTORY_SECTORS) {
      const made = this.#system(SECTOR);
      if (isErrno(made)) return made;
      this.#history.push(made);
    }
    return undefined;
  }

  /** Writes tables of the pool itself. */
  addBase(bytes: number): Errno | undefined {
    const made = this.#system(bytes);
    if (isErrno(made)) return made;
    this.#base.push(made);
    this.growths = this.#base.length - 1;
    return undefined;
  }

  #system(length: number): BlockPointer | Errno {
    const record: SystemRecord = { kind: "zfs.system", length };
    return this.#write(record, 0, length);
  }

  #write(record: BlockRecord, level: number, logicalSize: number): BlockPointer | Errno {
    const physicalSize = record.length;
    const content = Content.record(record);
    const made = this.#store.write({ kind: "mos", level, content, logicalSize, physicalSize, copies: COPIES });
    if (isErrno(made)) return made;
    this.allocated += allocatedSize(made);
    this.logical += physicalSize;
    return made;
  }

  readPointers(pointer: BlockPointer): readonly (BlockPointer | undefined)[] | Errno {
    const record = this.#store.readRecord(pointer);
    return isErrno(record) ? record : (record as IndirectRecord).pointers;
  }

  writePointers(pointers: readonly (BlockPointer | undefined)[], level: number): BlockPointer | Errno {
    const record: IndirectRecord = { kind: "zfs.indirect", length: SECTOR, pointers };
    return this.#write(record, level, SECTOR);
  }

  kill(pointer: BlockPointer): void {
    this.allocated -= allocatedSize(pointer);
    this.logical -= pointer.physicalSize;
    this.#store.free(pointer);
  }

  get isDirty(): boolean {
    return this.#changed.size > 0 || this.#removed.size > 0;
  }

  /** Writes what has changed. @returns the set's pointer. */
  sync(freeze: FreezeObject): BlockPointer | Errno {
    for (const id of this.#removed) {
      const tables = this.#tables.get(id);
      if (tables !== undefined) this.kill(tables);
      this.#tables.delete(id);
      const failed = this.#tree.set(id, undefined);
      if (failed !== undefined) return failed;
    }
    this.#tree.raise(this.nextId);
    for (const id of this.#changed) {
      const written = this.#write(freeze(id, this.#tables.get(id)), 0, SECTOR);
      if (isErrno(written)) return written;
      const failed = this.#tree.set(id, written);
      if (failed !== undefined) return failed;
    }
    const top = this.#tree.settle();
    if (isErrno(top)) return top;
    return this.#syncRoot(top);
  }

  #syncRoot(top: BlockPointer | undefined): BlockPointer | Errno {
    const { levels } = this.#tree;
    const record: MetaRootRecord = {
      kind: "zfs.mos",
      length: ROOT_BYTES,
      top,
      levels,
      nextId: this.nextId,
      rootDirectory: this.rootDirectory,
      tables: [...this.#base],
      history: [...this.#history],
    };
    const written = this.#write(record, 0, ROOT_BYTES);
    if (isErrno(written)) return written;
    if (this.#pointer !== undefined) this.kill(this.#pointer);
    this.#pointer = written;
    this.#changed.clear();
    this.#removed.clear();
    return written;
  }

  /** Reads every object, and tells every block of the set: what an import and a check do. */
  load(visitObject: (record: MetaRecord) => void, visitBlock: (pointer: BlockPointer) => void): Errno | undefined {
    const top = this.#tree.settle();
    if (isErrno(top)) return top;
    for (const pointer of [...this.#base, ...this.#history]) visitBlock(pointer);
    if (this.#pointer !== undefined) visitBlock(this.#pointer);
    const objects: BlockPointer[] = [];
    const failed = visitTree(this, top, -1, (pointer) => {
      visitBlock(pointer);
      if (pointer.level === 0) objects.push(pointer);
    });
    if (failed !== undefined) return failed;
    for (const pointer of objects) {
      const record = this.#store.readRecord(pointer);
      if (isErrno(record)) return record;
      const object = record as MetaRecord;
      if (object.tables !== undefined) {
        this.#tables.set(object.id, object.tables);
        visitBlock(object.tables);
      }
      visitObject(object);
    }
    return undefined;
  }

  /** Counts a block that an import has found. */
  claim(pointer: BlockPointer): void {
    this.allocated += allocatedSize(pointer);
    this.logical += pointer.physicalSize;
  }
}
