/**
 * ioctl FIDEDUPERANGE: two ranges that hold the same bytes share them from then on (fs/remap_range.c: vfs_dedupe_file_range, generic_remap_file_range_prep; Linux 6.18).
 */
import { EINVAL, EISDIR, ENOTSUP, EPERM, type Errno, EXDEV, isErrno } from "../core/errno.ts";
import { alignDown, GIB } from "../core/units.ts";
import { CAP_SYS_ADMIN, capable } from "./credentials.ts";
import { readFile } from "./data.ts";
import { S_IFDIR, S_IFREG } from "./filesystem.ts";
import type { OpenFile } from "./open-file.ts";
import { immutable, inodePermission, MAY_WRITE, wantWrite } from "./permission.ts";
import type { Process } from "./process.ts";

const BLOCK = 4096;
/** The most bytes of one request. */
const LENGTH_MAX = GIB(1);

/** A range of an open file: its descriptor, and where it begins. */
export interface DedupeRange {
  readonly fd: number;
  readonly offset: number;
}

/** Whoever may write the target anyway may have it share bytes that are equal (allow_file_dedupe). */
function mayDedupe(task: Process, target: OpenFile): boolean {
  const { credentials } = task;
  const { fs } = target.mount;
  return (
    capable(credentials, CAP_SYS_ADMIN) ||
    target.writable ||
    fs.uid(target.inode) === credentials.uid ||
    inodePermission(credentials, fs, target.inode, MAY_WRITE) === undefined
  );
}

/** @returns the bytes asked for, though only whole blocks of them may be shared now; undefined where the ranges differ (FILE_DEDUPE_RANGE_DIFFERS). */
export function dedupe(task: Process, from: DedupeRange, to: DedupeRange, length: number): number | undefined | Errno {
  const source = task.files.file(from.fd);
  if (isErrno(source)) return source;
  const target = task.files.file(to.fd);
  if (isErrno(target)) return target;
  if (!source.readable) return EINVAL;
  if (source.type === S_IFDIR) return EISDIR;
  if (source.type !== S_IFREG) return EINVAL;
  const { fs } = source.mount;
  if (fs.dedupe === undefined) return ENOTSUP;
  const size = fs.size(source.inode);
  if (from.offset < 0 || from.offset + length > size) return EINVAL;
  const refused = wantWrite(target.mount);
  if (refused !== undefined) return refused;
  if (!mayDedupe(task, target)) return EPERM;
  if (fs !== target.mount.fs) return EXDEV;
  if (target.type === S_IFDIR) return EISDIR;
  if (target.type !== S_IFREG || to.offset < 0) return EINVAL;
  return sameRange(task, source, target, { from: from.offset, to: to.offset, length: Math.min(length, LENGTH_MAX) });
}

function sameRange(
  task: Process,
  source: OpenFile,
  target: OpenFile,
  range: { readonly from: number; readonly to: number; readonly length: number },
): number | undefined | Errno {
  const { fs } = source.mount;
  const { from, to, length } = range;
  if (length === 0) return 0;
  // The flags that count are those of the files that share in the end.
  const barred =
    fs.prepareSharing?.(source.handle, target.handle, "dedupe") ?? (fs.stackDepth > 0 ? undefined : immutable(fs, target.inode));
  if (barred !== undefined) return barred;
  const size = fs.size(source.inode);
  const targetSize = fs.size(target.inode);
  if (from % BLOCK !== 0 || to % BLOCK !== 0) return EINVAL;
  if (from >= size || to >= targetSize || to + length > targetSize) return EINVAL;
  const whole = alignDown(length, BLOCK);
  // The end of both files may be shared though it is not aligned.
  const count = from + length === size && to + length === targetSize ? length : whole;
  if (source.inode === target.inode && Math.abs(from - to) < count) return EINVAL;
  if (count === 0) return length;
  const one = readFile(task, source, from, count);
  if (isErrno(one)) return one;
  const other = readFile(task, target, to, count);
  if (isErrno(other)) return other;
  if (!one.equals(other)) return undefined;
  return fs.dedupe?.(source.handle, from, target.handle, to, count) ?? length;
}
