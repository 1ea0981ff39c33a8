/**
 * How aufs copies a file's data up: block by block, a whole block of zeros becoming a hole, not the last one that the file's end cuts short
 * (fs/aufs/cpup.c, au_do_copy_file; spec/union.md section 13).
 *
 * Interface: what is allocated is what the block loop allocates; the work follows the stretches of data, and looks only at bytes that were
 * given one by one.
 */
import { Content } from "../../core/content.ts";
import { ENOSPC, ENOTSUP, ENXIO, type Errno, isErrno } from "../../core/errno.ts";
import type { DataEnd } from "../copy-data.ts";

/** What the loop copies at once: a block, at most a page. */
const BLOCK = 4096;

/** A stretch of a file, in bytes. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

/**
 * Copies the first `length` bytes, at least one, of `source` into `target`, which is empty.
 * @returns how many bytes went through memory: 0 where extents are shared; ENOSPC and what reading and writing give; where extents can be shared,
 * EINVAL for a length that is no whole number of blocks and not the file's own (au_clone_or_copy).
 */
export function copyBlocks(source: DataEnd, target: DataEnd, length: number): number | Errno {
  if (source.fs === target.fs) {
    const failed = source.fs.clone(source.file, 0, target.file, 0, length);
    if (failed !== ENOTSUP) return failed ?? 0;
  }
  let copied = 0;
  const tail = length - (length % BLOCK);
  for (let at = 0; at < length; ) {
    const start = source.fs.seek(source.file, at, false);
    if (start === ENXIO) break;
    if (isErrno(start)) return start;
    if (start >= tail) break;
    const hole = source.fs.seek(source.file, start, true);
    if (isErrno(hole) && hole !== ENXIO) return hole;
    const end = Math.min(tail, isErrno(hole) ? length : hole);
    const done = copyStretch(source, target, { start: start - (start % BLOCK), end });
    if (isErrno(done)) return done;
    copied += done;
    at = end;
  }
  const rest = tail < length ? writeAll(target, tail, source.fs.read(source.file, tail, length - tail)) : 0;
  return isErrno(rest) ? rest : copied + rest;
}

/** Writes a part at its place. @returns how many bytes; ENOSPC for less than all. */
function writeAll(target: DataEnd, offset: number, part: Content | Errno): number | Errno {
  if (isErrno(part)) return part;
  const written = target.fs.write(target.file, offset, part);
  return !isErrno(written) && written < part.length ? ENOSPC : written;
}

/** Whole blocks that may be data, from a block's beginning on. */
function copyStretch(source: DataEnd, target: DataEnd, { start, end }: Stretch): number | Errno {
  const content = source.fs.read(source.file, start, end - start);
  if (isErrno(content)) return content;
  let copied = 0;
  for (const kept of withoutZeroBlocks(content)) {
    const written = writeAll(target, start + kept.start, content.slice(kept.start, kept.end));
    if (isErrno(written)) return written;
    copied += written;
  }
  return copied;
}

/** The stretches of a content, cut at blocks, that are not whole blocks of zeros. */
function withoutZeroBlocks(content: Content): Stretch[] {
  const kept: Stretch[] = [];
  let from = 0;
  for (const zeros of zeroStretches(content)) {
    const start = Math.ceil(zeros.start / BLOCK) * BLOCK;
    const end = zeros.end - (zeros.end % BLOCK);
    if (start >= end) continue;
    if (start > from) kept.push({ start: from, end: start });
    from = end;
  }
  if (from < content.length) kept.push({ start: from, end: content.length });
  return kept;
}

/** Whether all bytes are 0; that the first is not is seen at once. */
function isZeroed(part: Content): boolean {
  return part.byteAt(0) === 0 && part.equals(Content.zeros(part.length));
}

/**
 * Where a content is zeros, neighbours joined. Bytes given one by one are looked at in blocks; of a unit that is repeated, its first block tells
 * of all, since a unit is shorter.
 */
function zeroStretches(content: Content): Stretch[] {
  const found: { start: number; end: number }[] = [];
  const add = (start: number, end: number): void => {
    const last = found.at(-1);
    if (last !== undefined && last.end === start) last.end = end;
    else found.push({ start, end });
  };
  let at = 0;
  for (const run of content.runs) {
    if (run.isZero || (run.kind === "repeat" && isZeroed(run.slice(0, Math.min(run.length, BLOCK))))) add(at, at + run.length);
    else if (run.kind === "literal") {
      for (let begin = 0; begin < run.length; ) {
        const end = Math.min(run.length, begin + BLOCK - ((at + begin) % BLOCK));
        const part = run.slice(begin, end);
        if (isZeroed(part)) add(at + begin, at + end);
        begin = end;
      }
    }
    at += run.length;
  }
  return found;
}
