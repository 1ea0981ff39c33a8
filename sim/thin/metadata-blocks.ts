/**
 * The metadata device as blocks: what was read or changed is cached, what was changed is written at a flush
 * (drivers/md/persistent-data/dm-block-manager.c over dm-bufio).
 *
 * Interface:
 * - `read` gives a block that nobody changes; `change` one that may be written and goes out at the next flush; `fresh` a zeroed one.
 * - `flush` writes what was changed in ascending order and flushes the device; read-only, it gives EPERM, as `change` and `fresh` do.
 * - `reset` forgets everything that was not written: what aborting a transaction begins with.
 */
import type { BlockDevice } from "../block/device.ts";
import { EPERM, type Errno, isErrno } from "../core/errno.ts";
import { bytes } from "../core/units.ts";
import { type BlockKind, METADATA_BLOCK_SIZE, MetadataBlock, seal, unseal } from "./metadata-block.ts";

/** 255 bitmaps of 16,320 entries (dm-space-map-metadata.h): what one index block can hold. */
export const METADATA_BLOCKS_MAX: number = 255 * 16_320;

const BLOCK_BYTES = bytes(METADATA_BLOCK_SIZE);

export class MetadataBlocks {
  readonly device: BlockDevice;
  readOnly = false;
  readonly #clean = new Map<number, MetadataBlock>();
  #changed = new Map<number, MetadataBlock>();

  constructor(device: BlockDevice) {
    this.device = device;
  }

  /** Whole blocks that the device has. */
  get count(): number {
    return Math.floor(this.device.size / METADATA_BLOCK_SIZE);
  }

  /** Those of them that a space map can count. */
  get usable(): number {
    return Math.min(this.count, METADATA_BLOCKS_MAX);
  }

  /** @returns EIO of the device, ENOTBLK or EILSEQ for a block that is not what it should be. */
  read(location: number, kind: BlockKind): MetadataBlock | Errno {
    const known = this.#changed.get(location) ?? this.#clean.get(location);
    if (known !== undefined && known.kind === kind) return known;
    const content = this.device.read(bytes(location * METADATA_BLOCK_SIZE), BLOCK_BYTES);
    if (isErrno(content)) return content;
    const block = unseal(content, location, kind);
    if (!isErrno(block)) this.#clean.set(location, block);
    return block;
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
    const changed = this.#changed.get(location);
    if (changed !== undefined) return changed;
    const block = this.read(location, kind);
    if (isErrno(block)) return block;
    const copy = new MetadataBlock(location, kind, block.words.slice());
    this.#changed.set(location, copy);
    return copy;
  }

  /** A block whose old content does not matter, zeroed. */
  fresh(location: number, kind: BlockKind): MetadataBlock | Errno {
    return this.#put(new MetadataBlock(location, kind));
  }

  /** A block that begins as a copy of another one's words. */
  copyTo(location: number, block: MetadataBlock): MetadataBlock | Errno {
    return this.#put(new MetadataBlock(location, block.kind, block.words.slice()));
  }

  #put(block: MetadataBlock): MetadataBlock | Errno {
    if (this.readOnly) return EPERM;
    this.#clean.delete(block.location);
    this.#changed.set(block.location, block);
    return block;
  }

  /** Writes what was changed, then flushes the device. @returns EPERM when read-only, EIO of the device. */
  flush(): Errno | undefined {
    if (this.readOnly) return EPERM;
    const changed = [...this.#changed.values()].sort((one, other) => one.location - other.location);
    for (const block of changed) {
      const failed = this.device.write(bytes(block.location * METADATA_BLOCK_SIZE), seal(block));
      if (failed !== undefined) return failed;
      this.#clean.set(block.location, block);
    }
    this.#changed = new Map();
    return this.device.flush();
  }

  /** Forgets what is cached, changes included. */
  reset(): void {
    this.#clean.clear();
    this.#changed = new Map();
  }
}
