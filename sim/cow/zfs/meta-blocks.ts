/**
 * The blocks of a pool's meta object set: three copies of each, and what they take in all (module/zfs/dmu_objset.c).
 */
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { allocatedSize, type BlockPointer } from "./block-pointer.ts";
import type { TreeIo } from "./block-tree.ts";
import { type Compressor, SECTOR, storedSize } from "./compress.ts";
import { indirectLength } from "./encode.ts";
import type { IndirectRecord, SystemRecord } from "./records.ts";
import type { NewMapBlock, SpaceMapIo } from "./space-map.ts";
import type { BlockStore } from "./store.ts";

const COPIES = 3;
/** Pointers in a block of the tree of objects: few, so that a snapshot rewrites little. */
const FAN_SHIFT = 7;

/** A block of which only the length matters. */
interface SystemBlock {
  readonly level?: number;
  readonly logicalSize?: number;
  readonly object?: number;
}

export class MetaBlocks implements TreeIo {
  readonly fanShift: number = FAN_SHIFT;
  /** Bytes allocated to the set. */
  allocated = 0;
  /** The same before copies: before compression and after it alike, since all of it is metadata. */
  logical = 0;
  readonly store: BlockStore;
  /** What tables of a size look like: all alike. */
  readonly #systemContents = new Map<number, Content>();

  constructor(store: BlockStore) {
    this.store = store;
  }

  /** Takes the places of a block. @param object - which of the set it is of, as far as that matters. @returns ENOSPC. */
  place(level: number, logicalSize: number, physicalSize: number, object = 0): BlockPointer | Errno {
    const made = this.store.place({ kind: "mos", level, logicalSize, physicalSize, copies: COPIES, object });
    if (!isErrno(made)) this.claim(made);
    return made;
  }

  /** Writes a block to its places. @returns EIO. */
  fill(pointer: BlockPointer, content: Content): Errno | undefined {
    return this.store.fill(pointer, content);
  }

  write(content: Content, level: number, logicalSize: number, object = 0): BlockPointer | Errno {
    const made = this.place(level, logicalSize, content.length, object);
    return isErrno(made) ? made : (this.fill(made, content) ?? made);
  }

  /** Writes a block of which only the length matters. */
  writeSystem(length: number, { level = 0, logicalSize = length, object = 0 }: SystemBlock = {}): BlockPointer | Errno {
    let content = this.#systemContents.get(length);
    if (content === undefined) {
      const record: SystemRecord = { kind: "zfs.system", length };
      content = Content.record(record);
      this.#systemContents.set(length, content);
    }
    return this.write(content, level, logicalSize, object);
  }

  read(pointer: BlockPointer): BlockRecord | Errno {
    return this.store.readRecord(pointer);
  }

  readPointers(pointer: BlockPointer): readonly (BlockPointer | undefined)[] | Errno {
    const record = this.read(pointer);
    return isErrno(record) ? record : (record as IndirectRecord).pointers;
  }

  writePointers(pointers: readonly (BlockPointer | undefined)[], level: number): BlockPointer | Errno {
    const record: IndirectRecord = { kind: "zfs.indirect", length: SECTOR, pointers };
    return this.write(Content.record(record), level, SECTOR);
  }

  kill(pointer: BlockPointer): void {
    this.allocated -= allocatedSize(pointer);
    this.logical -= pointer.physicalSize;
    this.store.free(pointer);
  }

  /** Counts a block. */
  claim(pointer: BlockPointer): void {
    this.allocated += allocatedSize(pointer);
    this.logical += pointer.physicalSize;
  }
}

/** Those of space maps. */
export class MapBlocks implements SpaceMapIo {
  readonly compression: Compressor;
  readonly indirectBytes: number;
  readonly #blocks: MetaBlocks;

  constructor(blocks: MetaBlocks) {
    this.#blocks = blocks;
    const { indirectShift, metadataCompression } = blocks.store.profile;
    this.compression = metadataCompression;
    this.indirectBytes = 1 << indirectShift;
  }

  indirectSize(pointers: readonly BlockPointer[]): number {
    return this.rounded(indirectLength(this.#blocks.store.profile, pointers), this.indirectBytes);
  }

  rounded(compressed: number, logical: number): number {
    const { profile, space } = this.#blocks.store;
    return storedSize(compressed, logical, profile.roundsToAshift ? space.unit : SECTOR);
  }

  make({ level, logicalSize, physicalSize, object }: NewMapBlock): BlockPointer | Errno {
    return this.#blocks.writeSystem(physicalSize, { level, logicalSize, object });
  }

  kill(pointer: BlockPointer): void {
    this.#blocks.kill(pointer);
  }
}
