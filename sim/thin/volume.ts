/**
 * ThinVolume: a block device whose blocks come from a pool when they are written (drivers/md/dm-thin.c; spec/block-cow.md §1.5, §1.7).
 *
 * Interface:
 * - A command is cut at block borders, and each piece is a bio of its own: a piece that covers its whole block needs neither zeroing nor
 *   copying first.
 * - `submit` gives a write that waits for space back as `Waiting`; `write` waits, which spends virtual time.
 * - What is not mapped reads as zeros, or as the external origin where there is one.
 */
import { type BlockDevice, type IoLimits, writeEach } from "../block/device.ts";
import { Content } from "../core/content.ts";
import { EINVAL, EIO, ENODATA, ENOSPC, ENOTSUP, type Errno, isErrno } from "../core/errno.ts";
import { type Bytes, blockOf, bytes, KIB, offsetIn, startOf } from "../core/units.ts";
import { discardBlocks } from "./discard.ts";
import type { ThinPool } from "./pool.ts";
import { SECTOR, TargetError } from "./pool-options.ts";
import type { ThinDevice } from "./thin-metadata.ts";
import { QUEUED, Waiting } from "./waiting.ts";

export interface VolumeOptions {
  readonly name: string;
  /** Which of the pool's devices. */
  readonly id: number;
  /** Bytes; the table's length. */
  readonly size: number;
  /** A device outside of the pool that shows where nothing is mapped. */
  readonly origin?: BlockDevice;
}

/** BLK_DEF_MAX_SECTORS: the largest command that a disk usually takes at once. */
const MAX_IO_BYTES: number = KIB(1280);

type Result = Errno | undefined | typeof QUEUED;

export class ThinVolume implements BlockDevice {
  readonly name: string;
  readonly id: number;
  readonly sectorSize: Bytes;
  readonly rotational: boolean | undefined;
  readonly pool: ThinPool;
  readonly #device: ThinDevice;
  readonly #origin: BlockDevice | undefined;
  #size: Bytes;

  private constructor(pool: ThinPool, device: ThinDevice, options: VolumeOptions) {
    this.pool = pool;
    this.name = options.name;
    this.id = options.id;
    this.sectorSize = pool.data.sectorSize;
    this.rotational = pool.data.rotational;
    this.#device = device;
    this.#origin = options.origin;
    this.#size = bytes(options.size);
  }

  /** Activates a device of a pool. @returns why its table cannot be loaded. */
  static open(pool: ThinPool, options: VolumeOptions): ThinVolume | TargetError {
    if (!isDeviceId(options.id)) return new TargetError(EINVAL, "Invalid device id");
    if (pool.mode === "fail") return new TargetError(EINVAL, "Couldn't open thin device, Pool is in fail mode");
    const device = pool.metadata.openDevice(options.id);
    if (isErrno(device)) return new TargetError(device, "Couldn't open thin internal device");
    if (pool.suspended) {
      device.open -= 1;
      return new TargetError(EINVAL, "Unable to activate thin device while pool is suspended");
    }
    pool.countVolume(1);
    return new ThinVolume(pool, device, options);
  }

  get size(): Bytes {
    return this.#size;
  }

  /** The pool's (pool_io_hints): a write of a whole block neither zeroes nor copies anything. */
  get io(): IoLimits {
    const { blockSize } = this.pool;
    let minimum = Math.min(blockSize, MAX_IO_BYTES);
    while (blockSize % minimum !== 0) minimum -= SECTOR;
    return { minimum, optimal: blockSize };
  }

  /** Gives the device another length; what lies behind the end stays mapped. @param size - bytes. */
  reload(size: number): void {
    this.#size = bytes(size);
  }

  /** Deactivates it. */
  close(): void {
    this.#device.open -= 1;
    this.pool.countVolume(-1);
  }

