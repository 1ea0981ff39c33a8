/**
 * The loop device: a BlockDevice over a file (drivers/block/loop.c).
 *
 * Interface:
 * - The size is the file's when the device is made, rounded down to whole sectors; a file that grows later does not grow the device.
 * - A read that finds the file shorter than it was gives EIO, as the kernel's does when a retry of a short read brings nothing. A write
 *   behind the file's end makes it longer.
 * - Errors of the file: ENOSPC stays ENOSPC, ENOTSUP of a discard stays ENOTSUP, everything else is EIO (blk_status_to_errno of
 *   errno_to_blk_status, block/blk-core.c).
 * - A discard punches a hole and keeps the file's size; a flush is an fsync.
 */
import { assert } from "../core/assert.ts";
import type { Content } from "../core/content.ts";
import { EINVAL, EIO, ENOSPC, ENOTSUP, type Errno, isErrno } from "../core/errno.ts";
import { alignDown, type Bytes, bytes } from "../core/units.ts";
import type { BlockDevice } from "./device.ts";

/** What a loop device needs of an open file. */
export interface LoopFile {
  /** Bytes. */
  size(): number;
  /** At most `length` bytes from `offset` on; fewer at the end of the file. */
  read(offset: number, length: number): Content | Errno;
  /** @returns how many bytes were written. */
  write(offset: number, content: Content): number | Errno;
  /** Gives the range's space back, the size stays (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE). */
  punch(offset: number, length: number): Errno | undefined;
  fsync(): Errno | undefined;
}

function deviceError(error: Errno): Errno {
  return error === ENOSPC || error === ENOTSUP ? error : EIO;
}

export class LoopDevice implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly #file: LoopFile;

  readonly rotational: boolean;

  /**
   * @param options.sectorSize - 512 (the default) or 4096, as LOOP_SET_BLOCK_SIZE sets it.
   * @param options.rotational - what the device of the file's filesystem says (the default is that it turns; loop_update_limits).
   */
  constructor(name: string, file: LoopFile, options: { readonly sectorSize?: 512 | 4096; readonly rotational?: boolean } = {}) {
    this.name = name;
    this.rotational = options.rotational ?? true;
    this.sectorSize = bytes(options.sectorSize ?? 512);
    this.size = alignDown(file.size(), this.sectorSize);
    this.#file = file;
    assert(this.size > 0, `${name}: the file holds no sector`);
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    if (!this.#within(offset, length)) return EINVAL;
    const content = this.#file.read(offset, length);
    if (isErrno(content)) return deviceError(content);
    return content.length === length ? content : EIO;
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    if (!this.#within(offset, content.length)) return EINVAL;
    for (let done = 0; done < content.length; ) {
      const written = this.#file.write(offset + done, content.slice(done));
      if (isErrno(written)) return deviceError(written);
      if (written === 0) return EIO;
      done += written;
    }
    return undefined;
  }

  /** As one write: the file has the same after it, and whoever asks for several at once gives them to it merged (blk_attempt_bio_merge). */
  writeUnits(offset: Bytes, content: Content): Errno | undefined {
    return this.write(offset, content);
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    if (!this.#within(offset, length)) return EINVAL;
    if (length === 0) return undefined;
    const failed = this.#file.punch(offset, length);
    return failed === undefined ? undefined : deviceError(failed);
  }

  flush(): Errno | undefined {
    const failed = this.#file.fsync();
    return failed === undefined ? undefined : deviceError(failed);
  }

  #within(offset: number, length: number): boolean {
    const sector = this.sectorSize;
    return offset >= 0 && offset + length <= this.size && offset % sector === 0 && length % sector === 0;
  }
}
