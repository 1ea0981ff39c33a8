/**
 * Calls on open files.
 */
import type { Content } from "../../sim/core/content.ts";
import { EBADF, type Errno, isErrno } from "../../sim/core/errno.ts";
import * as flags from "../../sim/vfs/filesystem.ts";
import type { Advised } from "../../sim/vfs/other.ts";
import { type Call, type CallTable, call, descriptorOf } from "./call.ts";
import type { Json } from "./json.ts";
import { shown } from "./show.ts";
import { bitsOf, choiceOf, dataOf, modeOf, textOf, wholeOf } from "./step.ts";

/** The flags of open(2) by name. */
const OPEN_FLAGS: Readonly<Record<string, number>> = {
  O_RDONLY: flags.O_RDONLY,
  O_WRONLY: flags.O_WRONLY,
  O_RDWR: flags.O_RDWR,
  O_CREAT: flags.O_CREAT,
  O_EXCL: flags.O_EXCL,
  O_NOCTTY: flags.O_NOCTTY,
  O_TRUNC: flags.O_TRUNC,
  O_APPEND: flags.O_APPEND,
  O_NONBLOCK: flags.O_NONBLOCK,
  O_DSYNC: flags.O_DSYNC,
  O_DIRECT: flags.O_DIRECT,
  O_LARGEFILE: flags.O_LARGEFILE,
  O_DIRECTORY: flags.O_DIRECTORY,
  O_NOFOLLOW: flags.O_NOFOLLOW,
  O_NOATIME: flags.O_NOATIME,
  O_CLOEXEC: flags.O_CLOEXEC,
  O_SYNC: flags.O_SYNC,
  O_PATH: flags.O_PATH,
  O_TMPFILE: flags.O_TMPFILE,
};

/** Bits of fallocate(2) by their names. */
export const FALLOCATE_FLAGS: Readonly<Record<string, number>> = {
  KEEP_SIZE: flags.FALLOC_FL_KEEP_SIZE,
  PUNCH_HOLE: flags.FALLOC_FL_PUNCH_HOLE,
  COLLAPSE_RANGE: flags.FALLOC_FL_COLLAPSE_RANGE,
  ZERO_RANGE: flags.FALLOC_FL_ZERO_RANGE,
  INSERT_RANGE: flags.FALLOC_FL_INSERT_RANGE,
  UNSHARE: flags.FALLOC_FL_UNSHARE_RANGE,
};

/** What lseek(2) counts from. */
export const WHENCE: Readonly<Record<string, number>> = { SEEK_SET: 0, SEEK_CUR: 1, SEEK_END: 2, SEEK_DATA: 3, SEEK_HOLE: 4 };
const SHARES: Readonly<Record<string, "shared" | "private">> = { shared: "shared", private: "private" };
const ADVICE: Readonly<Record<string, Advised>> = {
  normal: "normal",
  random: "random",
  sequential: "sequential",
  willneed: "willneed",
  dontneed: "dontneed",
};
const PROTECTIONS: Readonly<Record<string, "r" | "rw">> = { r: "r", rw: "rw" };

function shownOr(content: Content | Errno): Json | Errno {
  return isErrno(content) ? content : shown(content);
}

const open: Call = call("path flags? mode? fd", (session, task, step) => {
  const fd = task.open(textOf(step, "path"), bitsOf(step, "flags", OPEN_FLAGS), modeOf(step, "mode", 0o644));
  if (isErrno(fd)) return fd;
  session.descriptors.set(textOf(step, "fd"), fd);
  return undefined;
});

const close: Call = call("fd", (session, task, step) => {
  const fd = descriptorOf(session, step);
  if (isErrno(fd)) return fd;
  session.descriptors.delete(textOf(step, "fd"));
  return task.close(fd);
});

const read: Call = call("fd len", (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : shownOr(task.read(fd, wholeOf(step, "len")));
});

const pread: Call = call("fd len offset", (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : shownOr(task.pread(fd, wholeOf(step, "len"), wholeOf(step, "offset")));
});

const write: Call = call("fd data", (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : task.write(fd, dataOf(step, "data"));
});

const pwrite: Call = call("fd data offset", (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : task.pwrite(fd, dataOf(step, "data"), wholeOf(step, "offset"));
});

const lseek: Call = call("fd offset whence", (session, task, step) => {
  const fd = descriptorOf(session, step);
  if (isErrno(fd)) return fd;
  const position = task.lseek(fd, wholeOf(step, "offset"), choiceOf(step, "whence", WHENCE));
  return position === 2 ** 63 ? 2n ** 63n - 1n : position;
});

const ftruncate: Call = call("fd len", (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : task.ftruncate(fd, wholeOf(step, "len"));
});

const fsync: Call = call("fd", (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : task.fsync(fd);
});

const fdatasync: Call = call("fd", (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : task.fdatasync(fd);
});

const fallocate: Call = call("fd offset len flags?", (session, task, step) => {
  const fd = descriptorOf(session, step);
  if (isErrno(fd)) return fd;
  return task.fallocate(fd, bitsOf(step, "flags", FALLOCATE_FLAGS), wholeOf(step, "offset"), wholeOf(step, "len"));
});

const copyFileRange: Call = call("fd to len", (session, task, step) => {
  const source = descriptorOf(session, step);
  const target = descriptorOf(session, step, "to");
  return isErrno(source) || isErrno(target) ? EBADF : task.copyFileRange(source, target, wholeOf(step, "len"));
});

const clone: Call = call("fd to", (session, task, step) => {
  const source = descriptorOf(session, step);
  const target = descriptorOf(session, step, "to");
  return isErrno(source) || isErrno(target) ? EBADF : task.clone(source, target);
});

const mmap: Call = call("fd prot share?", (session, task, step) => {
  const fd = descriptorOf(session, step);
  if (isErrno(fd)) return fd;
  return task.mmap(fd, choiceOf(step, "prot", PROTECTIONS), choiceOf(step, "share", SHARES, "shared"));
});

const fadvise: Call = call("fd advice offset? len?", (session, task, step) => {
  const fd = descriptorOf(session, step);
  if (isErrno(fd)) return fd;
  const at = (key: string): number => (step[key] === undefined ? 0 : wholeOf(step, key));
  return task.fadvise(fd, choiceOf(step, "advice", ADVICE), at("offset"), at("len"));
});

/** Calls on open files, by name. */
export const DATA_CALLS: CallTable = {
  open,
  close,
  read,
  pread,
  write,
  pwrite,
  lseek,
  ftruncate,
  fsync,
  fdatasync,
  fallocate,
  copy_file_range: copyFileRange,
  clone,
  mmap,
  fadvise,
  sync: call("", (_, task) => task.syncfs()),
  truncate: call("path len", (_, task, step) => task.truncate(textOf(step, "path"), wholeOf(step, "len"))),
};
