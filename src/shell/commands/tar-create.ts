/**
 * tar -c (GNU tar 1.34, src/create.c, buffer.c): every file looked at, opened, and read as far as a record has room.
 */
import { Content } from "../../../sim/core/content.ts";
import { isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { fail } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import type { Process } from "../process.ts";
import { headerOf, type Member, type MemberType, padded } from "../tar-format.ts";
import { sameInode } from "./copy.ts";

/** What tar writes at a time: 20 blocks. */
export const RECORD = 10_240;
const READ = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_NOFOLLOW | fs.O_CLOEXEC;
const END_BLOCKS = 1024;
const TYPES: ReadonlyMap<number, MemberType> = new Map([
  [fs.S_IFREG, "0"],
  [fs.S_IFLNK, "2"],
  [fs.S_IFCHR, "3"],
  [fs.S_IFBLK, "4"],
  [fs.S_IFDIR, "5"],
  [fs.S_IFIFO, "6"],
]);

interface Archive {
  readonly process: Process;
  readonly name: string;
  readonly file: OpenedFile;
  readonly is: fs.Attributes | undefined;
  readonly verbose: boolean;
  readonly flat: boolean;
  /** Names of inodes with several links, by device and number. */
  readonly links: Map<string, string>;
  readonly told: Set<string>;
  /** What has not filled a record. */
  held: Content;
  started: boolean;
  /** It could not be written: nothing is done any more. */
  broken: boolean;
  status: number;
}

/** A file to be put in: its path for calls, and the name that it gets. */
interface Dumped {
  readonly path: string;
  readonly name: string;
}

export interface CreateRequest {
  readonly archive: string;
  readonly file: OpenedFile;
  readonly directory: string | undefined;
  readonly operands: readonly string[];
  readonly verbose: boolean;
  /** Without what directories hold. */
  readonly flat: boolean;
}

/** @returns the status: 2 where something could not be put in */
export function create(process: Process, { archive: name, file, directory, operands, verbose, flat }: CreateRequest): number {
  const looked = process.fstat(file);
  const archive: Archive = {
    process,
    name,
    file,
    is: isErrno(looked) || file.device !== undefined ? undefined : looked,
    verbose,
    flat,
    links: new Map(),
    told: new Set(),
    held: Content.empty,
    started: false,
    broken: false,
    status: 0,
  };
  for (const operand of operands) dump(archive, { path: inside(directory, operand), name: operand });
  add(archive, Content.zeros(END_BLOCKS));
  const over = archive.held.length % RECORD;
  if (over > 0) add(archive, Content.zeros(RECORD - over));
  if (archive.broken) return 2;
  if (archive.status !== 0) fail(process, "tar: Exiting with failure status due to previous errors");
  return archive.status;
}

/** A path as calls have it, that is relative to a directory. */
export function inside(directory: string | undefined, path: string): string {
  if (directory === undefined || path.startsWith("/")) return path;
  return directory.endsWith("/") ? directory + path : `${directory}/${path}`;
}

/** Adds to the archive, and writes what fills records. */
function add(archive: Archive, content: Content): void {
  const { process, file } = archive;
  archive.held = archive.held.length === 0 ? content : Content.concat([archive.held, content]);
  while (!archive.broken && archive.held.length >= RECORD) {
    const written = process.write(file, archive.held.slice(0, RECORD));
    if (isErrno(written)) {
      fail(process, `tar: ${archive.name}: Cannot write`, written);
      fail(process, "tar: Error is not recoverable: exiting now");
      archive.broken = true;
    }
    archive.held = archive.held.slice(RECORD);
  }
}

function refuse(archive: Archive, { path }: Dumped, what: string, errno: Parameters<typeof fail>[2]): void {
  archive.status = 2 * fail(archive.process, `tar: ${path}: Cannot ${what}`, errno);
}

function dump(archive: Archive, at: Dumped): void {
  const { process } = archive;
  if (archive.broken) return;
  const looked = process.lstat(at.path);
  if (isErrno(looked)) {
    refuse(archive, at, "stat", looked);
    return;
  }
  const type = looked.mode & fs.S_IFMT;
  if (type === fs.S_IFSOCK) {
    process.complain(`tar: ${at.path}: socket ignored`);
    return;
  }
  const opens = type === fs.S_IFDIR || (type === fs.S_IFREG && looked.size > 0);
  const file = opens ? process.open(at.path, READ) : undefined;
  if (isErrno(file)) {
    refuse(archive, at, "open", file);
    return;
  }
  if (file !== undefined) process.fstat(file);
  if (archive.is !== undefined && sameInode(looked, archive.is))
    process.complain(`tar: ${at.path}: file is the archive; not dumped`);
  else if (type === fs.S_IFDIR) dumpDirectory(archive, at, looked, file as OpenedFile);
  else dumpOther(archive, at, looked, file);
  if (file !== undefined) process.close(file);
}

function dumpDirectory(archive: Archive, at: Dumped, of: fs.Attributes, file: OpenedFile): void {
  const { process } = archive;
  const slashed = (path: string): string => (path.endsWith("/") ? path : `${path}/`);
  if (archive.flat) {
    begin(archive, { ...memberOf(of), name: slashed(at.name) });
    process.fstat(file);
    return;
  }
  process.fstat(file);
  const entries = process.getdents(file, at.path);
  if (isErrno(entries)) {
    refuse(archive, at, "read directory", entries);
    return;
  }
  begin(archive, { ...memberOf(of), name: slashed(at.name) });
  for (const { name } of entries) dump(archive, { path: slashed(at.path) + name, name: slashed(at.name) + name });
  process.fstat(file);
}

function dumpOther(archive: Archive, at: Dumped, of: fs.Attributes, file: OpenedFile | undefined): void {
  const { process, links } = archive;
  const key = of.nlink > 1 ? `${of.device}:${of.inodeNumber}` : undefined;
  const known = key === undefined ? undefined : links.get(key);
  const member = memberOf(of);
  if (known !== undefined) {
    begin(archive, { ...member, type: "1", name: at.name, link: withoutSlash(archive, known, "hard link targets"), size: 0 });
    return;
  }
  if (key !== undefined) links.set(key, at.name);
  const link = member.type === "2" ? process.readlink(at.path, "readlinkat") : "";
  if (isErrno(link)) {
    refuse(archive, at, "readlink", link);
    return;
  }
  begin(archive, { ...member, name: at.name, link });
  if (member.type !== "0") return;
  if (file === undefined) process.lstat(at.path);
  else {
    addData(archive, at, file, of.size);
    process.fstat(file);
  }
}

function memberOf({ mode, uid, gid, size, mtime, rdev }: fs.Attributes): Member {
  const type = TYPES.get(mode & fs.S_IFMT) ?? "0";
  return { type, name: "", link: "", mode, uid, gid, size: type === "0" ? size : 0, mtime, rdev };
}

function begin(archive: Archive, member: Member): void {
  const { process } = archive;
  if (!archive.started) process.stat("/");
  archive.started = true;
  const name = withoutSlash(archive, member.name, "member names");
  if (archive.verbose) process.print(`${member.name}\n`);
  add(archive, headerOf({ ...member, name }));
}

/** No member begins at the root of a tree. */
function withoutSlash({ process, told }: Archive, name: string, what: string): string {
  const bare = name.replace(/^\/+/, "");
  if (bare !== name && !told.has(what)) process.complain(`tar: Removing leading \`/' from ${what}`);
  if (bare !== name) told.add(what);
  return bare === "" ? "./" : bare;
}

/** A file's bytes: as many at a time as the record has room for. What the file lost meanwhile is zeros. */
function addData(archive: Archive, at: Dumped, file: OpenedFile, size: number): void {
  const { process } = archive;
  for (let left = size; left > 0 && !archive.broken; ) {
    const piece = process.read(file, Math.min(left, RECORD - archive.held.length));
    if (isErrno(piece)) refuse(archive, at, "read", piece);
    const isShort = isErrno(piece) || piece.length === 0;
    const content = isShort ? Content.zeros(left) : piece;
    left -= content.length;
    add(archive, left === 0 ? padded(content, size) : content);
  }
}
