/**
 * ThinPool: blocks of one data device given out to thin volumes as they are written (drivers/md/dm-thin.c; spec/block-cow.md §1).
 *
 * Interface:
 * - The mode tells what works: write; out of data space (nothing that needs a new block); out of metadata space and read-only (no change at
 *   all); fail (nothing). A failed change of the metadata goes back to the last commit and leaves the pool read-only, to be checked.
 * - Commits: a flush of a volume that changed, each successful message, each status, every second while something changed, suspending.
 * - A write that finds no space waits in the pool until there is some (waiting.ts), unless the pool was told to fail it at once.
 */
import type { BlockDevice } from "../block/device.ts";
import { assert, InvariantError } from "../core/assert.ts";
import { EINVAL, EIO, ENOSPC, type Errno, isErrno } from "../core/errno.ts";
import { alignDown, nanoseconds, seconds } from "../core/units.ts";
import { CountedMetadata } from "./counted-metadata.ts";
import { PoolMetadata } from "./metadata.ts";
import { MetadataBlocks } from "./metadata-blocks.ts";
import { newThinCounters, type ThinCounters } from "./pool-counters.ts";
import { modeText, type PoolMode } from "./pool-mode.ts";
import {
  NO_NUMBERS,
  type PoolFeatures,
  type PoolOptions,
  type PoolTable,
  poolTableLine,
  SECTOR,
  TargetError,
} from "./pool-options.ts";
import { growData, growMetadata } from "./resize.ts";
import type { ThinMetadata } from "./thin-metadata.ts";
import { QUEUED, type Waiting, WaitingBios } from "./waiting.ts";

const SECONDS_BETWEEN_COMMITS = 1;

export class ThinPool {
  readonly name: string;
  readonly data: BlockDevice;
  /** Bytes of a data block. */
  readonly blockSize: number;
  readonly metadata: ThinMetadata;
  readonly counters: ThinCounters = newThinCounters();
  readonly options: PoolOptions;
  #table: PoolTable;
  /** The table was loaded and not yet resumed. */
  #isNewTable = true;
  #sectors: number;
  /** The features as they are now: passdown off where the data device has none, errors instead of waiting after the timeout. */
  #features: PoolFeatures;
  #mode: PoolMode = "write";
  #suspended = true;
  #lowWaterTold = false;
  #events = 0;
  #noSpaceSince = 0;
  /** Since the pool was last out of data space it has not been in write mode: what waits for space fails for want of it. */
  #ranOut = false;
  #lastCommit = 0;
  /** Data blocks that are in use and not mapped, now and at the last commit. */
  #unmapped = 0;
  #unmappedThen = 0;
  /** What leaked before the pool was loaded, where somebody has looked (check.ts, `noteLeaks`). */
  lostBefore = 0;
  /** There is space again for bios that wait: the worker's next run has them. */
  #retryIsDue = false;
  /** Bios that wait for space. */
  readonly waiting: WaitingBios = new WaitingBios();
  #stopTimer: (() => void) | undefined;
  /** Volumes in use. */
  #volumes = 0;

  private constructor(options: PoolOptions, metadata: ThinMetadata) {
    this.options = options;
    this.name = options.name;
    this.data = options.data;
    this.metadata = metadata;
    this.#table = options.table;
    this.#features = options.table.features;
    this.blockSize = options.table.blockSectors * SECTOR;
    this.#sectors = options.sectors ?? Math.floor(options.data.size / SECTOR);
    metadata.beforeCommit = () => this.data.flush();
  }

  /** Loads a pool's table and resumes it; formats metadata that is all zeros. */
  static open(options: PoolOptions): ThinPool | TargetError {
    const { table } = options;
    if ((options.sectors ?? 1) === 0) return new TargetError(EINVAL, "zero-length target");
    const metadata =
      options.metadata === undefined
        ? new CountedMetadata()
        : PoolMetadata.open(new MetadataBlocks(options.metadata, options.metadataCache), {
            dataBlockSectors: table.blockSectors,
            format: !table.features.readOnly,
            reserve: options.metadataReserve ?? "modern",
          });
    if (isErrno(metadata)) return new TargetError(metadata, "Error creating metadata object");
    const pool = new ThinPool(options, metadata);
    pool.#watchMetadata();
    const failed = pool.resume();
    if (failed !== undefined) return new TargetError(failed, "");
    pool.#stopTimer = options.clock?.every(seconds(SECONDS_BETWEEN_COMMITS), () => pool.work());
    return pool;
  }