  /** `dmsetup status` of the volume: mapped sectors and the highest mapped sector. */
  get status(): string {
    const { pool } = this;
    if (pool.mode === "fail") return "Fail";
    const highest = pool.metadata.highestMapped(this.#device);
    if (isErrno(highest)) return "Error";
    const sectors = pool.blockSize / SECTOR;
    const last = highest === undefined ? "-" : String((highest + 1) * sectors - 1);
    return `${this.#device.details.mapped * sectors} ${last}`;
  }

  /** Virtual blocks that are mapped. */
  get mapped(): number {
    return this.#device.details.mapped;
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    if (!this.#within(offset, length)) return EINVAL;
    const { blockSize } = this.pool;
    const first = offsetIn(offset, blockSize);
    if (first + length <= blockSize) return this.#readPiece(offset, length);
    const parts: Content[] = [];
    for (let at: number = offset; at < offset + length; ) {
      const end = Math.min(offset + length, startOf(blockOf(at, blockSize) + 1, blockSize));
      const part = this.#readPiece(at, end - at);
      if (isErrno(part)) return part;
      parts.push(part);
      at = end;
    }
    return Content.concat(parts);
  }

  #readPiece(offset: number, length: number): Content | Errno {
    const { pool } = this;
    if (pool.mode === "fail") return EIO;
    const { blockSize } = pool;
    const virtual = blockOf(offset, blockSize);
    const found = pool.metadata.lookup(this.#device, virtual);
    if (!isErrno(found)) return pool.data.read(bytes(found.block * blockSize + (offset - virtual * blockSize)), bytes(length));
    return found === ENODATA ? this.#readUnmapped(offset, length) : EIO;
  }

  #readUnmapped(offset: number, length: number): Content | Errno {
    const origin = this.#origin;
    if (origin === undefined) return Content.zeros(length);
    // Only a pool that writes looks for the origin's end; else the bio goes there as it is (__process_bio_read_only).
    if (this.pool.mode !== "write" && offset + length > origin.size) return EIO;
    if (offset >= origin.size) return Content.zeros(length);
    const there = Math.min(length, origin.size - offset);
    const content = origin.read(bytes(offset), bytes(there));
    return isErrno(content) || there === length ? content : Content.concat([content, Content.zeros(length - there)]);
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    const result = this.submit(offset, content);
    return result instanceof Waiting ? this.pool.waitFor(result) : result;
  }

  /** As so many writes: those behind the first one in a block find the block mapped, and nobody else's. */
  writeUnits(offset: Bytes, content: Content, unit: Bytes): Errno | undefined {
    const { blockSize } = this.pool;
    const { length } = content;
    for (let at = 0; at < length; ) {
      const failed = this.write(bytes(offset + at), content.slice(at, at + unit));
      if (failed !== undefined) return failed;
      at += unit;
      const here = blockSize - 1 - offsetIn(offset + at - 1, blockSize);
      const end = Math.min(length, at + here - (here % unit));
      const written = at < end ? this.#writeOwn(offset + at, content.slice(at, end), unit) : "elsewhere";
      if (written === "elsewhere") continue;
      if (written !== undefined) return written;
      at = end;
    }
    return undefined;
  }

  /** Writes units within one block, where that is mapped and nobody else's; "elsewhere": it is not. */
  #writeOwn(offset: number, piece: Content, unit: Bytes): Errno | undefined | "elsewhere" {
    const { pool } = this;
    const { blockSize } = pool;
    if (pool.mode === "fail" || !this.#within(offset, piece.length)) return "elsewhere";
    const virtual = blockOf(offset, blockSize);
    const found = pool.metadata.lookup(this.#device, virtual);
    if (isErrno(found) || found.shared) return "elsewhere";
    const failed = writeEach(pool.data, bytes(found.block * blockSize + (offset - virtual * blockSize)), piece, unit);
    pool.work();
    return failed;
  }

  /** Writes; where there is no space, a part of it may wait. @returns its first error, or what to wait for. */
  submit(offset: Bytes, content: Content): Errno | undefined | Waiting {
    const { length } = content;
    if (!this.#within(offset, length)) return EINVAL;
    const { blockSize } = this.pool;
    if (length > 0 && offsetIn(offset, blockSize) + length <= blockSize) {
      const result = this.#writePiece(offset, content);
      const waiting = result === QUEUED ? this.#queue(offset, content) : result;
      this.pool.work();
      return waiting;
    }
    return this.#submitPieces(offset, content);
  }

  #queue(offset: number, piece: Content, known?: Waiting): Waiting {
    const waiting = known ?? new Waiting();
    this.pool.waiting.add(waiting, () => this.#writePiece(offset, piece));
    return waiting;
  }

  #submitPieces(offset: number, content: Content): Errno | undefined | Waiting {
    const { length } = content;
    const { blockSize } = this.pool;
    let error: Errno | undefined;
    let waiting: Waiting | undefined;
    for (let at = 0; at < length; ) {
      const from = offset + at;
      const end = Math.min(length, at + blockSize - offsetIn(from, blockSize));
      const piece = content.slice(at, end);
      const result = this.#writePiece(from, piece);
      if (result === QUEUED) waiting = this.#queue(from, piece, waiting);
      else error ??= result;
      at = end;
    }
    this.pool.work();
    if (waiting === undefined) return error;
    waiting.error ??= error;
    return waiting;
  }

  #writePiece(offset: number, piece: Content): Result {
    const { pool } = this;
    if (pool.mode === "fail") return EIO;
    const { blockSize } = pool;
    const virtual = blockOf(offset, blockSize);
    const found = pool.metadata.lookup(this.#device, virtual);
    if (!isErrno(found) && !found.shared) {
      return pool.data.write(bytes(found.block * blockSize + (offset - virtual * blockSize)), piece);
    }
    if (isErrno(found) && found !== ENODATA) return EIO;
    if (pool.mode !== "write") return pool.unserviceable();
    const source = isErrno(found) ? undefined : found.block;
    const block = pool.newBlock();
    if (isErrno(block)) return block === ENOSPC ? this.#withoutSpace(offset, piece) : EIO;
    if (source !== undefined) return this.#breakSharing({ virtual, source, target: block }, offset, piece);
    return this.#provision(virtual, block, offset, piece);
  }

  /** The event that there is no space may have brought some. */
  #withoutSpace(offset: number, piece: Content): Result {
    return this.pool.mode === "write" ? this.#writePiece(offset, piece) : this.pool.unserviceable();
  }

  /** Gives an unmapped block its data block (provision_block, schedule_external_copy, schedule_zero). */
  #provision(virtual: number, block: number, offset: number, piece: Content): Errno | undefined {
    const { pool } = this;
    const isWhole = piece.length === pool.blockSize;
    const reachesHere = this.#origin !== undefined && startOf(virtual, pool.blockSize) < this.#origin.size;
    const origin = reachesHere ? this.#origin : undefined;
    const hasOrigin = origin !== undefined;
    const zeroes = !isWhole && !hasOrigin && pool.table.features.zeroNewBlocks;
    const copies = !isWhole && hasOrigin;
    const filled = copies ? this.#copyFromOrigin(origin, virtual, block) : zeroes ? this.#zero(block) : undefined;
    if (filled !== undefined) return EIO;
    const way =
      isWhole && (hasOrigin || pool.table.features.zeroNewBlocks) ? "overwrite" : copies || zeroes ? "filled" : "asItIs";
    const failed = this.#mapAndWrite({ virtual, block, way }, offset, piece);
    if (failed !== undefined) return failed;
    pool.counters.provisioned += 1;
    if (pool.options.events?.listening) pool.options.events.emit({ op: "thinProvision", device: this.name, virtual, block });
    if (zeroes) pool.counters.zeroed += 1;
    if (copies) this.#countCopy();
    return undefined;
  }

