/**
 * The meta object set of a pool: its directories and datasets as records on the devices (module/zfs/dsl_pool.c).
 *
 * Objects lie packed in blocks, 16 numbers each, in a tree by number. What has changed since the tree was written last is in the set's root, which
 * every group writes anew: so a snapshot costs one block, and the tree is brought up to date when the root is full. Beside its object each filesystem
 * has a block of fixed size for its tables (names of snapshots, properties, dead lists), written once. Three copies of everything. How much these
 * tables take is measured, not made (PoolCosts in profile.ts).
 *
 * Interface: `change` names what has changed, `remove` what is gone; `sync` writes it with the group at work.
 */
import { assert } from "../../core/assert.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { alignDown, alignUp } from "../../core/units.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { BlockTree, visitTree } from "./block-tree.ts";
import { SECTOR } from "./compress.ts";
import { MapBlocks, MetaBlocks } from "./meta-blocks.ts";
import type { MetaRecord } from "./object-records.ts";
import { PointerLists } from "./pointer-lists.ts";
import { NO_NOTES, type PoolNotes } from "./pool-notes.ts";
import type { ZfsProfile } from "./profile.ts";
import { type FrozenSpaceMaps, SpaceMaps } from "./space-maps.ts";
import type { BlockStore } from "./store.ts";

/** Sectors of the pool's history. */
const HISTORY_SECTORS = 256;
/** Bytes that one command takes in it, about. */
const HISTORY_BYTES = 256;
/** Numbers in a block of objects, and about how much an object takes in it, compressed. */
const OBJECTS_A_BLOCK = 16;
const OBJECT_BYTES = 128;
/** Objects that the root holds before the tree is written. */
const ROOT_OBJECTS_MAX = 32;
/** So many changes are looked through for one that is there already. */
const FEW_CHANGES = 16;
/** How long the list of them becomes, with what they were before, until it is made anew. */
const CHANGES_MAX = 8 * ROOT_OBJECTS_MAX;

/** A block of objects. */
interface ObjectsRecord {
  readonly kind: "zfs.mos-objects";
  readonly length: number;
  readonly objects: readonly MetaRecord[];
}

export interface MetaRootRecord {
  readonly kind: "zfs.mos";
  readonly length: number;
  readonly top: BlockPointer | undefined;
  readonly levels: number;
  readonly nextId: number;
  readonly rootDirectory: number;
  /**
   * Objects that the tree does not have, or has otherwise: the first `changes` of this list, which later roots go on with. Of two with
   * one number the later counts.
   */
  readonly changed: readonly MetaRecord[];
  readonly changes: number;
  /** Numbers that the tree or `changed` has and the set has not. */
  readonly removed: readonly number[];
  readonly tables: readonly BlockPointer[];
  readonly history: readonly BlockPointer[];
  readonly notes: PoolNotes;
  readonly maps: FrozenSpaceMaps;
}

/** Bytes of the set's root without any dnodes. */
const ROOT_BYTES: number = 3 * SECTOR;

/** Bytes of the root with so many dnodes in it, which every group writes. */
function rootLength({ poolCosts }: ZfsProfile, dnodes: number): number {
  return ROOT_BYTES + alignDown(dnodes * poolCosts.dnode, SECTOR);
}

/** How an object is written: the parts that only its owner knows. @returns the very record of an earlier group where it would be the same. */
export type FreezeObject = (id: number, tables: BlockPointer | undefined) => MetaRecord | Errno;

const NONE: readonly never[] = [];

/** The dnodes of an object and those that belong to it: tables of its properties, children, snapshots, clones, dead blocks. */
function dnodesOf(record: MetaRecord): number {
  if (record.kind === "zfs.directory-object") return 3;
  return (record.name === undefined ? 4 : 3) + record.dead.length;
}

/** Those of a new pool: its root's, and space maps with their logs; they are part of what an empty pool costs. */
const ROOT_DNODES = 14;

