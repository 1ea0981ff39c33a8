/**
 * A file's blocks that are not on the device yet (module/zfs/dbuf.c: dirty records), and the pages that mappings of it have in the page cache.
 *
 * Interface: a block that is in `dirty` is whole; one in a range of `holes` is not there, whatever the device has, unless it is dirty.
 */
import { Content } from "../../../core/content.ts";
import { type Errno, isErrno } from "../../../core/errno.ts";
import type { CachedMapping } from "../../../vfs/mapping.ts";
import type { BlockPointer } from "../block-pointer.ts";
import { type Compression, compressedData, EMBEDDED_MAX, isAllZero, SECTOR, storedSize } from "../compress.ts";
import type { ObjectSet } from "../object-set.ts";
import type { BlockIo, ObjectIo, PendingObject, PlacedBlock } from "../pending.ts";
import { BLOCK_SIZE, BLOCKS, type CompressedRecord } from "../records.ts";
import type { NewBlock } from "../store.ts";

/** How a dataset's properties say that blocks are written. */
export interface BlockOptions {
  readonly compression: Compression;
  readonly dedup: boolean;
}

/** A block that was written before its group. */
interface EarlyBlock {
  /** Undefined: of zeros alone, which take no place. */
  readonly pointer: BlockPointer | undefined;
  readonly content: Content;
  /** Its key in the table of deduplicated blocks. */
  readonly dedup: string | undefined;
}

export class FileData implements PendingObject {
  readonly dirty: Map<number, Content> = new Map();
  holes: { readonly first: number; readonly end: number }[] = [];
  /** Pages of mmap(2): of this file alone, beside what the ARC has of it. */
  mapping: CachedMapping | undefined;
  /** Of dirty blocks: those that the log has pointers to (dr_overridden_by). */
  readonly #early = new Map<number, EarlyBlock>();
  readonly #set: ObjectSet;
  readonly #object: number;
  readonly #options: BlockOptions;

  constructor(set: ObjectSet, object: number, options: BlockOptions) {
    this.#set = set;
    this.#object = object;
    this.#options = options;
  }

  /** Whether the device's block does not count any more. */
  isHole(block: number): boolean {
    return this.holes.some(({ first, end }) => block >= first && block < end);
  }

  /** Takes blocks away. */
  punch(first: number, end: number): void {
    if (this.dirty.size > 0) {
      for (const block of this.dirty.keys()) {
        if (block < first || block >= end) continue;
        this.#forget(block);
        this.dirty.delete(block);
      }
    }
    this.holes.push({ first, end });
    this.#set.addPending(this.#object, this);
  }

  /** Puts a whole block in. */
  put(block: number, content: Content): void {
    this.#forget(block);
    this.dirty.set(block, content);
    this.#set.addPending(this.#object, this);
  }

  sync(io: ObjectIo): Errno | undefined {
    for (const { first, end } of this.holes) {
      const failed = io.tree.punch(first, end);
      if (failed !== undefined) return failed;
    }
    io.tree.raise(this.#set.word(this.#object, BLOCKS));
    for (const block of [...this.dirty.keys()].sort((one, other) => one - other)) {
      const failed = io.write(block, this.#logged(block) ?? this.#encoded(io, this.#whole(block)));
      if (failed !== undefined) return failed;
    }
    this.dirty.clear();
    this.#early.clear();
    this.holes = [];
    return undefined;
  }

  /** A dirty block, padded. */
  #whole(block: number): Content {
    return paddedTo(this.dirty.get(block) as Content, this.#set.word(this.#object, BLOCK_SIZE));
  }

  /** A block as it is to be written: in its place, in its pointer, or not at all. */
  #encoded(io: BlockIo, content: Content): NewBlock | PlacedBlock {
    const { compression, dedup } = this.#options;
    const size = content.length;
    if (compression !== "off" && isAllZero(content)) return { placed: undefined };
    const compressed = compressedData(content, compression);
    if (io.profile.embedded && compressed <= EMBEDDED_MAX && compressed < size && !dedup) {
      const record: CompressedRecord = { kind: "zfs.compressed", length: compressed, content };
      return { placed: io.store.embed("data", record, size) };
    }
    const physicalSize = compressed < size ? io.rounded(compressed, size) : storedSize(size, size, SECTOR);
    const copies = io.copies("data");
    // As many copies, the same compression: what the table has an entry of its own for (ddt_key_t, dde_phys).
    const key = dedup ? { dedup: `${content.sha256()}:${size}:${compression}:${copies}` } : {};
    return { kind: "data", level: 0, content, logicalSize: size, physicalSize, copies, ...key };
  }

  // With the intent log

  /** Whether a log points to a block, which is the same since (EALREADY). */
  isEarly(block: number): boolean {
    return this.#early.has(block);
  }

  /**
   * Writes a dirty block before its group is, for a log to point to (dmu_sync). @returns undefined when nothing of it is dirty; ENOSPC, EIO.
   */
  writeEarly(block: number): EarlyBlock | undefined | Errno {
    if (!this.dirty.has(block)) return undefined;
    const made = this.#writeNow(this.#whole(block));
    if (!isErrno(made)) this.#early.set(block, made);
    return made;
  }

  #writeNow(content: Content): EarlyBlock | Errno {
    const { blockIo } = this.#set;
    const encoded = this.#encoded(blockIo, content);
    if ("placed" in encoded) return { pointer: encoded.placed, content, dedup: undefined };
    // Found in the table of deduplicated blocks or not, it is written: the table changes with its group.
    const { dedup, ...plain } = encoded;
    const pointer = blockIo.store.write(plain);
    if (isErrno(pointer)) return pointer;
    blockIo.store.holdLogged(pointer);
    return { pointer, content, dedup };
  }

  /** What was written of a block for the log, as its group takes it; undefined: it was not, or has changed since. */
  #logged(block: number): PlacedBlock | undefined {
    const early = this.#early.get(block);
    if (early?.pointer === undefined) return early && { placed: undefined };
    return { placed: this.#set.store.adoptLogged(early.pointer, early.dedup) };
  }

  /** A block changes after it was written for the log (dbuf_unoverride). */
  #forget(block: number): void {
    const pointer = this.#early.get(block)?.pointer;
    if (this.#early.delete(block) && pointer !== undefined) this.#set.store.freeLogged(pointer);
  }

  /** The file has come to its end: nothing of it will be written. */
  discard(): void {
    this.mapping?.discard();
    for (const block of [...this.#early.keys()]) this.#forget(block);
  }
}

/** A block's content with zeros up to its size. */
function paddedTo(content: Content, size: number): Content {
  return content.length >= size ? content : Content.concat([content, Content.zeros(size - content.length)]);
}
