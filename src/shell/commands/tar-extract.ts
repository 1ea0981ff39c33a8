/**
 * tar -x (GNU tar 1.34, src/extract.c, by root: owners and modes as the archive has them): a file is made with its owner's permissions alone, and gets
 * times, owner and mode when it is filled; a directory when the archive goes on elsewhere; a symbolic link that leads out of the tree stands as an
 * empty file until the end.
 */
import { EEXIST, ENOENT, type Errno, isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { fail, quoted } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import type { Process } from "../process.ts";
import type { Member } from "../tar-format.ts";
import { sameInode } from "./copy.ts";
import { inside } from "./tar-create.ts";
import type { TarReader } from "./tar-read.ts";

const MAKE = fs.O_WRONLY | fs.O_CREAT | fs.O_EXCL | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_CLOEXEC;
const PLACEHOLDER = fs.O_WRONLY | fs.O_CREAT | fs.O_EXCL;
/** The bits with which things are made before they have their owner. */
const OWNERS = 0o700;
const NODE_TYPES: Readonly<Record<string, number>> = { "3": fs.S_IFCHR, "4": fs.S_IFBLK, "6": fs.S_IFIFO };

/** A directory that gets its times, owner and mode later; undefined for one that stands between. */
interface Delayed {
  readonly path: string;
  readonly member: Member | undefined;
  /** It was there, with this mode. */
  readonly found: number | undefined;
  /** Symbolic links are made in it at the end, so that it waits for them. */
  afterLinks: boolean;
}

interface Extraction {
  readonly process: Process;
  readonly directory: string | undefined;
  readonly delayed: Delayed[];
  readonly links: { readonly path: string; readonly member: Member }[];
  status: number;
}

export interface ExtractRequest {
  readonly directory: string | undefined;
  /** Members to be taken out; none for all. */
  readonly isWanted: (name: string) => boolean;
  readonly told: (name: string) => void;
}

/** @returns 2 where something could not be taken out */
export function extract(process: Process, reader: TarReader, { directory, isWanted, told }: ExtractRequest): number {
  const extraction: Extraction = { process, directory, delayed: [], links: [], status: 0 };
  let bared = false;
  for (let member = reader.next(); member !== undefined; member = reader.next()) {
    if (member === "none") {
      extraction.status = 2 * fail(process, "tar: Skipping to next header");
      break;
    }
    if (!isWanted(member.name)) continue;
    told(member.name);
    const name = member.name.replace(/^\/+/, "");
    if (name !== member.name && !bared) process.complain("tar: Removing leading `/' from member names");
    bared ||= name !== member.name;
    if (name.split("/").includes("..")) {
      extraction.status = 2 * fail(process, `tar: ${member.name}: Member name contains '..'`);
      continue;
    }
    const bare = name.replace(/(?<=.)\/+$/, "");
    const path = inside(directory, bare === "" ? "." : bare);
    applyDelayed(extraction, path);
    make(extraction, reader, path, member);
  }
  finish(extraction);
  return extraction.status;
}

/** What waited for the archive's end: links that lead out of the tree, and directories. */
function finish(extraction: Extraction): void {
  const { process, links } = extraction;
  applyDelayed(extraction, undefined);
  for (const { path, member } of links.toReversed()) {
    const there = process.lstat(path);
    if (isErrno(there) || (there.mode & fs.S_IFMT) !== fs.S_IFREG || there.size > 0) continue;
    process.unlinkat(path);
    const failed = process.symlink(member.link, path);
    if (failed === undefined) setByPath(extraction, path, member, { made: undefined });
    else refuse(extraction, member, `create symlink to ${quoted(member.link)}`, failed);
  }
  for (const last of extraction.delayed.reverse()) {
    process.lstat(last.path);
    complete(extraction, last);
  }
}

function refuse(extraction: Extraction, { name }: Member, what: string, errno: Errno): void {
  extraction.status = 2 * fail(extraction.process, `tar: ${name.replace(/(?<=.)\/+$/, "")}: Cannot ${what}`, errno);
}

/** Directories that the archive has left get their attributes; all that need not wait for links at its end. @param path - of the next member */
function applyDelayed(extraction: Extraction, path: string | undefined): void {
  const { delayed } = extraction;
  for (let last = delayed.at(-1); last !== undefined; last = delayed.at(-1)) {
    const isAbove = path !== undefined && (path === last.path || path.startsWith(`${last.path}/`));
    if (isAbove || last.afterLinks) return;
    delayed.pop();
    complete(extraction, last);
  }
}

function complete(extraction: Extraction, { path, member, found }: Delayed): void {
  if (member !== undefined) setByPath(extraction, path, member, { made: member.mode & OWNERS, found });
}

/** Times, owner and mode of what has a name. @param how - the mode that it was made with, or found with */
function setByPath(
  { process }: Extraction,
  path: string,
  member: Member,
  { made, found }: { readonly made: number | undefined; readonly found?: number | undefined },
): void {
  const follows = found !== undefined;
  process.utimens(path, "OMIT", member.mtime, !follows);
  process.chown(path, member.uid, member.gid, follows);
  const now = found ?? made;
  if (now !== member.mode) process.lchmod(path, member.mode);
}

/** Does what makes a name: directories above it are made if there are none, what is there is removed first. */
function making<T>(extraction: Extraction, path: string, act: () => T | Errno): T | Errno {
  const { process } = extraction;
  const made = act();
  if (made === ENOENT) return makeParents(extraction, path) ? act() : made;
  if (made !== EEXIST) return made;
  const failed = process.unlinkat(path);
  return failed === undefined ? act() : made;
}

/** The directories of a path that are not there, from the first that can be made on. @returns whether one was made */
function makeParents(extraction: Extraction, path: string): boolean {
  const { process, delayed, directory } = extraction;
  const from = directory === undefined ? 0 : inside(directory, "").length;
  let some = false;
  for (let at = path.indexOf("/", from); at > 0; at = path.indexOf("/", at + 1)) {
    const parent = path.slice(0, at);
    if (process.mkdir(parent, 0o777 & ~process.task.umask, "mkdirat") !== undefined) continue;
    some = true;
    delayed.push({ path: parent, member: undefined, found: undefined, afterLinks: false });
  }
  return some;
}

function make(extraction: Extraction, reader: TarReader, path: string, member: Member): void {
  const { process } = extraction;
  if (member.type === "5") {
    makeDirectory(extraction, path, member);
    return;
  }
  if (member.type === "1") {
    makeLink(extraction, path, member);
    return;
  }
  if (member.type === "2") {
    makeSymlink(extraction, path, member);
    return;
  }
  const nodeType = NODE_TYPES[member.type];
  if (nodeType === undefined) {
    makeFile(extraction, reader, path, member);
    return;
  }
  const failed = making(extraction, path, () => process.mknod(path, nodeType | (member.mode & OWNERS), member.rdev));
  if (failed !== undefined) {
    refuse(extraction, member, "mknod", failed);
    return;
  }
  setByPath(extraction, path, member, { made: member.mode & OWNERS });
}

function makeDirectory(extraction: Extraction, path: string, member: Member): void {
  const { process, delayed } = extraction;
  const mkdir = (): Errno | undefined => process.mkdir(path, member.mode & OWNERS, "mkdirat");
  let failed = mkdir();
  if (failed === ENOENT && makeParents(extraction, path)) failed = mkdir();
  let found: number | undefined;
  if (failed === EEXIST) {
    const there = process.lstat(path);
    if (!isErrno(there) && (there.mode & fs.S_IFMT) === fs.S_IFDIR) found = there.mode & 0o7777;
    else if (process.unlinkat(path) === undefined) failed = mkdir();
  }
  if (failed !== undefined && found === undefined) {
    refuse(extraction, member, "mkdir", failed);
    return;
  }
  delayed.push({ path, member, found, afterLinks: false });
}

function makeLink(extraction: Extraction, path: string, member: Member): void {
  const { process, directory, links } = extraction;
  const target = inside(directory, member.link.replace(/^\/+/, ""));
  const link = (): Errno | undefined => {
    const linked = process.link(target, path);
    // Whether the target is a placeholder: then the new name would have to become a symbolic link too.
    if (linked === undefined && links.length > 0) process.lstat(target);
    return linked;
  };
  if (links.length > 0) process.lstat(target);
  let failed = link();
  if (failed === ENOENT && makeParents(extraction, path)) failed = link();
  if (failed === EEXIST) {
    const [one, other] = [process.lstat(target), process.lstat(path)];
    if (!isErrno(one) && !isErrno(other) && sameInode(one, other)) return;
    if (process.unlinkat(path) === undefined) failed = link();
  }
  if (failed !== undefined) refuse(extraction, member, `hard link to ${quoted(member.link)}`, failed);
}

function makeSymlink(extraction: Extraction, path: string, member: Member): void {
  const { process, links, delayed } = extraction;
  const leadsOut = member.link.startsWith("/") || member.link.split("/").includes("..");
  if (!leadsOut) {
    const failed = making(extraction, path, () => process.symlink(member.link, path));
    if (failed !== undefined) {
      refuse(extraction, member, `create symlink to ${quoted(member.link)}`, failed);
      return;
    }
    setByPath(extraction, path, member, { made: undefined });
    return;
  }
  const file = making(extraction, path, () => process.open(path, PLACEHOLDER, 0));
  if (isErrno(file)) {
    refuse(extraction, member, "open", file);
    return;
  }
  process.fstat(file);
  process.close(file);
  links.push({ path, member });
  for (const one of delayed.toReversed()) {
    if (!path.startsWith(`${one.path}/`) || one.afterLinks) continue;
    one.afterLinks = true;
    process.lstat(one.path);
  }
}

function makeFile(extraction: Extraction, reader: TarReader, path: string, member: Member): void {
  const { process } = extraction;
  const made = member.mode & OWNERS;
  const file = making(extraction, path, () => process.open(path, MAKE, made));
  if (isErrno(file)) {
    refuse(extraction, member, "open", file);
    return;
  }
  fill(extraction, reader, file, member);
  process.futimens(file, "OMIT", member.mtime);
  process.fchown(file, member.uid, member.gid);
  if (made !== member.mode) process.fchmod(file, member.mode);
  process.close(file);
}

/** As many bytes at a time as a record has. */
function fill(extraction: Extraction, reader: TarReader, file: OpenedFile, member: Member): void {
  for (let piece = reader.data(); piece.length > 0; piece = reader.data()) {
    const written = extraction.process.write(file, piece);
    if (!isErrno(written)) continue;
    refuse(extraction, member, "write", written);
    return;
  }
}
