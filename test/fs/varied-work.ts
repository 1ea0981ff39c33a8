/**
 * One of each: calls that use every form in which a filesystem keeps something, large and small, and read and change all of it again.
 *
 * Interface: a Work makes its calls in the folder /m of a task and gives what each answered, errors as their codes; it never throws.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  newAttributes,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TMPFILE,
  O_TRUNC,
  RENAME_EXCHANGE,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFIFO,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { synced } from "./protected.ts";

const BLOCK = 4096;
const FILES = 40;
const FRAGMENTS = 60;

type Answer = string | number | undefined;
export type Work = (task: Task) => Answer[];

function answer(value: unknown): Answer {
  if (isErrno(value)) return value.code;
  if (typeof value === "string" || typeof value === "number") return value;
  return value instanceof Content ? `${value.length} bytes ${value.toText().slice(0, 4)}` : undefined;
}

/** Answers of calls on an open file, or of the open that failed. */
function within(task: Task, path: string, flags: number, calls: (fd: number) => unknown[]): Answer[] {
  const fd = task.open(path, flags);
  if (isErrno(fd)) return [fd.code];
  const answers = calls(fd).map(answer);
  task.close(fd);
  return answers;
}

function fill(task: Task, path: string, content: Content): Answer[] {
  return within(task, path, O_CREAT | O_RDWR | O_TRUNC, (fd) => [task.write(fd, content)]);
}

function pattern(length: number): Content {
  return Content.repeat(new TextEncoder().encode("pattern "), length);
}

/** Every second block of a file, so that each is an extent of its own. */
function fragments(task: Task, path: string): Answer[] {
  return within(task, path, O_CREAT | O_RDWR, (fd) => [
    ...Array.from({ length: FRAGMENTS }, (_, at) => task.pwrite(fd, pattern(BLOCK), at * 2 * BLOCK)),
    task.fsync(fd),
  ]);
}

/** Makes files, folders, links and attributes of every size and kind. */
export const making: Work = (task) => [
  answer(task.mkdir("/m/folder")),
  ...Array.from({ length: FILES }, (_, at) => fill(task, `/m/folder/${"name".repeat(20)}-${at}`, pattern(at * 100))).flat(),
  ...fill(task, "/m/large", pattern(300 * BLOCK + 5)),
  ...fragments(task, "/m/fragments"),
  answer(task.symlink("short", "/m/short")),
  answer(task.symlink("long/".repeat(200), "/m/long")),
  answer(task.mknod("/m/pipe", S_IFIFO | 0o644)),
  answer(task.mknod("/m/null", S_IFCHR | 0o644, 259)),
  answer(task.link("/m/large", "/m/linked")),
  answer(task.setxattr("/m/large", "user.small", new Uint8Array(20))),
  answer(task.setxattr("/m/large", "user.large", new Uint8Array(1500))),
  answer(task.setxattr("/m/folder", "user.large", new Uint8Array(2500))),
  ...within(task, "/m", O_TMPFILE | O_RDWR, (fd) => [task.write(fd, pattern(BLOCK)), task.linkFile(fd, "/m/anonymous")]),
  ...within(task, "/m/synced", O_CREAT | O_RDWR | O_SYNC, (fd) => [task.write(fd, pattern(10))]),
  answer(synced(task)),
];

/** Reads and changes what `making` left, whose pages and records need not be in memory. */
export const changing: Work = (task) => [
  answer(task.stat("/m/folder")),
  answer((entries(task, "/m/folder") ?? []).length),
  ...within(task, "/m/large", O_RDWR, (fd) => [
    task.pread(fd, 10, 100 * BLOCK),
    task.pwrite(fd, pattern(100), 7 * BLOCK + 50),
    task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * BLOCK + 9, 3 * BLOCK),
    task.fallocate(fd, FALLOC_FL_ZERO_RANGE, 20 * BLOCK + 9, 3 * BLOCK),
    task.fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 30 * BLOCK, BLOCK),
    task.fallocate(fd, FALLOC_FL_INSERT_RANGE, 40 * BLOCK, BLOCK),
    task.fallocate(fd, 0, 310 * BLOCK, 9 * BLOCK),
    task.lseek(fd, 9 * BLOCK, 4),
    task.ftruncate(fd, 200 * BLOCK + 7),
    task.fsync(fd),
  ]),
  ...within(task, "/m/fragments", O_RDWR, (fd) => [
    task.pread(fd, 9, 50 * BLOCK),
    task.pwrite(fd, pattern(3 * BLOCK), 20 * BLOCK),
    task.fdatasync(fd),
    ...within(task, "/m/cloned", O_CREAT | O_RDWR, (other) => [
      task.clone(fd, other),
      task.pwrite(other, pattern(BLOCK + 1), 31 * BLOCK + 5),
      task.fsync(other),
      task.copyFileRange(fd, other, 5 * BLOCK),
    ]),
  ]),
  answer(task.readlink("/m/short")),
  answer(task.readlink("/m/long")?.toString().length),
  answer(task.getxattr("/m/large", "user.large")),
  answer(task.setxattr("/m/large", "user.large", new Uint8Array(900))),
  answer(task.setxattr("/m/folder", "user.more", new Uint8Array(900))),
  answer(task.removexattr("/m/folder", "user.large")),
  answer(Array.isArray(task.listxattr("/m/folder"))),
  answer(task.chmod("/m/folder", 0o700)),
  answer(task.chown("/m/fragments", 7, 8)),
  answer(task.utimens("/m/large", "NOW", "NOW")),
  answer(task.rename("/m/linked", "/m/folder/moved")),
  answer(task.rename("/m/short", "/m/long", RENAME_EXCHANGE)),
  answer(task.rename("/m/pipe", "/m/renamed", RENAME_WHITEOUT)),
  answer(task.rename("/m/synced", "/m/anonymous")),
  ...Array.from({ length: FILES / 2 }, (_, at) => answer(task.unlink(`/m/folder/${"name".repeat(20)}-${at * 2}`))),
  answer(task.mkdir("/m/folder/deeper")),
  answer(task.rmdir("/m/folder/deeper")),
  answer(task.statfs("/m")),
  ...within(task, "/m/folder", O_RDONLY | O_DIRECTORY, (fd) => [task.fsync(fd), task.getFlags(fd), task.setFlags(fd, 0x80)]),
  answer(task.unlink("/m/fragments")),
  answer(synced(task)),
];

function entries(task: Task, path: string): unknown[] | undefined {
  const found = task.readdir(path);
  return isErrno(found) ? undefined : found;
}

/** What a tree holds, as text; an error in the place of what cannot be read. */
export function shown(task: Task, path = "/m"): string[] {
  const found = task.readdir(path);
  if (isErrno(found)) return [`${path} ${found.code}`];
  return found
    .filter(({ name }) => name !== "lost+found")
    .map(({ name }) => `${path}/${name}`)
    .sort()
    .flatMap((inner) => {
      const of = newAttributes();
      const failed: unknown = task.lstat(inner, of);
      if (isErrno(failed)) return [`${inner} ${failed.code}`];
      return [`${inner} ${of.mode.toString(8)} ${of.nlink}`, ...((of.mode & 0o170000) === 0o040000 ? shown(task, inner) : [])];
    });
}

export function codeOf(failed: { readonly errno: Errno } | Errno | undefined): string {
  if (failed === undefined) return "";
  return isErrno(failed) ? failed.code : failed.errno.code;
}
