/**
 * mv (coreutils 9.1, src/mv.c and copy_internal): a rename that refuses to replace first; where the name is taken, a look at both and a rename that
 * replaces; and over devices, which is what EXDEV says, a copy with everything preserved and a removal.
 */
import { EEXIST, EINVAL, ENOENT, type Errno, EXDEV, isErrno } from "../../../sim/core/errno.ts";
import { type Attributes, RENAME_NOREPLACE, S_IFDIR } from "../../../sim/vfs/filesystem.ts";
import { baseName, below, type Command, fail, missingOperand, quoted } from "../command.ts";
import { option, type Parsed } from "../options.ts";
import type { Process } from "../process.ts";
import { type Copying, replaceByCopy, sameInode, typeOf } from "./copy.ts";
import { targetDirectory } from "./cp.ts";
import { remove } from "./remove.ts";

interface Moving {
  readonly noClobber: boolean;
  readonly update: boolean;
}

interface Move {
  readonly from: string;
  readonly to: string;
  /** What a rename without replacing gave already; "not tried": none was made. */
  readonly tried: Errno | undefined | "not tried";
  readonly isLast: boolean;
}

/** gnulib's renameatu: a kernel that refuses the flag (EINVAL) is asked whether the name is taken, and renames without it. */
function renameNoReplace(process: Process, from: string, to: string): Errno | undefined {
  const failed = process.rename(from, to, RENAME_NOREPLACE);
  if (failed !== EINVAL) return failed;
  const there = process.lstat(to);
  if (!isErrno(there)) return EEXIST;
  return there === ENOENT ? process.rename(from, to) : there;
}

function copying(): Copying {
  return {
    command: "mv",
    recursive: true,
    dereference: "never",
    preserve: { mode: true, owner: true, times: true, links: true, xattrs: true },
    sparse: "auto",
    reflink: "auto",
    hardLink: false,
    symbolicLink: false,
    noClobber: false,
    update: false,
    force: false,
    removeDestination: false,
    several: false,
    copied: new Map(),
    own: {},
  };
}

/** Moves one operand. @returns the exit status */
function move(process: Process, order: Move, how: Moving): number {
  const { from, to, isLast } = order;
  let failed = order.tried === "not tried" ? renameNoReplace(process, from, to) : order.tried;
  if (failed === undefined) {
    if (!isLast) process.lstat(to);
    return 0;
  }
  if (failed === EEXIST && how.noClobber) return 0;
  const source = process.lstat(from);
  if (isErrno(source)) return fail(process, `mv: cannot stat ${quoted(from)}`, source);
  const target = process.lstat(to);
  if (isErrno(target) && target !== ENOENT) return fail(process, `mv: cannot stat ${quoted(to)}`, target);
  if (!isErrno(target)) {
    const met = meet(process, order, { source, target }, how);
    if (met !== undefined) return met;
    failed = process.rename(from, to);
    if (failed === undefined) return 0;
  }
  if (failed === EINVAL) return fail(process, `mv: cannot move ${quoted(from)} to a subdirectory of itself, ${quoted(to)}`);
  if (failed !== EXDEV) return fail(process, `mv: cannot move ${quoted(from)} to ${quoted(to)}`, failed);
  const copied = replaceByCopy(process, { from, to, destination: "none", onCommandLine: true }, source, copying());
  return copied ? remove(process, from, { name: "mv", recursive: true, force: true, emptyDirectories: false }) : 1;
}

interface Ends {
  readonly source: Attributes;
  readonly target: Attributes;
}

/** What stands at the destination may forbid the move. */
function meet(process: Process, { from, to }: Move, { source, target }: Ends, how: Moving): number | undefined {
  if (sameInode(source, target) && (from === to || source.nlink === 1))
    return fail(process, `mv: ${quoted(from)} and ${quoted(to)} are the same file`);
  const directories = [typeOf(source) === S_IFDIR, typeOf(target) === S_IFDIR];
  if (how.update && directories[0] === false && !isNewer(source, target)) return 0;
  if (directories[0] === true && directories[1] === false)
    return fail(process, `mv: cannot overwrite non-directory ${quoted(to)} with directory ${quoted(from)}`);
  if (directories[0] === false && directories[1] === true)
    return fail(process, `mv: cannot overwrite directory ${quoted(to)} with non-directory`);
  return undefined;
}

function isNewer({ mtime }: Attributes, other: Attributes): boolean {
  if (mtime.seconds !== other.mtime.seconds) return mtime.seconds > other.mtime.seconds;
  return mtime.nanoseconds > other.mtime.nanoseconds;
}

export const mv: Command = {
  name: "mv",
  about: "renames; over devices it copies and removes",
  options: [
    option("force", "-f --force"),
    option("no-clobber", "-n --no-clobber"),
    option("update", "-u --update"),
    option("directory", "-t --target-directory", "value"),
    option("no-directory", "-T --no-target-directory"),
  ],
  run: (process, given) => {
    const { values, operands } = given;
    const named = values.get("directory");
    const [first] = operands;
    if (first === undefined) return missingOperand(process, "mv");
    if (operands.length === 1 && named === undefined) return missingOperand(process, "mv", first);
    const moves = movesOf(process, given);
    if (moves === undefined) return 1;
    const how = { noClobber: values.has("no-clobber"), update: values.has("update") };
    return moves.reduce((status, order) => Math.max(status, move(process, order, how)), 0);
  },
};

function movesOf(process: Process, { values, operands }: Parsed): readonly Move[] | undefined {
  const named = values.get("directory");
  const last = named ?? operands.at(-1) ?? "";
  const files = named === undefined ? operands.slice(0, -1) : operands;
  const [first = ""] = files;
  if (values.has("no-directory")) {
    if (files.length === 1) return [{ from: first, to: last, tried: "not tried", isLast: true }];
    fail(process, `mv: extra operand ${quoted(operands[2] ?? "")}\nTry 'mv --help' for more information.`);
    return undefined;
  }
  const only = named === undefined && files.length === 1;
  const tried = only ? renameNoReplace(process, first, last) : undefined;
  if (only && tried === undefined) return [{ from: first, to: last, tried, isLast: true }];
  const found = targetDirectory(process, last);
  if ("directory" in found) {
    return files.map((from, index) => ({
      from,
      to: below(found.directory, baseName(from)),
      tried: "not tried",
      isLast: index === files.length - 1,
    }));
  }
  if (only) return [{ from: first, to: last, tried, isLast: true }];
  fail(process, `mv: target ${named === undefined ? "" : "directory "}${quoted(last)}`, found.errno);
  return undefined;
}
