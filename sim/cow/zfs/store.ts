/**
 * The blocks of a pool: allocated, written, read through the ARC, freed; and the table of deduplicated ones (module/zfs/zio.c, ddt.c).
 *
 * Interface: `group` is the transaction group that is open or at work. Blocks written in it are durable when its uberblock is.
 */
import { assert } from "../../core/assert.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import type { Arc } from "./arc.ts";
import { allocatedSize, type BlockKind, type BlockPointer, type Dva, physicalBirth } from "./block-pointer.ts";
import { readBlock, writePlace } from "./gang.ts";
import type { ZfsProfile } from "./profile.ts";
import { originalContent, storedContent } from "./records.ts";
import type { PoolSpace } from "./space.ts";
import type { TopLevel } from "./vdev.ts";

/** A block to be written. */
export interface NewBlock {
  readonly kind: BlockKind;
  readonly level: number;
  readonly content: Content;
  readonly logicalSize: number;
  readonly physicalSize: number;
  readonly copies: number;
  /** What it belongs to, as far as that decides the allocator; absent: its kind tells. */
  readonly object?: number;
  /** Its key in the table of deduplicated blocks; absent: not deduplicated. */
  readonly dedup?: string;
}

interface DedupEntry {
  readonly dvas: readonly Dva[];
  readonly physicalSize: number;
  /** The group in which it was allocated. */
  readonly birth: number;
  references: number;
}

/** Copies of a metadata block: one more than its dataset's data has (dmu_objset.c, zio_prop: zp_copies). */
export function metadataCopies(ofData: number): number {
  return Math.min(3, ofData + 1);
}

export interface StoreCounters {
  blocksWritten: number;
  blocksFreed: number;
  writtenBytes: number;
}

interface StoreParts {
  /** The pool's. */
  readonly name: string;
  readonly profile: ZfsProfile;
  readonly tops: readonly TopLevel[];
  readonly space: PoolSpace;
  readonly arc: Arc;
  readonly events?: EventStream | undefined;
}

/** Blocks of one kind go to one allocator: in reality those of one object and level, or a GiB of it (zio_write_allocate, zio_allocate_dispatch). */
const OBJECTS: Readonly<Record<BlockKind, number>> = {
  data: 3,
  indirect: 1,
  dnodes: 2,
  objset: 2,
  directory: 0,
  system: 0,
  mos: 0,
};

/** Whether a block is a file's data, and no metadata. */
function isFileData({ kind, level }: Pick<BlockPointer, "kind" | "level">): boolean {
  return kind === "data" && level === 0;
}

function hasRecord(content: Content): boolean {
  return content.wholeRecord() !== undefined;
}
const isAnything = (): boolean => true;

/** What tells a block's content, as it is stored, from any other: its checksum in reality, here only that of records. */
export function wholeTest({ kind, physicalSize, logicalSize }: BlockPointer): (content: Content) => boolean {
  return kind !== "data" || physicalSize < logicalSize ? hasRecord : isAnything;
}

export class BlockStore {
  readonly profile: ZfsProfile;
  readonly tops: readonly TopLevel[];
  readonly space: PoolSpace;
  readonly arc: Arc;
  /** Where what becomes of blocks is told, and under which name; absent: nowhere. */
  readonly #events: EventStream | undefined;
  readonly #name: string;
  readonly counters: StoreCounters = { blocksWritten: 0, blocksFreed: 0, writtenBytes: 0 };
  /** The transaction group at work. */
  group = 1;
  readonly dedupTable: Map<string, DedupEntry> = new Map();
  /** Bytes of intent logs' blocks, and of data that only they have a pointer to. */
  logBytes = 0;
  #stamp = 1;

  constructor(parts: StoreParts) {
    this.profile = parts.profile;
    this.tops = parts.tops;
    this.space = parts.space;
    this.arc = parts.arc;
    this.#events = parts.events;
    this.#name = parts.name;
  }