/** The objects that a root holds beside the tree, by number. */
function changedIn({ changed = [], changes = 0, removed = NONE }: Partial<MetaRootRecord>): Map<number, MetaRecord> {
  const found = new Map<number, MetaRecord>();
  for (let index = 0; index < changes; index++) {
    const record = changed[index] as MetaRecord;
    found.set(record.id, record);
  }
  for (const id of removed) found.delete(id);
  return found;
}

export class MetaSet {
  nextId: number;
  readonly #store: BlockStore;
  readonly #blocks: MetaBlocks;
  readonly maps: SpaceMaps;
  readonly lists: PointerLists;
  /** Perhaps some twice: a set would make a new table for each group. */
  #changed: number[] = [];
  readonly #removed = new Set<number>();
  /** What the root holds beside the tree. */
  readonly #newer: Map<number, MetaRecord>;
  readonly #gone: Set<number>;
  /** How the objects in `#newer` came there, one after the other: the roots that were written share it, so that each costs what it changes. */
  #changes: MetaRecord[];
  readonly #tables = new Map<number, BlockPointer>();
  readonly #tree: BlockTree;
  /** Replaced when they grow, as a root that was written has them. */
  #base: readonly BlockPointer[];
  #history: readonly BlockPointer[];
  /** In its blocks; what a new pool's first block has room for is below that. */
  #historyBytes = -HISTORY_BYTES;
  #pointer: BlockPointer | undefined;
  readonly rootDirectory: number;
  #notes: PoolNotes;
  /** They go with the next group, whatever that is for. */
  hasUnwrittenNotes = false;

