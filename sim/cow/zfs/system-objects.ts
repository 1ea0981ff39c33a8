/**
 * The objects that every filesystem has beside its files (module/zfs/zfs_znode_os.c, zfs_create_fs; sa.c; dmu_objset.c): the master node, the table of
 * attributes and that of their layouts, the queue of objects to be deleted; and the sums of space by user and group.
 */
import type { BlockRecord } from "../../core/block-record.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { S_IFDIR } from "../../vfs/filesystem.ts";
import { layoutOf } from "./attributes.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { EMBEDDED_MAX, SECTOR } from "./compress.ts";
import { DNODES_PER_BLOCK, type ObjsetRecord, type SystemRecord } from "./records.ts";
import type { BlockStore } from "./store.ts";

/** What an object set does for them. */
interface Parts {
  readonly store: BlockStore;
  write(record: BlockRecord, logicalSize: number): BlockPointer | Errno;
  kill(pointer: BlockPointer): void;
  /** The dnode of an object changes. */
  change(object: number): void;
}

export class SystemObjects {
  /** By their place in the profile's list. */
  pointers: readonly BlockPointer[];
  /** Of the sums by user and by group. */
  accounting: readonly BlockPointer[];
  /** Whether those have changed. */
  accounts = false;
  readonly #parts: Parts;
  /** In which ways attributes lie in objects of this set, now or once (sa_attr layouts). */
  readonly #layouts: Set<string>;
  #hasNewLayout = false;

  constructor(parts: Parts, record: Pick<ObjsetRecord, "system" | "accounting" | "layouts"> | undefined) {
    this.#parts = parts;
    this.pointers = record?.system ?? [];
    this.accounting = record?.accounting ?? [];
    this.#layouts = new Set(record?.layouts);
  }

  get layouts(): readonly string[] {
    return [...this.#layouts];
  }

  /** Those in a block of dnodes, by their place in it. */
  inBlock(index: number): Map<number, BlockPointer | undefined> {
    const found = new Map<number, BlockPointer | undefined>();
    for (const [n, [number]] of this.#parts.store.profile.systemObjects.entries()) {
      if (Math.floor(number / DNODES_PER_BLOCK) === index) found.set(number % DNODES_PER_BLOCK, this.pointers[n]);
    }
    return found;
  }

  /** Writes their tables: once, when the filesystem is made. */
  make(): Errno | undefined {
    const made: BlockPointer[] = [];
    for (const [number, length] of this.#parts.store.profile.systemObjects) {
      const pointer = this.#table(length);
      if (isErrno(pointer)) return pointer;
      made.push(pointer);
      this.#parts.change(number);
    }
    this.pointers = made;
    this.#layouts.add(layoutOf(S_IFDIR));
    return undefined;
  }

  #table(length: number): BlockPointer | Errno {
    const record: SystemRecord = { kind: "zfs.system", length };
    return length > EMBEDDED_MAX
      ? this.#parts.write(record, Math.max(length, SECTOR))
      : this.#parts.store.embed("system", record, SECTOR);
  }

  /** An object has lost its last name: the queue changes, and lies in its pointer. */
  queue(): void {
    const { deleteQueue } = this.#parts.store.profile;
    if (deleteQueue !== undefined) this.#parts.change(deleteQueue);
  }

  /** Attributes of an object lie in a way: one that is new to the set is put into a table. */
  use(layout: string): void {
    const { layoutTable } = this.#parts.store.profile;
    if (layoutTable === undefined || this.#layouts.has(layout)) return;
    this.#layouts.add(layout);
    this.#hasNewLayout = true;
    this.#parts.change(layoutTable);
  }

  /** Writes the table of layouts when there is a new one. */
  syncLayouts(): Errno | undefined {
    if (!this.#hasNewLayout) return undefined;
    this.#hasNewLayout = false;
    const { layoutTable, systemObjects } = this.#parts.store.profile;
    const at = systemObjects.findIndex(([number]) => number === layoutTable);
    const old = this.pointers[at];
    if (old === undefined) return undefined;
    const made = this.#table(systemObjects[at]?.[1] ?? SECTOR);
    if (isErrno(made)) return made;
    this.#parts.kill(old);
    this.pointers = this.pointers.with(at, made);
    return undefined;
  }

  /** Writes the sums by owner when they have changed. @param isDirty - whether anything else of the set has */
  syncAccounting(isDirty: boolean): Errno | undefined {
    const { profile } = this.#parts.store;
    if (!this.accounts && !(profile.accountsAlways && isDirty) && this.accounting.length > 0) return undefined;
    const made: BlockPointer[] = [];
    for (const _owner of ["user", "group"]) {
      const pointer = this.#table(profile.accountingBytes);
      if (isErrno(pointer)) return pointer;
      made.push(pointer);
    }
    for (const old of this.accounting) this.#parts.kill(old);
    this.accounting = made;
    this.accounts = false;
    return undefined;
  }
}
