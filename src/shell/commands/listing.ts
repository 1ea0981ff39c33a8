/**
 * ls and stat (coreutils 9.1, src/ls.c, stat.c).
 */
import { isErrno } from "../../../sim/core/errno.ts";
import { majorOf, minorOf } from "../../../sim/core/units.ts";
import type { DirectoryEntry } from "../../../sim/vfs/directory.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { type Command, fail, missingOperand, quoted } from "../command.ts";
import { option } from "../options.ts";
import type { Process } from "../process.ts";

const READ = fs.O_RDONLY | fs.O_NONBLOCK | fs.O_CLOEXEC | fs.O_DIRECTORY;
/** The letter of each type of file but regular ones. */
export const TYPE_LETTERS: ReadonlyMap<number, string> = new Map([
  [fs.S_IFDIR, "d"],
  [fs.S_IFLNK, "l"],
  [fs.S_IFCHR, "c"],
  [fs.S_IFBLK, "b"],
  [fs.S_IFIFO, "p"],
  [fs.S_IFSOCK, "s"],
]);

/** Order by bytes, as LC_ALL=C has it. */
export function byBytes(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** "drwxr-xr-x". */
function modeLetters(mode: number): string {
  const bits = ["---", "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx"];
  const three = [6, 3, 0].map((shift) => bits[(mode >> shift) & 7] ?? "---");
  const marks: readonly (readonly [number, number, string])[] = [
    [0o4000, 0, "s"],
    [0o2000, 1, "s"],
    [0o1000, 2, "t"],
  ];
  for (const [bit, index, letter] of marks) {
    if ((mode & bit) === 0) continue;
    const now = three[index] ?? "---";
    three[index] = now.slice(0, 2) + (now.endsWith("x") ? letter : letter.toUpperCase());
  }
  return (TYPE_LETTERS.get(mode & fs.S_IFMT) ?? "-") + three.join("");
}

interface Listing {
  readonly hidden: "none" | "almost all" | "all";
  readonly long: boolean;
  readonly inode: boolean;
  readonly recursive: boolean;
}

interface Row {
  readonly name: string;
  readonly path: string;
  readonly attributes: ShownAttributes | undefined;
  readonly inode: number;
}

interface ShownAttributes extends fs.Attributes {
  /** Whether an access control list says more than the mode. */
  readonly hasList?: boolean;
}

function lookLong(process: Process, path: string): ShownAttributes | undefined {
  const found = process.statx(path, false);
  if (isErrno(found)) return undefined;
  process.getxattr(path, "security.selinux", false);
  if ((found.mode & fs.S_IFMT) === fs.S_IFLNK) return found;
  const isDirectory = (found.mode & fs.S_IFMT) === fs.S_IFDIR;
  const hasList =
    !isErrno(process.getxattr(path, "system.posix_acl_access")) ||
    (isDirectory && !isErrno(process.getxattr(path, "system.posix_acl_default")));
  return { ...found, hasList };
}

function longLines(process: Process, rows: readonly Row[]): readonly string[] {
  const width = (cells: readonly string[]): number => Math.max(0, ...cells.map((cell) => cell.length));
  const anyHasList = rows.some(({ attributes }) => attributes?.hasList === true);
  const all = rows.flatMap(({ name, path, attributes }) => {
    if (attributes === undefined) return [];
    const mark = anyHasList ? (attributes.hasList === true ? "+" : " ") : "";
    const { mode, rdev, size } = attributes;
    const special = (mode & fs.S_IFMT) === fs.S_IFCHR || (mode & fs.S_IFMT) === fs.S_IFBLK;
    const target = (mode & fs.S_IFMT) === fs.S_IFLNK ? process.readlink(path) : undefined;
    const shown = target === undefined || isErrno(target) ? name : `${name} -> ${target}`;
    const amount = special ? `${majorOf(rdev)}, ${minorOf(rdev)}` : String(size);
    return [[modeLetters(mode) + mark, String(attributes.nlink), String(attributes.uid), String(attributes.gid), amount, shown]];
  });
  const widths = [0, 1, 2, 3, 4].map((column) => width(all.map((cells) => cells[column] ?? "")));
  return all.map((cells) =>
    cells.map((cell, column) => (column === 5 || column === 0 ? cell : cell.padStart(widths[column] ?? 0))).join(" "),
  );
}

function print(process: Process, rows: readonly Row[], how: Listing): void {
  const sorted = [...rows].sort((one, other) => byBytes(one.name, other.name));
  const lines = how.long ? longLines(process, sorted) : sorted.map(({ name, inode }) => (how.inode ? `${inode} ${name}` : name));
  if (lines.length > 0) process.print(`${lines.join("\n")}\n`);
}

interface Directory {
  readonly path: string;
  readonly heading: boolean;
  readonly first: boolean;
}

function listDirectory(process: Process, { path, heading, first }: Directory, how: Listing): number {
  const directory = process.open(path, READ);
  if (isErrno(directory)) return 2 * fail(process, `ls: cannot open directory ${quoted(path)}`, directory);
  process.fstat(directory);
  if (how.recursive) process.statx(`${path}/`, true);
  const entries = process.getdents(directory, path);
  process.close(directory);
  if (isErrno(entries)) return 2 * fail(process, `ls: reading directory ${quoted(path)}`, entries);
  const shown = entries.filter(({ name }) => how.hidden !== "none" || !name.startsWith("."));
  const below = (name: string): string =>
    path === "." && !how.recursive ? name : path.endsWith("/") ? path + name : `${path}/${name}`;
  const rows = shown.map((entry): Row => rowOf(process, entry, below(entry.name), how));
  if (how.hidden === "all") {
    rows.push(
      ...[".", ".."].map((name): Row => {
        const attributes = how.long ? lookLong(process, below(name)) : undefined;
        return { name, path: below(name), attributes, inode: 0 };
      }),
    );
  }
  if (heading) process.print(`${first ? "" : "\n"}${path}:\n`);
  if (how.long)
    process.print(`total ${rows.reduce((sum, { attributes }) => sum + Math.ceil((attributes?.blocks ?? 0) / 2), 0)}\n`);
  print(process, rows, how);
  if (!how.recursive) return 0;
  const directories = shown.filter(({ type }) => type === fs.S_IFDIR).map(({ name }) => below(name));
  let status = 0;
  for (const inner of directories.sort(byBytes))
    status = Math.max(status, listDirectory(process, { path: inner, heading: true, first: false }, how));
  return status;
}

function rowOf(process: Process, { name, inodeNumber }: DirectoryEntry, path: string, how: Listing): Row {
  return { name, path, attributes: how.long ? lookLong(process, path) : undefined, inode: inodeNumber };
}

export const ls: Command = {
  name: "ls",
  about: "lists directories: -a, -A, -l, -i, -d, -R, -1",
  options: [
    option("all", "-a --all"),
    option("almost", "-A --almost-all"),
    option("long", "-l"),
    option("inode", "-i --inode"),
    option("directory", "-d --directory"),
    option("recursive", "-R --recursive"),
    option("one", "-1"),
  ],
  run: (process, { values, operands }) => {
    const how: Listing = {
      hidden: values.has("all") ? "all" : values.has("almost") ? "almost all" : "none",
      long: values.has("long"),
      inode: values.has("inode"),
      recursive: values.has("recursive"),
    };
    if (operands.length === 0 && !values.has("directory"))
      return listDirectory(process, { path: ".", heading: how.recursive, first: true }, how);
    return listOperands(process, operands.length === 0 ? ["."] : operands, how, values.has("directory"));
  },
};

function listOperands(process: Process, operands: readonly string[], how: Listing, themselves: boolean): number {
  const files: Row[] = [];
  const directories: string[] = [];
  let status = 0;
  for (const path of operands) {
    const followed = themselves || how.long ? undefined : process.statx(path, true);
    const isDirectory = followed !== undefined && !isErrno(followed) && (followed.mode & fs.S_IFMT) === fs.S_IFDIR;
    if (isDirectory) {
      directories.push(path);
      continue;
    }
    const found = how.long ? lookLong(process, path) : process.statx(path, false);
    if (found === undefined || isErrno(found)) {
      const errno = found === undefined ? process.task.lstat(path) : found;
      status = 2 * fail(process, `ls: cannot access ${quoted(path)}`, isErrno(errno) ? errno : undefined);
    } else if (how.long && !themselves && (found.mode & fs.S_IFMT) === fs.S_IFDIR) directories.push(path);
    else files.push({ name: path, path, attributes: found, inode: found.inodeNumber });
  }
  print(process, files, how);
  const many = operands.length > 1 || how.recursive;
  for (const [index, path] of directories.sort(byBytes).entries()) {
    const first = index === 0 && files.length === 0;
    status = Math.max(status, listDirectory(process, { path, heading: many, first }, how));
  }
  return status;
}

const TYPE_WORDS: ReadonlyMap<number, string> = new Map([
  [fs.S_IFDIR, "directory"],
  [fs.S_IFLNK, "symbolic link"],
  [fs.S_IFCHR, "character special file"],
  [fs.S_IFBLK, "block special file"],
  [fs.S_IFIFO, "fifo"],
  [fs.S_IFSOCK, "socket"],
]);

/** One directive of stat's format; undefined for one that this stat does not know. */
function directive(letter: string, path: string, of: fs.Attributes): string | undefined {
  const empty = (of.mode & fs.S_IFMT) === fs.S_IFREG && of.size === 0;
  const known: Readonly<Record<string, string>> = {
    n: path,
    s: String(of.size),
    b: String(of.blocks),
    B: "512",
    o: String(of.blockSize),
    a: (of.mode & 0o7777).toString(8),
    A: modeLetters(of.mode),
    f: of.mode.toString(16),
    F: TYPE_WORDS.get(of.mode & fs.S_IFMT) ?? (empty ? "regular empty file" : "regular file"),
    h: String(of.nlink),
    i: String(of.inodeNumber),
    d: String(of.device),
    u: String(of.uid),
    g: String(of.gid),
    X: String(of.atime.seconds),
    Y: String(of.mtime.seconds),
    Z: String(of.ctime.seconds),
    "%": "%",
  };
  return Object.hasOwn(known, letter) ? known[letter] : undefined;
}

export const stat: Command = {
  name: "stat",
  about: "shows attributes: -c FORMAT with %s %a %F %n %h %i %b %u %g %Y",
  options: [option("format", "-c --format", "value"), option("follow", "-L --dereference")],
  run: (process, { values, operands }) => {
    if (operands.length === 0) return missingOperand(process, "stat", undefined, "");
    const format = values.get("format") ?? "%n: %F, %s bytes, %b blocks, mode %a, links %h, owner %u:%g";
    let status = 0;
    for (const path of operands) {
      const found = process.statx(path, values.has("follow"));
      if (isErrno(found)) status = fail(process, `stat: cannot statx ${quoted(path)}`, found);
      else process.print(`${format.replace(/%(.)/g, (whole, letter: string) => directive(letter, path, found) ?? whole)}\n`);
    }
    return status;
  },
};
