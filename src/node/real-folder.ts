/**
 * A folder of the real machine, copied into a simulated tree: names, types, modes, owners, times, links and contents. What is there already and is the same stays.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { time } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { type Attributes, O_CREAT, O_RDWR, O_TRUNC, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { removeAll } from "../drivers/files.ts";
import { fileError } from "./input-error.ts";

interface Copy {
  readonly task: Task;
  /** Where the first name of an inode with several was put, by device and number. */
  readonly links: Map<string, string>;
}

function nanosOf(milliseconds: number): ReturnType<typeof time> {
  const seconds = Math.floor(milliseconds / 1000);
  return time(seconds, Math.floor((milliseconds - seconds * 1000) * 1e6));
}

/** @throws InputError when the folder cannot be read. */
export function copyRealFolder(task: Task, source: string, target: string): void {
  try {
    copyEntries({ task, links: new Map() }, source, target);
    applyAttributes(task, target, lstatSync(source));
  } catch (error) {
    throw fileError(source, error);
  }
}

function copyEntries(copy: Copy, source: string, target: string): void {
  const names = readdirSync(source).sort();
  const known = copy.task.readdir(target);
  for (const { name } of isErrno(known) ? [] : known) if (!names.includes(name)) removeAll(copy.task, `${target}/${name}`);
  for (const name of names) copyEntry(copy, `${source}/${name}`, `${target}/${name}`);
}

function copyEntry(copy: Copy, source: string, target: string): void {
  const { task, links } = copy;
  const of = lstatSync(source);
  const there = task.lstat(target);
  const type = of.mode & S_IFMT;
  if (!isErrno(there) && (there.mode & S_IFMT) !== type) removeAll(task, target);
  const link = `${of.dev}:${of.ino}`;
  const first = of.nlink > 1 && type !== S_IFDIR ? links.get(link) : undefined;
  if (first !== undefined) {
    task.unlink(target);
    task.link(first, target);
    return;
  }
  links.set(link, target);
  if (type === S_IFDIR) {
    task.mkdir(target, 0o700);
    copyEntries(copy, source, target);
  } else if (type === S_IFREG) copyFile(task, source, target, isErrno(there) ? undefined : there);
  else if (type === S_IFLNK) copyLink(task, readlinkSync(source), target);
  else if (isErrno(there)) task.mknod(target, type | 0o600, 0);
  applyAttributes(task, target, of);
}

function copyLink(task: Task, text: string, target: string): void {
  if (task.readlink(target) === text) return;
  task.unlink(target);
  task.symlink(text, target);
}

function copyFile(task: Task, source: string, target: string, there: Attributes | undefined): void {
  const content = Content.copyOf(readFileSync(source));
  const fd = task.open(target, O_RDWR | O_CREAT, 0o600);
  if (isErrno(fd)) throw new Error(`${target}: ${fd.text}`);
  const old = there === undefined ? Content.empty : task.pread(fd, there.size, 0);
  task.close(fd);
  if (!isErrno(old) && old.equals(content)) return;
  const again = task.open(target, O_RDWR | O_TRUNC);
  if (isErrno(again)) throw new Error(`${target}: ${again.text}`);
  task.pwrite(again, content, 0);
  task.close(again);
}

/** Owner, mode and times, where they differ. */
function applyAttributes(task: Task, target: string, of: Stats): void {
  const now = task.lstat(target);
  if (isErrno(now)) return;
  if (now.uid !== of.uid || now.gid !== of.gid) task.lchown(target, of.uid, of.gid);
  const isLink = (of.mode & S_IFMT) === S_IFLNK;
  if (!isLink && (now.mode & 0o7777) !== (of.mode & 0o7777)) task.chmod(target, of.mode & 0o7777);
  const mtime = nanosOf(of.mtimeMs);
  if (now.mtime.seconds !== mtime.seconds || now.mtime.nanoseconds !== mtime.nanoseconds)
    task.utimens(target, nanosOf(of.atimeMs), mtime, true);
}