  /** Allocates and writes a block. @returns ENOSPC, EIO. */
  write(block: NewBlock): BlockPointer | Errno {
    const { kind, physicalSize } = block;
    const shared = block.dedup === undefined ? undefined : this.dedupTable.get(block.dedup);
    if (shared !== undefined) {
      shared.references += 1;
      return this.#pointer(block, shared.dvas, shared);
    }
    const dvas = this.#places(block);
    if (dvas === undefined) return ENOSPC;
    const stored = kind === "data" ? storedContent(block.content, physicalSize) : block.content;
    const failed = this.#writePlaces(dvas, stored);
    if (failed !== undefined) return failed;
    if (block.dedup !== undefined) this.dedupTable.set(block.dedup, { dvas, physicalSize, birth: this.group, references: 1 });
    const pointer = this.#pointer(block, dvas, { physicalSize, birth: this.group });
    this.arc.add(pointer, block.content);
    if (this.#events?.listening && isFileData(block))
      this.#events.emit({ op: "blockBirth", filesystem: this.#name, group: this.group, bytes: physicalSize * dvas.length });
    return pointer;
  }

  #places({ kind, physicalSize: size, copies, object = OBJECTS[kind] }: Omit<NewBlock, "content">): readonly Dva[] | undefined {
    return this.space.allocate(size, copies, object) ?? this.space.allocateGang(size, copies);
  }

