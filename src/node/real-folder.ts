/**
 * A folder of the real machine, copied into a simulated tree: names, types, modes, owners, times, links and contents. What is there already and is the same stays.
 */
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { timeFromNanoseconds } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import {
  type Attributes,
  O_CREAT,
  O_RDWR,
  O_TRUNC,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { removeAll } from "../drivers/files.ts";
import { fileError } from "./input-error.ts";

interface Copy {
  readonly task: Task;
  /** Where the first name of an inode with several was put, by device and number. */
  readonly links: Map<string, string>;
  /** Whose content an inode of the tree has by now, by its number: names that were one file there may be several here. */
  readonly owners: Map<number, string>;
}

/** @throws InputError when the folder cannot be read. */
export function copyRealFolder(task: Task, source: string, target: string): void {
  try {
    copyEntries({ task, links: new Map(), owners: new Map() }, source, target);
    applyAttributes(task, target, lstatSync(source, { bigint: true }));
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
  const of = lstatSync(source, { bigint: true });
  const type = Number(of.mode) & S_IFMT;
  const link = `${of.dev}:${of.ino}`;
  const first = of.nlink > 1n && type !== S_IFDIR ? links.get(link) : undefined;
  if (first !== undefined) {
    if (isFolderAt(task, target)) removeAll(task, target);
    task.unlink(target);
    task.link(first, target);
    return;
  }
  links.set(link, target);
  const there = keptAt(copy, target, { of, link });
  if (type === S_IFDIR) {
    task.mkdir(target, 0o700);
    copyEntries(copy, source, target);
  } else if (type === S_IFREG) copyFile(task, source, target, there);
  else if (type === S_IFLNK) copyLink(task, readlinkSync(source), target);
  else if (there === undefined) task.mknod(target, type | 0o600, deviceOf(of));
  applyAttributes(task, target, of);
  const made = task.lstat(target);
  if (!isErrno(made)) copy.owners.set(made.inodeNumber, link);
}

function isFolderAt(task: Task, path: string): boolean {
  const of = task.lstat(path);
  return !isErrno(of) && (of.mode & S_IFMT) === S_IFDIR;
}

/** What stands at a path and can become the copy; anything else that stands there goes. */
function keptAt(
  { task, owners }: Copy,
  target: string,
  { of, link }: { readonly of: BigIntStats; readonly link: string },
): Attributes | undefined {
  const there = task.lstat(target);
  if (isErrno(there)) return undefined;
  const owner = owners.get(there.inodeNumber);
  const isSame =
    (there.mode & S_IFMT) === (Number(of.mode) & S_IFMT) &&
    there.rdev === deviceOf(of) &&
    (owner === undefined || owner === link);
  if (isSame) return there;
  removeAll(task, target);
  return undefined;
}

/** The device that a node is of, in the form of the simulated kernel; 0 of all else. */
function deviceOf({ rdev, mode }: BigIntStats): number {
  const type = Number(mode) & S_IFMT;
  if (type !== S_IFCHR && type !== S_IFBLK) return 0;
  const wide = Number(rdev);
  return deviceNumber((wide >> 8) & 0xfff, (wide & 0xff) | ((wide >> 12) & 0xfff00));
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
function applyAttributes(task: Task, target: string, of: BigIntStats): void {
  const now = task.lstat(target);
  if (isErrno(now)) return;
  const [uid, gid, mode] = [Number(of.uid), Number(of.gid), Number(of.mode)];
  if (now.uid !== uid || now.gid !== gid) task.lchown(target, uid, gid);
  const isLink = (mode & S_IFMT) === S_IFLNK;
  if (!isLink && (now.mode & 0o7777) !== (mode & 0o7777)) task.chmod(target, mode & 0o7777);
  const mtime = timeFromNanoseconds(of.mtimeNs);
  if (now.mtime.seconds !== mtime.seconds || now.mtime.nanoseconds !== mtime.nanoseconds)
    task.utimens(target, timeFromNanoseconds(of.atimeNs), mtime, true);
}
