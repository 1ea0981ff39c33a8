/**
 * The metadata device as blocks: what was read or changed is cached, what was changed is written at a flush
 * (drivers/md/persistent-data/dm-block-manager.c over dm-bufio).
 *
 * Interface:
 * - `read` gives a block that nobody changes; `change` one that may be written and goes out at the next flush; `fresh` a zeroed one.
 * - `flush` writes what was changed in ascending order and flushes the device; read-only, it gives EPERM, as `change` and `fresh` do.
 * - `reset` forgets everything that was not written: what aborting a transaction begins with.
 */
import { type BlockDevice, writeEach } from "../block/device.ts";
import { EIO, EPERM, type Errno, isErrno } from "../core/errno.ts";
import { bytes } from "../core/units.ts";
import { type BlockKind, METADATA_BLOCK_SIZE, MetadataBlock } from "./metadata-block.ts";
import { sealAll, unseal } from "./sealed-block.ts";

/** 255 bitmaps of 16,320 entries (dm-space-map-metadata.h): what one index block can hold. */
export const METADATA_BLOCKS_MAX: number = 255 * 16_320;

const BLOCK_BYTES = bytes(METADATA_BLOCK_SIZE);

/** How many blocks are kept in memory that are as they lie on the device, if nobody says: 32 MiB. */
const CLEAN_MAX = 8192;
/** The table is cut into arrays for 512 blocks that follow each other. */
const CHUNK_BITS = 9;
const CHUNK_MASK = 511;

export class MetadataBlocks {
  readonly device: BlockDevice;
  readOnly = false;
  /** Every block that is in memory, by its number. */
  #chunks: (MetadataBlock | undefined)[][] = [];
  /** Those that were changed since the last flush. */
  #changed: MetadataBlock[] = [];
  /** Those that are as they lie on the device, in the order in which they came to be; the ones before `#oldest` are out of memory. */
  #clean: MetadataBlock[] = [];
  #oldest = 0;
  readonly #cleanMax: number;

  /** @param cleanMax - how many blocks are kept in memory that are as they lie on the device; at least 1. */
  constructor(device: BlockDevice, cleanMax: number = CLEAN_MAX) {
    this.device = device;
    this.#cleanMax = cleanMax;
  }

  /** Whole blocks that the device has. */
  get count(): number {
    return Math.floor(this.device.size / METADATA_BLOCK_SIZE);
  }

  /** Those of them that a space map can count. */
  get usable(): number {
    return Math.min(this.count, METADATA_BLOCKS_MAX);
  }

  /** The block if it is in memory. */
  known(location: number): MetadataBlock | undefined {
    const block = this.#chunks[location >>> CHUNK_BITS]?.[location & CHUNK_MASK];
    // A damaged image may name blocks beyond 2^32: their low bits say nothing.
    return block !== undefined && block.location === location ? block : undefined;
  }

  #keep(block: MetadataBlock): void {
    const index = block.location >>> CHUNK_BITS;
    let chunk = this.#chunks[index];
    if (chunk === undefined) {
      chunk = new Array<MetadataBlock | undefined>(CHUNK_MASK + 1).fill(undefined);
      this.#chunks[index] = chunk;
    }
    chunk[block.location & CHUNK_MASK] = block;
  }

  /** @returns EIO of the device, ENOTBLK or EILSEQ for a block that is not what it should be. */
  read(location: number, kind: BlockKind): MetadataBlock | Errno {
    const known = this.known(location);
    return known !== undefined && known.kind === kind ? known : this.#load(location, kind);
  }

  #load(location: number, kind: BlockKind): MetadataBlock | Errno {
    if (location >= this.count) return EIO;
    const content = this.device.read(bytes(location * METADATA_BLOCK_SIZE), BLOCK_BYTES);
    if (isErrno(content)) return content;
    const block = unseal(content, location, kind);
    // What was changed stays what this block is, whatever lies on the device.
    if (isErrno(block) || this.known(location)?.changed === true) return block;
    this.#keep(block);
    this.#isClean(block);
    return block;
  }

  /** Notes a block that is as it lies on the device; the oldest of too many goes out of memory. */
  #isClean(block: MetadataBlock): void {
    this.#clean.push(block);
    if (this.#clean.length - this.#oldest <= this.#cleanMax) return;
    const oldest = this.#clean[this.#oldest] as MetadataBlock;
    this.#oldest += 1;
    if (this.known(oldest.location) === oldest) this.#forget(oldest.location);
    oldest.sealed?.pack();
    if (this.#oldest < this.#cleanMax) return;
    this.#clean = this.#clean.slice(this.#oldest);
    this.#oldest = 0;
  }

  /** Takes a block that is in memory out of it. */
  #forget(location: number): void {
    const chunk = this.#chunks[location >>> CHUNK_BITS] as (MetadataBlock | undefined)[];
    chunk[location & CHUNK_MASK] = undefined;
  }

  /** Whether the first block is all zeros: a device that was never formatted. */
  isBlank(): boolean | Errno {
    const content = this.device.read(bytes(0), BLOCK_BYTES);
    if (isErrno(content)) return content;
    return content.isZero || content.toBytes().every((byte) => byte === 0);
  }

  /** A block that may be written; what lies on the device stays as it is until the next flush. */
  change(location: number, kind: BlockKind): MetadataBlock | Errno {
    if (this.readOnly) return EPERM;
    const known = this.known(location);
    if (known?.changed === true) return known;
    const block = this.read(location, kind);
    if (isErrno(block)) return block;
    return this.#put(block.copyTo(location));
  }

  /** A block whose old content does not matter, zeroed. */
  fresh(location: number, kind: BlockKind): MetadataBlock | Errno {
    return this.#put(new MetadataBlock(location, kind));
  }

  /** A block that begins as a copy of another one's words. */
  copyTo(location: number, block: MetadataBlock): MetadataBlock | Errno {
    return this.#put(block.copyTo(location));
  }

  #put(block: MetadataBlock): MetadataBlock | Errno {
    if (this.readOnly) return EPERM;
    block.changed = true;
    this.#keep(block);
    this.#changed.push(block);
    return block;
  }

  /** Writes what was changed, then flushes the device. @returns EPERM when read-only, EIO of the device. */
  flush(): Errno | undefined {
    if (this.readOnly) return EPERM;
    // A block that was given up and taken anew is in the list twice: the table has the last.
    const changed = this.#changed.filter((block) => this.known(block.location) === block);
    changed.sort((one, other) => one.location - other.location);
    for (let from = 0; from < changed.length; ) {
      const first = (changed[from] as MetadataBlock).location;
      let end = from + 1;
      while (end < changed.length && changed[end]?.location === first + end - from) end += 1;
      const failed = writeEach(this.device, bytes(first * METADATA_BLOCK_SIZE), sealAll(changed.slice(from, end)), BLOCK_BYTES);
      if (failed !== undefined) return failed;
      from = end;
    }
    this.#changed = [];
    for (const block of changed) {
      block.changed = false;
      this.#isClean(block);
    }
    return this.device.flush();
  }

  /** Forgets what is cached, changes included, and that it is read-only: the kernel takes a new block manager (dm_pool_abort_metadata). */
  reset(): void {
    this.readOnly = false;
    this.#chunks = [];
    this.#changed = [];
    this.#clean = [];
    this.#oldest = 0;
  }
}
