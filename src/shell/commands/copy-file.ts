/**
 * The copy of one regular file's data, as cp and mv of coreutils 9.1 do it (src/copy.c: copy_reg, infer_scantype, lseek_copy, sparse_copy).
 *
 * A clone is tried first (FICLONE); then copy_file_range, for a file without holes; a file with holes is read extent by extent (SEEK_DATA,
 * SEEK_HOLE) in pieces of 128 KiB, and blocks of zeros in it become holes too.
 */
import { Content } from "../../../sim/core/content.ts";
import { EINVAL, ENOENT, ENOTSUP, ENXIO, EPERM, type Errno, EXDEV, isErrno } from "../../../sim/core/errno.ts";
import { type Attributes, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from "../../../sim/vfs/filesystem.ts";
import { fail, quoted, refuse } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import type { Process } from "../process.ts";

/** io_blksize: never less than 128 KiB. */
export const BUFFER_BYTES = 131_072;
const SECTOR = 512;
const SEEK_SET = 0;
const SEEK_CUR = 1;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const EVERYTHING: number = Number.POSITIVE_INFINITY;

/** Both files, and what the user asked. */
export interface DataCopy {
  readonly command: string;
  readonly from: OpenedFile;
  readonly to: OpenedFile;
  readonly names: readonly [from: string, to: string];
  readonly sparse: "auto" | "always" | "never";
  readonly reflink: "auto" | "always" | "never";
}

/** Errors after which copying the plain way is tried (is_CLONENOTSUP). */
const NOT_SUPPORTED: readonly Errno[] = [EINVAL, ENOTSUP, EXDEV, EPERM, ENOENT];

/** Copies the data when no clone could be made. @returns whether it is all there */
export function copyData(process: Process, copy: DataCopy, source: Attributes, target: Attributes): boolean {
  const hasHoles = source.blocks < Math.floor(source.size / SECTOR);
  const first = hasHoles ? process.lseek(copy.from, 0, SEEK_DATA) : undefined;
  const byExtents = first !== undefined && (!isErrno(first) || first === ENXIO);
  const makesHoles = copy.sparse === "always" || (copy.sparse === "auto" && hasHoles);
  const holeSize = makesHoles ? target.blockSize : 0;
  if (byExtents) return copyExtents(process, copy, { first: isErrno(first) ? undefined : first, size: source.size, holeSize });
  const done = copyRange(process, copy, { length: EVERYTHING, holeSize, punches: copy.sparse === "always" });
  if (done === undefined) return false;
  return !done.endsInHole || truncated(process, copy, done.bytes);
}

function truncated(process: Process, copy: DataCopy, length: number): boolean {
  const failed = process.ftruncate(copy.to, length);
  if (failed === undefined) return true;
  fail(process, `${copy.command}: failed to extend ${quoted(copy.names[1])}`, failed);
  return false;
}

interface Extents {
  /** Where the first data lies. */
  readonly first: number | undefined;
  readonly size: number;
  readonly holeSize: number;
}

function copyExtents(process: Process, copy: DataCopy, { first, size, holeSize }: Extents): boolean {
  let start = first;
  let end = 0;
  let endsInHole = false;
  while (start !== undefined && start < size) {
    const next = process.lseek(copy.from, start, SEEK_HOLE);
    const extentEnd = isErrno(next) ? size : next;
    process.lseek(copy.from, start, SEEK_SET);
    if (start > end && !passHole(process, copy, start - end)) return false;
    const done = copyRange(process, copy, { length: extentEnd - start, holeSize, punches: true });
    if (done === undefined) return false;
    end = start + done.bytes;
    endsInHole = done.endsInHole;
    if (done.bytes < extentEnd - start) break;
    const following = process.lseek(copy.from, end, SEEK_DATA);
    start = isErrno(following) ? undefined : following;
  }
  if (end >= size && !endsInHole) return true;
  if (copy.sparse === "never") return writeZeros(process, copy, size - end);
  if (!truncated(process, copy, size)) return false;
  return copy.sparse !== "always" || end >= size || punchHole(process, copy, end, size - end);
}

/** Between two extents: a hole again, unless none is wanted. */
function passHole(process: Process, copy: DataCopy, length: number): boolean {
  return copy.sparse === "never" ? writeZeros(process, copy, length) : makeHole(process, copy, length, copy.sparse === "always");
}

function writeZeros(process: Process, copy: DataCopy, length: number): boolean {
  for (let done = 0; done < length; done += BUFFER_BYTES) {
    const written = process.write(copy.to, Content.zeros(Math.min(BUFFER_BYTES, length - done)));
    if (isErrno(written)) return refuse(process, `${copy.command}: error writing ${quoted(copy.names[1])}`, written);
  }
  return true;
}

function punchHole(process: Process, copy: DataCopy, offset: number, length: number): boolean {
  const failed = process.fallocate(copy.to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  if (failed === undefined || failed === ENOTSUP) return true;
  return refuse(process, `${copy.command}: error deallocating ${quoted(copy.names[1])}`, failed);
}

/** create_hole: seeks over it, and takes away what the filesystem has allocated there in advance. */
function makeHole(process: Process, copy: DataCopy, length: number, punches: boolean): boolean {
  const end = process.lseek(copy.to, length, SEEK_CUR);
  if (isErrno(end)) {
    fail(process, `${copy.command}: cannot lseek ${quoted(copy.names[1])}`, end);
    return false;
  }
  return !punches || punchHole(process, copy, end - length, length);
}

interface Range {
  readonly length: number;
  /** Blocks of this size that hold zeros alone become holes; 0: none do, and copy_file_range may be used. */
  readonly holeSize: number;
  /** Whether such holes are punched, too. */
  readonly punches: boolean;
}

interface Done {
  readonly bytes: number;
  readonly endsInHole: boolean;
}

/** sparse_copy: from both files' positions on. @returns nothing where it failed, which has been said */
function copyRange(process: Process, copy: DataCopy, range: Range): Done | undefined {
  let bytes = 0;
  if (range.holeSize === 0 && copy.reflink !== "never") {
    while (bytes < range.length) {
      const copied = process.copyFileRange(copy.from, copy.to, range.length - bytes);
      if (isErrno(copied)) {
        if (bytes === 0 && NOT_SUPPORTED.includes(copied)) break;
        fail(process, `${copy.command}: error copying ${quoted(copy.names[0])} to ${quoted(copy.names[1])}`, copied);
        return undefined;
      }
      if (copied === 0 && bytes === 0) break;
      if (copied === 0) return { bytes, endsInHole: false };
      bytes += copied;
    }
  }
  return readAndWrite(process, copy, range, bytes);
}

function readAndWrite(process: Process, copy: DataCopy, { length, holeSize, punches }: Range, before: number): Done | undefined {
  let bytes = before;
  let pending = 0;
  let inHole = false;
  while (bytes < length) {
    const piece = process.read(copy.from, Math.min(length - bytes, BUFFER_BYTES));
    if (isErrno(piece)) {
      fail(process, `${copy.command}: error reading ${quoted(copy.names[0])}`, piece);
      return undefined;
    }
    if (piece.length === 0) break;
    bytes += piece.length;
    let from = 0;
    for (const run of runsOf(piece, holeSize)) {
      if (inHole && !run.hole && !makeHole(process, copy, pending, punches)) return undefined;
      if (inHole && !run.hole) pending = 0;
      if (run.hole) pending += run.length;
      else {
        const written = process.write(copy.to, piece.slice(from, from + run.length));
        if (isErrno(written)) {
          fail(process, `${copy.command}: error writing ${quoted(copy.names[1])}`, written);
          return undefined;
        }
      }
      inHole = run.hole;
      from += run.length;
    }
  }
  if (inHole && !makeHole(process, copy, pending, punches)) return undefined;
  return { bytes, endsInHole: inHole };
}

/** A piece as runs of blocks that hold something, and of blocks of zeros. */
function runsOf(piece: Content, holeSize: number): readonly { readonly hole: boolean; readonly length: number }[] {
  if (holeSize === 0) return [{ hole: false, length: piece.length }];
  const runs: { hole: boolean; length: number }[] = [];
  for (let at = 0; at < piece.length; at += holeSize) {
    const block = piece.slice(at, Math.min(at + holeSize, piece.length));
    const hole = isZeros(block);
    const last = runs.at(-1);
    if (last !== undefined && last.hole === hole) last.length += block.length;
    else runs.push({ hole, length: block.length });
  }
  return runs;
}

function isZeros(block: Content): boolean {
  return block.isZero || block.toBytes().every((byte) => byte === 0);
}
