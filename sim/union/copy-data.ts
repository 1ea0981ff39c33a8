/**
 * Copies a file's data from one filesystem to another as copy-up does: by reading and writing through both page caches, in chunks of
 * 1 MiB from each place where data begins (fs/overlayfs/copy_up.c, ovl_copy_up_file; union.md 3.4).
 *
 * Interface: what is allocated equals the kernel's chunks; what is done is one read and one write for each stretch of data, so that the
 * cost follows the extents and not the bytes.
 */
import { ENXIO, type Errno, isErrno } from "../core/errno.ts";
import { MIB } from "../core/units.ts";
import type { FileHandle, FileSystem } from "../vfs/filesystem.ts";

/** OVL_COPY_UP_CHUNK_SIZE. */
const CHUNK = MIB(1);

export interface DataEnd {
  readonly fs: FileSystem;
  readonly file: FileHandle;
}

export interface CopyDataOptions {
  /** Bytes to copy from the beginning of the file on. */
  readonly length: number;
  /** Whether holes are stepped over. */
  readonly sparse: boolean;
  /** Whether extents are shared where both ends are one filesystem that can. */
  readonly clone: boolean;
}

/**
 * Copies the first `length` bytes of `source` into `target`, which is empty.
 * @returns how many bytes went through memory: 0 for a clone; ENOSPC and what reading and writing give.
 */
export function copyData(source: DataEnd, target: DataEnd, options: CopyDataOptions): number | Errno {
  const { length } = options;
  if (length === 0) return 0;
  if (options.clone && source.fs === target.fs && source.fs.clone(source.file, 0, target.file, 0, length) === undefined) return 0;
  let copied = 0;
  for (let at = 0; at < length; ) {
    const start = options.sparse ? source.fs.seek(source.file, at, false) : at;
    if (start === ENXIO) break;
    if (isErrno(start)) return start;
    const end = options.sparse ? chunksEnd(source, start, length) : length;
    if (isErrno(end)) return end;
    // Where space ends within a chunk the kernel goes on from there, and over a hole it needs none.
    const written = copyRange(source, target, start, end);
    if (isErrno(written)) return written;
    copied += written;
    at = start + written;
  }
  return copied;
}

/** Where the last chunk ends that begins within the stretch of data at `start`. */
function chunksEnd(source: DataEnd, start: number, length: number): number | Errno {
  const hole = source.fs.seek(source.file, start, true);
  if (isErrno(hole)) return hole === ENXIO ? length : hole;
  return Math.min(length, start + Math.ceil((hole - start) / CHUNK) * CHUNK);
}

/** @returns how much could be written: at least a byte. */
function copyRange(source: DataEnd, target: DataEnd, start: number, end: number): number | Errno {
  const content = source.fs.read(source.file, start, end - start);
  return isErrno(content) ? content : target.fs.write(target.file, start, content);
}