  get mode(): PoolMode {
    return this.#mode;
  }

  get isReadOnly(): boolean {
    return this.#mode === "outOfMetadataSpace" || this.#mode === "readOnly";
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  get table(): PoolTable {
    return this.#table;
  }

  /** Features as they are in force. */
  get features(): PoolFeatures {
    this.#loseHope();
    return this.#features;
  }

  /** How many events were sent, as `dmsetup status` tells them. */
  get events(): number {
    return this.#events;
  }

  /** `dmsetup table`, without start, length and target name. */
  get tableLine(): string {
    return poolTableLine(this.#table, this.options.deviceNumbers ?? NO_NUMBERS);
  }

  log(line: string): void {
    this.options.log?.(line);
  }

  sendEvent(): void {
    this.#events += 1;
    this.options.onEvent?.();
  }

  #watchMetadata(): void {
    this.metadata.onThreshold(this.metadata.metadataThreshold, () => {
      this.log(`${this.name}: reached low water mark for metadata device: sending event.`);
      this.sendEvent();
    });
  }

  /** Stops using the pool; what changed is committed first. */
  suspend(): void {
    this.#suspended = true;
    this.commit();
  }

  /**
   * Uses the pool (again), after its devices grew or its table changed (pool_preresume, pool_resume). A new table asks for its own mode, the
   * old one keeps the mode; either brings its features back, so that bios that find no space wait again, and for the whole time.
   * @returns EINVAL where the table is shorter than before.
   */
  resume(): Errno | undefined {
    const asked = this.#table.features.readOnly ? "readOnly" : "write";
    this.#features = this.#adjusted(this.#table.features);
    this.setMode(this.#isNewTable ? asked : this.#mode);
    this.#isNewTable = false;
    const grown = growData(this, Math.floor((this.#sectors * SECTOR) / this.blockSize));
    if (isErrno(grown)) return grown;
    const grownMetadata = growMetadata(this);
    if (isErrno(grownMetadata)) return grownMetadata;
    if (grown || grownMetadata) this.commit();
    this.#lowWaterTold = false;
    this.#suspended = false;
    this.#retryIsDue = true;
    this.#retryIfDue();
    return undefined;
  }

  /**
   * A new table for the pool: its length, its features or its low-water mark; takes effect with the next resume. The block size is the one
   * that the pool was made with, whatever the table says (pool_ctr looks at it, __pool_find does not).
   */
  reload(change: { readonly sectors?: number; readonly table?: PoolTable }): TargetError | undefined {
    const table = change.table ?? this.#table;
    if (table.features.discard !== this.#table.features.discard) {
      return new TargetError(EINVAL, "Discard support cannot be disabled once enabled");
    }
    this.#table = { ...table, blockSectors: this.#table.blockSectors };
    this.#isNewTable = true;
    this.#sectors = change.sectors ?? this.#sectors;
    return undefined;
  }

  /** Passdown needs a data device that discards. */
  #adjusted(features: PoolFeatures): PoolFeatures {
    if (!features.discard || !features.discardPassdown || !isErrno(this.data.discard(alignDown(0, 1), alignDown(0, 1))))
      return features;
    this.log(`Data device (${this.data.name}) discard unsupported: Disabling discard passdown.`);
    return { ...features, discardPassdown: false };
  }

  /** Changes the mode, if it may be changed (set_pool_mode). */
  setMode(wanted: PoolMode): void {
    const old = this.#mode;
    let mode = wanted;
    if (mode === "write" && this.metadata.needsCheck) {
      this.log(`${this.name}: unable to switch pool to write mode until repaired.`);
      mode = old === "write" ? "readOnly" : old;
    }
    if (old === "fail") mode = "fail";
    this.#mode = mode;
    this.metadata.readOnly = mode !== "write" && mode !== "outOfDataSpace";
    if (mode === "write") {
      this.#ranOut = false;
      this.#features = { ...this.#features, errorIfNoSpace: this.#table.features.errorIfNoSpace };
    } else if (mode === "outOfDataSpace") {
      this.#ranOut = true;
      this.#noSpaceSince = this.#now;
    } else this.waiting.fail(this.bioError);
    if (old !== mode) this.#tellMode();
  }

  #tellMode(): void {
    this.log(`${this.name}: switching pool to ${modeText(this.#mode, this.#features.errorIfNoSpace)} mode`);
    if (this.options.events?.listening) this.options.events.emit({ op: "poolMode", device: this.name, mode: this.#mode });
    this.sendEvent();
  }

  /** What a bio gets whose block could not be made ready, and what waits in a pool that gives up (get_pool_io_error_code). */
  get bioError(): Errno {
    return this.#ranOut ? ENOSPC : EIO;
  }

  get #now(): number {
    return this.options.clock?.now ?? 0;
  }

  /**
   * How many data blocks may be in use and mapped by nobody: those taken for writes that then failed, until the metadata is repaired, as with the kernel
   * (process_prepared_mapping gives nothing back), and those that were being discarded at the last commit.
   */
  get lostBlocks(): number {
    return Math.max(this.#unmapped, this.#unmappedThen);
  }

  /** So many more data blocks are in use and mapped by nobody; fewer where they are mapped, or not in use, now. */
  noteUnmapped(blocks: number): void {
    this.#unmapped += blocks;
  }

  /** Makes everything so far durable. @returns EINVAL in a mode that cannot, or the error that made the pool read-only. */
  commit(): Errno | undefined {
    if (this.#mode !== "write" && this.#mode !== "outOfDataSpace") return EINVAL;
    const failed = this.metadata.commit();
    if (failed !== undefined) return this.metadataFailed("dm_pool_commit_metadata", failed);
    this.counters.commits += 1;
    this.#unmappedThen = this.#unmapped;
    if (this.metadata.freeMetadataBlocks === 0) {
      this.log("No free metadata blocks");
      this.setMode("outOfMetadataSpace");
    }
    if (this.#mode === "outOfDataSpace" && this.metadata.freeDataBlocks > 0) {
      this.setMode("write");
      // Whoever commits does not wake the worker: a status tells of the space before the bios that waited have taken it.
      this.#retryIsDue = true;
    }
    return undefined;
  }

  /** The worker's run at the end of a bio, or each second (do_worker): bios that may find space now, then a commit by time. */
  work(): void {
    this.#retryIfDue();
    this.commitByTime();
  }

  #retryIfDue(): void {
    if (!this.#retryIsDue) return;
    this.#retryIsDue = false;
    this.waiting.retry();
  }

  /** Commits where something changed and the last commit of this kind is a second old. */
  commitByTime(): void {
    if (this.options.clock === undefined || this.#now - this.#lastCommit < seconds(SECONDS_BETWEEN_COMMITS)) return;
    if (!this.metadata.changed) return;
    if (this.commit() === undefined) this.#lastCommit = this.#now;
  }

  /** Commits for a flush or a forced write. */
  commitForFlush(): Errno | undefined {
    const failed = this.commit();
    if (failed !== undefined) return EIO;
    this.#lastCommit = this.#now;
    return undefined;
  }

  /** A change of the metadata failed: back to the last commit, and read-only until it is checked. */
  metadataFailed(operation: string, error: Errno): Errno {
    this.log(`${this.name}: metadata operation '${operation}' failed: error = -${error.number}`);
    this.log(`${this.name}: aborting current metadata transaction`);
    if (this.metadata.abort() !== undefined) {
      this.log(`${this.name}: failed to abort metadata transaction`);
      this.setMode("fail");
    } else this.#watchMetadata();
    this.#unmapped = this.#unmappedThen;
    if (this.metadata.markNeedsCheck() !== undefined) {
      this.log(`${this.name}: failed to set 'needs_check' flag in metadata`);
      this.setMode("fail");
    }
    this.setMode("readOnly");
    return error;
  }

  /** Takes a data block (alloc_data_block). @returns ENOSPC, and the mode says so; any other error made the pool read-only. */
  newBlock(): number | Errno {
    if (this.#mode !== "write") throw new InvariantError(`${this.name}: a new block in mode ${this.#mode}`);
    const free = this.metadata.freeDataBlocks;
    if (free <= this.#table.lowWaterBlocks && !this.#lowWaterTold) {
      this.log(`${this.name}: reached low water mark for data device: sending event.`);
      this.#lowWaterTold = true;
      this.sendEvent();
    }
    if (free === 0) {
      const failed = this.commit();
      if (failed !== undefined) return failed;
      if (this.metadata.freeDataBlocks === 0) {
        this.setMode("outOfDataSpace");
        return ENOSPC;
      }
    }
    const block = this.options.allocations?.fails() === true ? ENOSPC : this.metadata.newDataBlock();
    if (isErrno(block)) {
      if (block !== ENOSPC) return this.metadataFailed("dm_pool_alloc_data_block", block);
      this.setMode("outOfDataSpace");
      return ENOSPC;
    }
    this.#unmapped += 1;
    if (this.metadata.freeMetadataBlocks > 0) return block;
    // Before the reserve is touched.
    return this.commit() ?? block;
  }

  /** What a bio gets that needs a block in a mode that gives none. */
  unserviceable(): Errno | typeof QUEUED {
    if (this.#mode !== "outOfDataSpace") return EIO;
    return this.features.errorIfNoSpace ? ENOSPC : QUEUED;
  }

  /** After the timeout without space, writes fail instead of waiting (do_no_space_timeout). */
  #loseHope(): void {
    const timeout = this.options.noSpaceTimeout ?? 60;
    if (this.#mode !== "outOfDataSpace" || this.#suspended || this.#features.errorIfNoSpace || timeout === 0) return;
    if (this.options.clock !== undefined && this.#now - this.#noSpaceSince < seconds(timeout)) return;
    this.#features = { ...this.#features, errorIfNoSpace: true };
    this.#tellMode();
    this.waiting.fail(ENOSPC);
  }

  #spendUntil(then: number): void {
    const rest = then - this.#now;
    if (this.options.clock !== undefined && rest > 0) this.options.clock.spend(nanoseconds(rest));
  }

  /** The worker wakes each second (do_waker) and commits what changed: if blocks are free then, what waits goes on (check_for_data_space). */
  #workWhile(waiting: Waiting): void {
    while (this.options.clock !== undefined && waiting.pending && this.#mode === "outOfDataSpace" && this.metadata.changed) {
      this.#spendUntil(this.#lastCommit + seconds(SECONDS_BETWEEN_COMMITS));
      this.work();
      this.#retryIfDue();
    }
  }

  /**
   * Lets the time pass that a bio waits. Nobody else does anything meanwhile: who would make space does it when the event is sent.
   * @returns what the bio gives in the end; EIO where it would wait for ever.
   */
  waitFor(waiting: Waiting): Errno | undefined {
    const timeout = this.options.noSpaceTimeout ?? 60;
    this.#retryIfDue();
    if (timeout > 0) this.#workWhile(waiting);
    if (waiting.pending && timeout > 0) {
      this.#spendUntil(this.#noSpaceSince + seconds(timeout));
      this.#retryIfDue();
      this.#loseHope();
    }
    return waiting.pending ? EIO : waiting.error;
  }

  /** One volume more, or fewer, uses the pool. */
  countVolume(step: 1 | -1): void {
    this.#volumes += step;
  }

  /** Gives the pool up: commits, and forgets. @returns EBUSY is a bug: volumes must be closed first. */
  close(): void {
    assert(this.#volumes === 0, `${this.name}: ${this.#volumes} volumes are in use`);
    this.#stopTimer?.();
    if (this.#mode === "write" || this.#mode === "outOfDataSpace") this.metadata.commit();
  }
}