  #zero(block: number): Errno | undefined {
    const { blockSize, data } = this.pool;
    return data.write(startOf(block, blockSize), Content.zeros(blockSize));
  }

  /** Fills a new block from the external origin; behind the origin's end it is zeroed, or left as it is where the pool does not zero. */
  #copyFromOrigin(origin: BlockDevice, virtual: number, block: number): Errno | undefined {
    const { data, blockSize, table } = this.pool;
    const from = startOf(virtual, blockSize);
    const there = Math.min(blockSize, origin.size - from);
    const content = origin.read(from, bytes(there));
    if (isErrno(content)) return content;
    const to = startOf(block, blockSize);
    const failed = data.write(to, content);
    if (failed !== undefined || there === blockSize || !table.features.zeroNewBlocks) return failed;
    return data.write(bytes(to + there), Content.zeros(blockSize - there));
  }

  #breakSharing(
    move: { readonly virtual: number; readonly source: number; readonly target: number },
    offset: number,
    piece: Content,
  ): Errno | undefined {
    const { pool } = this;
    const { blockSize, data } = pool;
    const isWhole = piece.length === blockSize;
    if (!isWhole) {
      const content = data.read(startOf(move.source, blockSize), bytes(blockSize));
      if (isErrno(content) || data.write(startOf(move.target, blockSize), content) !== undefined) return EIO;
    }
    const way = isWhole ? "overwrite" : "filled";
    const failed = this.#mapAndWrite({ virtual: move.virtual, block: move.target, way }, offset, piece);
    if (failed !== undefined) return failed;
    pool.counters.broken += 1;
    if (pool.options.events?.listening) {
      const { virtual, source, target } = move;
      pool.options.events.emit({
        op: "thinBreak",
        device: this.name,
        virtual,
        source,
        block: target,
        copied: isWhole ? 0 : blockSize,
      });
    }
    if (!isWhole) this.#countCopy();
    return undefined;
  }

  #countCopy(): void {
    this.pool.counters.copied += 1;
    this.pool.counters.copiedBytes += this.pool.blockSize;
  }

  /**
   * Maps a new block and writes to it. One that the write covers is written first, so that a crash between leaves it unmapped. By the time
   * that a block has been filled or overwritten the pool may have stopped changing its metadata (process_prepared_mapping_fail); one that is
   * taken as it is was mapped before that could be seen, which then fails as a change of the metadata.
   */
  #mapAndWrite(
    target: { readonly virtual: number; readonly block: number; readonly way: "overwrite" | "filled" | "asItIs" },
    offset: number,
    piece: Content,
  ): Errno | undefined {
    const { pool } = this;
    const { way } = target;
    const place = bytes(target.block * pool.blockSize + offsetIn(offset, pool.blockSize));
    if (way === "overwrite" && pool.data.write(place, piece) !== undefined) return EIO;
    if (way !== "asItIs" && pool.mode !== "write") return EIO;
    const failed = pool.metadata.map(this.#device, target.virtual, target.block);
    if (failed !== undefined) {
      pool.metadataFailed("dm_thin_insert_block", failed);
      return EIO;
    }
    pool.noteUnmapped(-1);
    return way === "overwrite" ? undefined : pool.data.write(place, piece);
  }

  /** Unmaps the whole blocks within a range; the rest of it stays as it is. */
  discard(offset: Bytes, length: Bytes): Errno | undefined {
    if (!this.#within(offset, length)) return EINVAL;
    const { pool } = this;
    if (!pool.table.features.discard) return ENOTSUP;
    if (pool.mode === "fail") return EIO;
    if (pool.isReadOnly) return undefined;
    const begin = Math.ceil(offset / pool.blockSize);
    const end = blockOf(offset + length, pool.blockSize);
    if (end <= begin) return undefined;
    const { mapped } = this;
    const failed = discardBlocks(pool, this.#device, begin, end);
    if (pool.options.events?.listening)
      pool.options.events.emit({ op: "thinUnmap", device: this.name, blocks: mapped - this.mapped });
    pool.work();
    return failed;
  }

  /** Commits where the volume changed since the last commit; that flushes the data device, too. */
  flush(): Errno | undefined {
    const result = this.#flush();
    if (result !== QUEUED) return result;
    const waiting = new Waiting();
    this.pool.waiting.add(waiting, () => this.#flush());
    return this.pool.waitFor(waiting);
  }

  #flush(): Result {
    const { pool } = this;
    if (pool.mode === "fail") return EIO;
    // An empty bio is mapped like any other, by its sector 0: in a mode without new blocks it needs one there.
    if (pool.mode !== "write" && isErrno(pool.metadata.lookup(this.#device, 0))) return pool.unserviceable();
    if (!this.#device.changed) return pool.data.flush();
    if (this.#device.aborted) return EIO;
    return pool.commitForFlush();
  }

  #within(offset: number, length: number): boolean {
    const sector = this.sectorSize;
    return offset >= 0 && offset + length <= this.#size && offsetIn(offset, sector) === 0 && offsetIn(length, sector) === 0;
  }
}

const DEVICE_ID_MAX = 2 ** 24 - 1;

/** Whether a number can be a device's id: 24 bits. */
export function isDeviceId(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id <= DEVICE_ID_MAX;
}
