/**
 * Every call that changes a file or a folder, each by a name: what protected.test.ts asks of things that may not change.
 *
 * Interface: a call is made in a folder that `laidOut` made, on two files of it that are open, and gives what a Task gives.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_APPEND,
  O_CREAT,
  O_NOATIME,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_WHITEOUT,
  S_IFIFO,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";

export interface Place {
  readonly task: Task;
  readonly folder: string;
  /** Open files of it, "f" and "g". */
  readonly f: number;
  readonly g: number;
}

const X = Content.text("x");
const ONE = Content.text("1").toBytes();
const LATER = { seconds: 1_000_000_000, nanoseconds: 0 };
const NOATIME_FLAG = 0x80;
const MAY_WRITE = 2;

function opened(flags: number, name = "/f"): (of: Place) => unknown {
  return ({ task, folder }) => task.open(folder + name, flags);
}
function named({ task, folder }: Place): unknown {
  const fd = task.open(folder, O_TMPFILE | O_RDWR);
  return isErrno(fd) ? fd : task.linkFile(fd, `${folder}/named`);
}
function allocated(mode: number, offset: number): (of: Place) => unknown {
  return ({ task, f }) => task.fallocate(f, mode, offset, 4096);
}
/** A rename between a place in the folder, or in the other one beside it, and another such. */
function renamed(from: string, to: string, flags = 0): (of: Place) => unknown {
  return ({ task, folder }) => task.rename(folder + from, folder + to, flags);
}
function flagged({ task, f }: Place): unknown {
  const flags = task.getFlags(f);
  return isErrno(flags) ? flags : task.setFlags(f, flags | NOATIME_FLAG);
}

export const CHANGES: Readonly<Record<string, (of: Place) => unknown>> = {
  "open to write": opened(O_WRONLY),
  "open to append": opened(O_WRONLY | O_APPEND),
  "open to truncate": opened(O_RDWR | O_TRUNC),
  "open to append and truncate": opened(O_WRONLY | O_APPEND | O_TRUNC),
  "open to read and truncate": opened(O_RDONLY | O_TRUNC),
  "open without atime": opened(O_RDONLY | O_NOATIME),
  create: opened(O_CREAT | O_WRONLY, "/new"),
  "create what is there": opened(O_CREAT | O_WRONLY),
  "make a file without a name": opened(O_TMPFILE | O_RDWR, ""),
  "give it a name": named,
  write: ({ task, f }) => task.write(f, X),
  pwrite: ({ task, f }) => task.pwrite(f, X, 10),
  ftruncate: ({ task, f }) => task.ftruncate(f, 5),
  truncate: ({ task, folder }) => task.truncate(`${folder}/f`, 5),
  allocate: allocated(0, 8192),
  "allocate behind the end": allocated(FALLOC_FL_KEEP_SIZE, 16_384),
  punch: allocated(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0),
  zero: allocated(FALLOC_FL_ZERO_RANGE, 0),
  collapse: allocated(FALLOC_FL_COLLAPSE_RANGE, 0),
  insert: allocated(FALLOC_FL_INSERT_RANGE, 0),
  copy: ({ task, f, g }) => task.copyFileRange(g, f, 100),
  clone: ({ task, f, g }) => task.clone(g, f),
  deduplicate: ({ task, f, g }) => task.dedupe({ fd: g, offset: 0 }, { fd: f, offset: 0 }, 4096),
  mkdir: ({ task, folder }) => task.mkdir(`${folder}/new`),
  "mkdir where a folder is": ({ task, folder }) => task.mkdir(`${folder}/d`),
  mknod: ({ task, folder }) => task.mknod(`${folder}/new`, S_IFIFO | 0o644),
  symlink: ({ task, folder }) => task.symlink("x", `${folder}/new`),
  link: ({ task, folder }) => task.link(`${folder}/f`, `${folder}/new`),
  unlink: ({ task, folder }) => task.unlink(`${folder}/f`),
  "unlink what is not there": ({ task, folder }) => task.unlink(`${folder}/new`),
  rmdir: ({ task, folder }) => task.rmdir(`${folder}/d`),
  rename: renamed("/f", "/new"),
  "rename over": renamed("/g", "/f"),
  "rename a folder": renamed("/d", "/new"),
  "rename into": renamed("-other/f", "/new"),
  "rename out of": renamed("/f", "-other/new"),
  exchange: renamed("/f", "/g", RENAME_EXCHANGE),
  "rename and leave a whiteout": renamed("/f", "/new", RENAME_WHITEOUT),
  chmod: ({ task, folder }) => task.chmod(`${folder}/f`, 0o600),
  "chmod the folder": ({ task, folder }) => task.chmod(folder, 0o700),
  fchmod: ({ task, f }) => task.fchmod(f, 0o600),
  chown: ({ task, folder }) => task.chown(`${folder}/f`, 7, 8),
  "chown to nobody new": ({ task, folder }) => task.chown(`${folder}/f`, -1, -1),
  "set times to now": ({ task, folder }) => task.utimens(`${folder}/f`, "NOW", "NOW"),
  "set times": ({ task, folder }) => task.utimens(`${folder}/f`, LATER, LATER),
  "set one time": ({ task, folder }) => task.utimens(`${folder}/f`, "OMIT", LATER),
  "set no time": ({ task, folder }) => task.utimens(`${folder}/f`, "OMIT", "OMIT"),
  "set an attribute": ({ task, folder }) => task.setxattr(`${folder}/f`, "user.b", ONE),
  "set a trusted attribute": ({ task, folder }) => task.setxattr(`${folder}/f`, "trusted.b", ONE),
  "remove an attribute": ({ task, folder }) => task.removexattr(`${folder}/f`, "user.a"),
  "set the folder's attribute": ({ task, folder }) => task.setxattr(folder, "user.b", ONE),
  "set flags": flagged,
  "ask for leave to write": ({ task, folder }) => task.access(`${folder}/f`, MAY_WRITE),
  "ask for leave to write the folder": ({ task, folder }) => task.access(folder, MAY_WRITE),
};

/** Makes a folder, another one beside it, and in each two files and a folder. */
export function laidOut(task: Task, folder: string): void {
  for (const made of [folder, `${folder}-other`]) {
    done(task.mkdir(made, 0o777));
    done(task.mkdir(`${made}/d`, 0o777));
    for (const name of ["f", "g"]) {
      const fd = done(task.open(`${made}/${name}`, O_CREAT | O_WRONLY, 0o666));
      done(task.write(fd, Content.repeat(Content.text("abc").toBytes(), 12_000)));
      done(task.close(fd));
      done(task.setxattr(`${made}/${name}`, "user.a", ONE));
    }
  }
}

/** Makes everything on the filesystem of a path durable. */
export function synced(task: Task, path = "/m"): Errno | undefined {
  return done(task.resolve(path)).mount.fs.sync();
}

export function done<T>(value: T | Errno): T {
  if (isErrno(value)) throw new Error(value.code);
  return value as T;
}
