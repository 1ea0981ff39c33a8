/**
 * find (findutils 4.9, by fts): what it asks of a name and a type comes first, what needs a stat after it.
 */
import { type Errno, isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { type Command, fail, quoted } from "../command.ts";
import type { Parsed } from "../options.ts";
import type { Process } from "../process.ts";
import { TYPE_LETTERS } from "./listing.ts";

const READ = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_NOFOLLOW | fs.O_CLOEXEC | fs.O_DIRECTORY;
const LOOK_IN = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_CLOEXEC | fs.O_DIRECTORY;
/** The units of -size: blocks, bytes, words of two, and powers of 1024. */
const SIZE_UNITS: Readonly<Record<string, number>> = { "": 512, b: 512, c: 1, w: 2, k: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** One question of a file whose attributes are known. */
type Test = (process: Process, path: string, of: fs.Attributes) => boolean;

interface Finding {
  /** Questions of the name and the type. */
  readonly type: string | undefined;
  readonly name: RegExp | undefined;
  readonly tests: readonly Test[];
  readonly deletes: boolean;
  readonly prints: boolean;
  readonly depthMax: number;
}

/** A size rounded up to its unit: N, +N for more, -N for less. @returns a sentence for no size */
function sizeTest(text: string): Test | string {
  const [, sign = "", digits, unit = ""] = /^([+-]?)(\d+)(\D?)$/.exec(text) ?? [];
  if (digits === undefined) return `Invalid argument \`${text}' to -size`;
  if (!Object.hasOwn(SIZE_UNITS, unit)) return `invalid -size type \`${unit}'`;
  const [count, bytes] = [Number(digits), SIZE_UNITS[unit] ?? 1];
  return (_process, _path, { size }) => {
    const units = Math.ceil(size / bytes);
    return sign === "+" ? units > count : sign === "-" ? units < count : units === count;
  };
}

/** A regular file without bytes, or a directory that nothing is seen in. */
const isEmpty: Test = (process, path, { mode, size }) => {
  if ((mode & fs.S_IFMT) === fs.S_IFREG) return size === 0;
  if ((mode & fs.S_IFMT) !== fs.S_IFDIR) return false;
  const directory = process.open(path, LOOK_IN);
  if (isErrno(directory)) {
    fail(process, `find: ${quoted(path)}`, directory);
    return false;
  }
  process.fstat(directory);
  const some = process.getdents(directory, path, false);
  const isBare = !isErrno(some) && some.length === 0;
  if (isBare) process.endOfList(path);
  process.close(directory);
  return isBare;
};

/** @returns the test, or the errno of the file that it asks for */
function newerTest(process: Process, path: string): Test | Errno {
  const than = process.lstat(path);
  if (isErrno(than)) return than;
  return (_process, _path, { mtime }) =>
    mtime.seconds > than.mtime.seconds || (mtime.seconds === than.mtime.seconds && mtime.nanoseconds > than.mtime.nanoseconds);
}

/** What a predicate with a value asks; a sentence for one that is wrong. */
function withValue(process: Process, word: string, value: string): Partial<Omit<Finding, "tests">> | Test | string {
  if (word === "-type") return /^[bcdpfls]$/.test(value) ? { type: value } : `Unknown argument to -type: ${value}`;
  if (word === "-name") return { name: globPattern(value) };
  if (word === "-maxdepth") {
    const expected = `Expected a positive decimal integer argument to -maxdepth, but got ${quoted(value)}`;
    return /^\d+$/.test(value) ? { depthMax: Number(value) } : expected;
  }
  if (word === "-size") return sizeTest(value);
  const than = newerTest(process, value);
  return isErrno(than) ? `${quoted(value)}: ${than.text}` : than;
}

const VALUED = new Set(["-type", "-name", "-maxdepth", "-size", "-newer"]);

/** What find's words ask; a sentence for one that is not known. */
function findingOf(process: Process, words: readonly string[]): Finding | string {
  let asked: Omit<Finding, "tests"> = {
    type: undefined,
    name: undefined,
    deletes: false,
    prints: false,
    depthMax: Number.POSITIVE_INFINITY,
  };
  const tests: Test[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "-delete") asked = { ...asked, deletes: true };
    else if (word === "-print") asked = { ...asked, prints: true };
    else if (word === "-empty") tests.push(isEmpty);
    else {
      if (!VALUED.has(word)) return `unknown predicate \`${word}'`;
      const value = words[++at];
      if (value === undefined) return `missing argument to \`${word}'`;
      const made = withValue(process, word, value);
      if (typeof made === "string") return made;
      if (typeof made === "function") tests.push(made);
      else asked = { ...asked, ...made };
    }
  }
  return { ...asked, tests, prints: asked.prints || !asked.deletes };
}

/** A pattern of file names (fnmatch) as a regular expression over the whole name. */
export function globPattern(pattern: string): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const unit = pattern[at] ?? "";
    const close = unit === "[" ? pattern.indexOf("]", at + 2) : -1;
    if (unit === "*") source += "[^/]*";
    else if (unit === "?") source += "[^/]";
    else if (close > 0) {
      source += `[${pattern
        .slice(at + 1, close)
        .replace(/^!/, "^")
        .replaceAll("\\", "\\\\")}]`;
      at = close;
    } else source += unit.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  }
  return new RegExp(`^${source}$`, "su");
}