  constructor(
    store: BlockStore,
    pointer: BlockPointer | undefined,
    root: Partial<MetaRootRecord> & Pick<MetaRootRecord, "nextId" | "rootDirectory">,
  ) {
    this.#store = store;
    this.#blocks = new MetaBlocks(store);
    this.lists = new PointerLists(this.#blocks);
    this.maps = new SpaceMaps(new MapBlocks(this.#blocks), store.space, store.profile, root.maps);
    this.#pointer = pointer;
    this.#tree = new BlockTree(this.#blocks, root.top, root.levels ?? 2);
    this.#newer = changedIn(root);
    this.#changes = [...this.#newer.values()];
    this.#gone = new Set(root.removed);
    this.#base = root.tables ?? [];
    this.#history = root.history ?? [];
    if (root.history !== undefined) this.#historyBytes = this.#history.length * SECTOR;
    this.nextId = root.nextId;
    this.rootDirectory = root.rootDirectory;
    this.#notes = root.notes ?? NO_NOTES;
  }

  get notes(): PoolNotes {
    return this.#notes;
  }
  set notes(notes: PoolNotes) {
    this.#notes = notes;
    this.hasUnwrittenNotes = true;
  }

  /** Bytes allocated to the set. */
  get allocated(): number {
    return this.#blocks.allocated;
  }

  /** The same before copies: before compression and after it alike, since all of it is metadata. */
  get logical(): number {
    return this.#blocks.logical;
  }

  /** A number for a new object, and the one behind it. */
  takeId(): number {
    const id = this.nextId;
    this.nextId += 2;
    return id;
  }

  change(id: number): void {
    const known = this.#changed;
    if (known.length >= FEW_CHANGES || !known.includes(id)) known.push(id);
  }

  remove(id: number): void {
    if (this.#changed.includes(id)) this.#changed = this.#changed.filter((one) => one !== id);
    this.#removed.add(id);
  }

  /** Gives an object its tables. @param bytes - what they take, one copy. */
  addTables(id: number, bytes: number): Errno | undefined {
    if (bytes <= 0) return undefined;
    const made = this.#blocks.writeSystem(bytes);
    if (isErrno(made)) return made;
    this.#tables.set(id, made);
    return undefined;
  }

  /** Writes down a command in the pool's history: a ring that is 128 KiB long in a small pool (spa_history.c). */
  addHistory(): Errno | undefined {
    this.#historyBytes += HISTORY_BYTES;
    while (this.#historyBytes > this.#history.length * SECTOR && this.#history.length < HISTORY_SECTORS) {
      const made = this.#blocks.writeSystem(SECTOR);
      if (isErrno(made)) return made;
      this.#history = [...this.#history, made];
    }
    return undefined;
  }

  /** Writes tables of the pool itself, the first of which the root is part of. @param bytes - what each takes, one copy. */
  addBase(bytes: readonly number[]): Errno | undefined {
    for (const [object, length] of bytes.entries()) {
      const made = this.#blocks.writeSystem(object === 0 ? length - rootLength(this.#store.profile, ROOT_DNODES) : length, {
        object,
      });
      if (isErrno(made)) return made;
      this.#base = [...this.#base, made];
    }
    return undefined;
  }

  get isDirty(): boolean {
    return this.#changed.length > 0 || this.#removed.size > 0;
  }

  /** Writes what has changed, the space of the pool among it. @returns the set's pointer. */
  sync(freeze: FreezeObject): BlockPointer | Errno {
    const hasChanged = this.isDirty || this.hasUnwrittenNotes || this.#store.space.isChanged;
    if (this.#pointer !== undefined && !hasChanged) return this.#pointer;
    for (const id of this.#removed) {
      const tables = this.#tables.get(id);
      if (tables !== undefined) this.#blocks.kill(tables);
      this.#tables.delete(id);
      this.lists.remove(id);
      this.#newer.delete(id);
      this.#gone.add(id);
    }
    for (const id of this.#changed) {
      const record = freeze(id, this.#tables.get(id));
      if (isErrno(record)) return record;
      if (record === this.#newer.get(id)) continue;
      this.#newer.set(id, record);
      this.#changes.push(record);
    }
    if (this.#changes.length > CHANGES_MAX) this.#changes = [...this.#newer.values()];
    const failed = this.#newer.size + this.#gone.size > ROOT_OBJECTS_MAX ? this.#syncTree() : undefined;
    if (failed !== undefined) return failed;
    const top = this.#tree.settle();
    return isErrno(top) ? top : this.#syncRoot(top);
  }

  /** Brings the tree up to date. */
  #syncTree(): Errno | undefined {
    const blocks = new Set<number>();
    for (const id of [...this.#newer.keys(), ...this.#gone]) blocks.add(Math.floor(id / OBJECTS_A_BLOCK));
    this.#tree.raise(Math.floor(this.nextId / OBJECTS_A_BLOCK) + 1);
    for (const block of [...blocks].sort((one, other) => one - other)) {
      const known = this.#objectsOf(block);
      if (isErrno(known)) return known;
      const objects = this.#merged(block, known);
      const written = objects.length === 0 ? undefined : this.#writeObjects(objects);
      const failed = isErrno(written) ? written : this.#tree.set(block, written);
      if (failed !== undefined) return failed;
    }
    this.#newer.clear();
    this.#gone.clear();
    this.#changes = [];
    return undefined;
  }

  /** The objects of a block as they are. @param known - those that the tree has, by number. */
  #merged(block: number, known: readonly MetaRecord[]): MetaRecord[] {
    const objects: MetaRecord[] = [];
    let at = 0;
    for (let id = block * OBJECTS_A_BLOCK; id < (block + 1) * OBJECTS_A_BLOCK; id++) {
      const older = known[at]?.id === id ? known[at++] : undefined;
      const object = this.#newer.get(id) ?? (this.#gone.has(id) ? undefined : older);
      if (object !== undefined) objects.push(object);
    }
    return objects;
  }

  #objectsOf(block: number): readonly MetaRecord[] | Errno {
    const pointer = this.#tree.get(block);
    if (pointer === undefined || isErrno(pointer)) return pointer ?? [];
    const record = this.#store.readRecord(pointer);
    return isErrno(record) ? record : (record as ObjectsRecord).objects;
  }

  #writeObjects(objects: readonly MetaRecord[]): BlockPointer | Errno {
    const bytes = objects.reduce((sum, object) => sum + this.#bytesOf(object), 0);
    const record: ObjectsRecord = { kind: "zfs.mos-objects", length: alignUp(bytes, SECTOR), objects };
    return this.#blocks.write(Content.record(record), 0, record.length);
  }

  #bytesOf(object: MetaRecord): number {
    const { dnode } = this.#store.profile.poolCosts;
    return dnode === 0 ? OBJECT_BYTES : dnodesOf(object) * dnode;
  }

  #syncRoot(top: BlockPointer | undefined): BlockPointer | Errno {
    const { levels } = this.#tree;
    let dnodes = this.maps.objects;
    // What comes beside a tree is about as much as what goes from it.
    if (top === undefined) for (const object of this.#newer.values()) dnodes += dnodesOf(object);
    const length = rootLength(this.#store.profile, dnodes) + this.maps.tableBytes;
    const placed = this.#blocks.place(0, length, length);
    if (isErrno(placed)) return placed;
    if (this.#pointer !== undefined) this.#blocks.kill(this.#pointer);
    const unmapped = this.maps.sync(this.#store.group);
    if (unmapped !== undefined) return unmapped;
    const record: MetaRootRecord = {
      kind: "zfs.mos",
      length,
      top,
      levels,
      nextId: this.nextId,
      rootDirectory: this.rootDirectory,
      changed: this.#changes,
      changes: this.#changes.length,
      removed: this.#gone.size === 0 ? NONE : [...this.#gone],
      tables: this.#base,
      history: this.#history,
      notes: this.#notes,
      maps: this.maps.freeze(),
    };
    const failed = this.#blocks.fill(placed, Content.record(record));
    if (failed !== undefined) return failed;
    this.#pointer = placed;
    this.hasUnwrittenNotes = false;
    this.#changed.length = 0;
    if (this.#removed.size > 0) this.#removed.clear();
    return placed;
  }

  /** Reads every object, and tells every block of the set: what an import and a check do. */
  load(visitObject: (record: MetaRecord) => void, visitBlock: (pointer: BlockPointer) => void): Errno | undefined {
    const top = this.#tree.settle();
    if (isErrno(top)) return top;
    assert(this.#pointer !== undefined, "a meta object set is read that was never written");
    for (const pointer of [...this.#base, ...this.#history, this.#pointer]) visitBlock(pointer);
    const blocks: BlockPointer[] = [];
    this.maps.visitBlocks(visitBlock);
    const failed = visitTree(this.#blocks, top, -1, (pointer) => {
      visitBlock(pointer);
      if (pointer.level === 0) blocks.push(pointer);
    });
    if (failed !== undefined) return failed;
    const tell = (object: MetaRecord): void => {
      if (object.kind === "zfs.dataset-object" && object.dead.length > 0) {
        this.lists.learn(object.id, object.deadList, object.live, object.dead);
        for (const pointer of object.dead) visitBlock(pointer);
      }
      if (object.tables !== undefined) {
        this.#tables.set(object.id, object.tables);
        visitBlock(object.tables);
      }
      visitObject(object);
    };
    for (const pointer of blocks) {
      const record = this.#store.readRecord(pointer);
      if (isErrno(record)) return record;
      for (const object of (record as ObjectsRecord).objects) {
        if (!this.#newer.has(object.id) && !this.#gone.has(object.id)) tell(object);
      }
    }
    for (const object of this.#newer.values()) tell(object);
    return undefined;
  }

  /** Counts a block that an import has found. */
  claim(pointer: BlockPointer): void {
    this.#blocks.claim(pointer);
  }
}