  #writePlaces(dvas: readonly Dva[], stored: Content): Errno | undefined {
    for (const dva of dvas) {
      const failed = writePlace(this.tops, dva, stored, this.group);
      if (failed !== undefined) return failed;
    }
    this.counters.blocksWritten += 1;
    this.counters.writtenBytes += stored.length * dvas.length;
    return undefined;
  }

  /**
   * Takes the places of a block of the meta object set, to be written later in the group. That set is in memory as it is: its blocks are read at an
   * import only, and are not in the ARC. @returns ENOSPC.
   */
  place(block: Omit<NewBlock, "content">): BlockPointer | Errno {
    const dvas = this.#places(block);
    return dvas === undefined ? ENOSPC : this.#pointer(block, dvas, { physicalSize: block.physicalSize, birth: this.group });
  }

  /** Writes a block to the places that it took. @returns EIO. */
  fill(pointer: BlockPointer, content: Content): Errno | undefined {
    return this.#writePlaces(pointer.dvas, content);
  }

  #pointer(
    of: Omit<NewBlock, "content"> & Partial<Pick<NewBlock, "content">>,
    dvas: readonly Dva[],
    { physicalSize, birth }: { readonly physicalSize: number; readonly birth: number },
  ): BlockPointer {
    const { kind, level } = of;
    const stamp = of.content?.isZero === true ? 0 : this.#stamp++;
    // As integers of 32 bits, which a block's sizes fit: a float, as lengths of any content are, would be one more object in memory, and so
    // would every sum that it is part of.
    const logicalSize = of.logicalSize | 0;
    const pointer = { dvas, logicalSize, physicalSize: physicalSize | 0, birth: this.group, level, kind, stamp };
    return of.dedup === undefined ? pointer : { ...pointer, dedup: of.dedup, physicalBirth: birth };
  }

  /** A pointer that holds its block itself: a record as long as the block is, compressed. */
  embed(kind: BlockKind, record: BlockRecord, logicalSize: number): BlockPointer {
    return {
      dvas: [],
      logicalSize,
      physicalSize: record.length,
      birth: this.group,
      level: 0,
      kind,
      stamp: this.#stamp++,
      embedded: record,
    };
  }

  /** A block's content, as it was before compression. @returns EIO when no copy is whole. */
  read(pointer: BlockPointer): Content | Errno {
    if (pointer.embedded !== undefined) return originalContent(Content.record(pointer.embedded));
    const cached = this.arc.get(pointer);
    if (this.#events?.listening && isFileData(pointer)) {
      const { birth, logicalSize } = pointer;
      const op = cached === undefined ? "arcMiss" : "arcHit";
      this.#events.emit({ op, filesystem: this.#name, birth, bytes: logicalSize });
    }
    if (cached !== undefined) return cached;
    const length = pointer.physicalSize;
    const good = wholeTest(pointer);
    const found = readBlock(this.tops, pointer.dvas, { birth: physicalBirth(pointer), length, good });
    if (isErrno(found)) return found;
    const content = originalContent(found);
    this.arc.add(pointer, content);
    return content;
  }

  /** The metadata block behind a pointer. */
  readRecord(pointer: BlockPointer): BlockRecord | Errno {
    const content = this.read(pointer);
    // What is no whole record was not read at all.
    return isErrno(content) ? content : (content.wholeRecord() as BlockRecord);
  }

  /** Tells that a dataset has let go of a block which a snapshot keeps. @param snapshot - the group of the dataset's newest */
  tellKept(pointer: BlockPointer, dataset: string, snapshot: number): void {
    if (this.#events?.listening && isFileData(pointer))
      this.#events.emit({
        op: "blockKeep",
        filesystem: dataset,
        birth: pointer.birth,
        snapshot,
        bytes: allocatedSize(pointer),
      });
  }

  /** Tells of a new snapshot or clone. */
  tellSnapshot(source: { readonly path: string }, target: { readonly path: string }): undefined {
    if (this.#events?.listening)
      this.#events.emit({ op: "snapshot", filesystem: this.#name, source: source.path, target: target.path });
  }

  /** A number that no block and no log of the pool has had. */
  takeStamp(): number {
    return this.#stamp++;
  }

  /** A block has been written, or is to be, that a log alone points to. */
  holdLogged(pointer: BlockPointer): void {
    this.logBytes += allocatedSize(pointer);
  }

  /** Nobody needs what a log alone pointed to. Its place waits as others do: the log, as it is on the devices, still does point there. */
  freeLogged(pointer: BlockPointer): void {
    if (pointer.dvas.length === 0) return;
    this.logBytes -= allocatedSize(pointer);
    this.arc.remove(pointer);
    for (const dva of pointer.dvas) this.space.free(dva, this.group, false);
  }

  /**
   * A block of data that a log has pointed to becomes its object's (dbuf_write, io_bp_override). @param dedup - its key in the table, in which it may
   * be known: then the object shares that one (zio_ddt_write). @returns its pointer.
   */
  adoptLogged(pointer: BlockPointer, dedup: string | undefined): BlockPointer {
    const shared = dedup === undefined ? undefined : this.dedupTable.get(dedup);
    if (dedup === undefined || pointer.dvas.length === 0) {
      this.logBytes -= allocatedSize(pointer);
      return pointer;
    }
    if (shared !== undefined) {
      shared.references += 1;
      this.freeLogged(pointer);
      return { ...pointer, dvas: shared.dvas, physicalSize: shared.physicalSize, dedup, physicalBirth: shared.birth };
    }
    this.logBytes -= allocatedSize(pointer);
    const { dvas, physicalSize, birth } = pointer;
    this.dedupTable.set(dedup, { dvas, physicalSize, birth, references: 1 });
    return { ...pointer, dedup, physicalBirth: birth };
  }

  /** Goes on with stamps behind those of earlier groups. */
  continueStamps(group: number): void {
    this.#stamp = group * 65_536 + 1;
  }

  /** Counts a deduplicated block that an import has found. @returns whether it is the first with its place. */
  claimDedup(key: string, pointer: BlockPointer): boolean {
    const known = this.dedupTable.get(key);
    if (known !== undefined) {
      known.references += 1;
      return false;
    }
    const { dvas, physicalSize } = pointer;
    this.dedupTable.set(key, { dvas, physicalSize, birth: physicalBirth(pointer), references: 1 });
    return true;
  }

  /** Nobody has the block any more. */
  free(pointer: BlockPointer): void {
    if (pointer.dedup !== undefined) {
      const entry = this.dedupTable.get(pointer.dedup);
      assert(entry !== undefined && entry.references > 0, "a deduplicated block is not in the table");
      entry.references -= 1;
      if (entry.references > 0) return;
      this.dedupTable.delete(pointer.dedup);
    }
    this.counters.blocksFreed += 1;
    if (this.#events?.listening && isFileData(pointer))
      this.#events.emit({ op: "blockFree", filesystem: this.#name, birth: pointer.birth, bytes: allocatedSize(pointer) });
    this.arc.remove(pointer);
    for (const dva of pointer.dvas) this.space.free(dva, this.group, physicalBirth(pointer) === this.group);
  }
}
