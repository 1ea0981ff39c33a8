/**
 * A file's blocks that are not on the device yet (module/zfs/dbuf.c: dirty records), and the pages that mappings of it have in the page cache.
 *
 * Interface: a block that is in `dirty` is whole; one in a range of `holes` is not there, whatever the device has, unless it is dirty.
 */
import { Content } from "../../../core/content.ts";
import type { Errno } from "../../../core/errno.ts";
import type { CachedMapping } from "../../../vfs/mapping.ts";
import type { BlockPointer } from "../block-pointer.ts";
import { type Compression, compressedData, EMBEDDED_MAX, isAllZero, SECTOR, storedSize } from "../compress.ts";
import type { ObjectSet } from "../object-set.ts";
import type { ObjectIo, PendingObject } from "../pending.ts";
import { BLOCK_SIZE, BLOCKS, type CompressedRecord } from "../records.ts";

/** How a dataset's properties say that blocks are written. */
export interface BlockOptions {
  readonly compression: Compression;
  readonly dedup: boolean;
}

export class FileData implements PendingObject {
  readonly dirty: Map<number, Content> = new Map();
  holes: { readonly first: number; readonly end: number }[] = [];
  /** Pages of mmap(2): of this file alone, beside what the ARC has of it. */
  mapping: CachedMapping | undefined;
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
    if (this.dirty.size > 0) for (const block of this.dirty.keys()) if (block >= first && block < end) this.dirty.delete(block);
    this.holes.push({ first, end });
    this.#set.addPending(this.#object, this);
  }

  /** Puts a whole block in. */
  put(block: number, content: Content): void {
    this.dirty.set(block, content);
    this.#set.addPending(this.#object, this);
  }

  sync(io: ObjectIo): Errno | undefined {
    for (const { first, end } of this.holes) {
      const failed = io.tree.punch(first, end);
      if (failed !== undefined) return failed;
    }
    io.tree.raise(this.#set.word(this.#object, BLOCKS));
    const size = this.#set.word(this.#object, BLOCK_SIZE);
    for (const block of [...this.dirty.keys()].sort((one, other) => one - other)) {
      const failed = this.#write(io, block, paddedTo(this.dirty.get(block) as Content, size));
      if (failed !== undefined) return failed;
    }
    this.dirty.clear();
    this.holes = [];
    return undefined;
  }

  #write(io: ObjectIo, block: number, content: Content): Errno | undefined {
    const { compression, dedup } = this.#options;
    const size = content.length;
    if (compression !== "off" && isAllZero(content)) return io.write(block, { embedded: undefined });
    const compressed = compressedData(content, compression);
    if (io.profile.embedded && compressed <= EMBEDDED_MAX && compressed < size && !dedup) {
      return io.write(block, { embedded: this.#embedded(io, content, compressed) });
    }
    const physicalSize = compressed < size ? io.rounded(compressed, size) : storedSize(size, size, SECTOR);
    const copies = io.copies("data");
    // As many copies, the same compression: what the table has an entry of its own for (ddt_key_t, dde_phys).
    const key = dedup ? { dedup: `${content.sha256()}:${size}:${compression}:${copies}` } : {};
    return io.write(block, {
      kind: "data",
      level: 0,
      content,
      logicalSize: size,
      physicalSize,
      copies,
      ...key,
    });
  }

  #embedded(io: ObjectIo, content: Content, length: number): BlockPointer {
    const record: CompressedRecord = { kind: "zfs.compressed", length, content };
    return io.store.embed("data", record, content.length);
  }
}

/** A block's content with zeros up to its size. */
function paddedTo(content: Content, size: number): Content {
  return content.length >= size ? content : Content.concat([content, Content.zeros(size - content.length)]);
}