/** A file that the walk has come to. */
interface Found {
  readonly path: string;
  /** As the calls have it: find stands where it was started. */
  readonly relative: string;
  readonly type: number;
  readonly depth: number;
  /** What a look at it told, if there was one. */
  attributes: fs.Attributes | undefined;
}

function matches(process: Process, found: Found, how: Finding): boolean {
  const { path, relative, type } = found;
  const name = path.slice(path.replace(/\/+$/, "").lastIndexOf("/") + 1);
  if (how.name !== undefined && !how.name.test(name)) return false;
  if (how.type !== undefined && how.type !== (TYPE_LETTERS.get(type) ?? "f")) return false;
  if (how.tests.length === 0) return true;
  if (found.attributes === undefined) {
    const looked = process.lstat(relative);
    if (isErrno(looked)) return false;
    found.attributes = looked;
  }
  const { attributes } = found;
  return how.tests.every((test) => test(process, relative, attributes));
}

/** What is done to a file that is asked for. @returns the status */
function act(process: Process, { path, type }: Found, how: Finding): number {
  if (how.deletes && path !== ".") {
    const failed = process.unlinkat(path, type === fs.S_IFDIR);
    if (failed !== undefined) return fail(process, `find: cannot delete ${quoted(path)}`, failed);
  }
  if (how.prints) process.print(`${path}\n`);
  return 0;
}

/** A directory's contents come before it where something is deleted (-delete means -depth). */
function visit(process: Process, found: Found, how: Finding): number {
  let status = 0;
  if (!how.deletes && matches(process, found, how)) status = act(process, found, how);
  if (found.type === fs.S_IFDIR && found.depth < how.depthMax) status = Math.max(status, visitBelow(process, found, how));
  if (how.deletes && matches(process, found, how)) status = Math.max(status, act(process, found, how));
  return status;
}

function visitBelow(process: Process, found: Found, how: Finding): number {
  const { path, relative, depth } = found;
  if (depth > 0 && found.attributes === undefined) {
    const looked = process.lstat(relative);
    if (!isErrno(looked)) found.attributes = looked;
  }
  const directory = process.open(relative, READ);
  if (isErrno(directory)) return fail(process, `find: ${quoted(path)}`, directory);
  process.fstat(directory);
  process.lstat(relative);
  const entries = process.getdents(directory, relative);
  process.close(directory);
  let status = 0;
  for (const entry of isErrno(entries) ? [] : entries) {
    const inner = path.endsWith("/") ? path + entry.name : `${path}/${entry.name}`;
    const child = {
      path: inner,
      relative: inner.replace(/^\.\//, ""),
      type: entry.type,
      depth: depth + 1,
      attributes: undefined,
    };
    status = Math.max(status, visit(process, child, how));
  }
  return status;
}

export const find: Command = {
  name: "find",
  about: "walks trees: -name PATTERN, -type f|d|l, -size N[ckMG], -empty, -newer FILE, -maxdepth N, -print, -delete",
  options: [],
  verbatim: true,
  run: (process, { operands }: Parsed) => {
    const first = operands.findIndex((word) => word.startsWith("-"));
    const paths = first < 0 ? operands : operands.slice(0, first);
    const here = process.open(".", fs.O_RDONLY | fs.O_CLOEXEC);
    const how = findingOf(process, first < 0 ? [] : operands.slice(first));
    if (typeof how === "string") return fail(process, `find: ${how}`);
    let status = 0;
    for (const path of paths.length === 0 ? ["."] : paths) {
      const found = process.lstat(path);
      if (isErrno(found)) status = fail(process, `find: ${quoted(path)}`, found);
      else {
        const start = { path, relative: path.replace(/^\.\//, ""), type: found.mode & fs.S_IFMT, depth: 0, attributes: found };
        status = Math.max(status, visit(process, start, how));
      }
    }
    if (!isErrno(here)) process.close(here);
    return status;
  },
};
