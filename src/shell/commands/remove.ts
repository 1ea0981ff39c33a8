/**
 * rm and rmdir, and the removal at the end of a move (coreutils 9.1, src/remove.c; gnulib's fts).
 *
 * rm walks a tree with fts: a directory is opened once to see whether it is empty, and a second time to be read; a file whose type the directory
 * tells is unlinked without a look at it.
 */
import { EISDIR, ENOENT, ENOTDIR, isErrno } from "../../../sim/core/errno.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  S_IFDIR,
  S_IFMT,
} from "../../../sim/vfs/filesystem.ts";
import { below, type Command, fail, missingOperand, quoted } from "../command.ts";
import { option } from "../options.ts";
import type { Process } from "../process.ts";

const LOOK = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_DIRECTORY;
/** fts sorts a directory of more entries than this by inode number (gnulib, FTS_INODE_SORT_DIR_ENTRIES_THRESHOLD). */
const SORTED_FROM = 10_000;

/** How rm removes. */
export interface Removal {
  /** The command whose name messages have. */
  readonly name: string;
  readonly recursive: boolean;
  readonly force: boolean;
  readonly emptyDirectories: boolean;
}

/** Removes one operand. @returns the exit status. */
export function remove(process: Process, path: string, how: Removal): number {
  const found = process.lstat(path);
  if (isErrno(found)) {
    const failed = process.unlinkat(path);
    if (failed === undefined || (how.force && (failed === ENOENT || failed === ENOTDIR))) return 0;
    return fail(process, `${how.name}: cannot remove ${quoted(path)}`, failed);
  }
  if ((found.mode & S_IFMT) === S_IFDIR) return removeDirectory(process, path, how);
  return unlink(process, path, how, false);
}

function unlink(process: Process, path: string, how: Removal, directory: boolean): number {
  const failed = process.unlinkat(path, directory);
  if (failed === undefined || (how.force && failed === ENOENT)) return 0;
  return fail(process, `${how.name}: cannot remove ${quoted(path)}`, failed);
}

function removeDirectory(process: Process, path: string, how: Removal): number {
  if (!how.recursive && !how.emptyDirectories) return fail(process, `${how.name}: cannot remove ${quoted(path)}`, EISDIR);
  const looked = process.list(path, LOOK, { whole: false });
  const isEmpty = !isErrno(looked) && looked.length === 0;
  if (isEmpty) process.endOfList(path);
  if (!how.recursive) {
    if (isEmpty && !isErrno(process.list(path, LOOK))) return unlink(process, path, how, true);
    return isEmpty ? 0 : unlink(process, path, how, true);
  }
  if (isEmpty) return unlink(process, path, how, true);
  const entries = process.list(path, LOOK | O_CLOEXEC);
  if (isErrno(entries)) return fail(process, `${how.name}: cannot remove ${quoted(path)}`, entries);
  if (entries.length > SORTED_FROM) entries.sort((one, other) => one.inodeNumber - other.inodeNumber);
  let status = 0;
  for (const { name, type } of entries) {
    const inner = below(path, name);
    const ended = type === S_IFDIR ? removeInner(process, inner, how) : unlink(process, inner, how, false);
    status = Math.max(status, ended);
  }
  return status === 0 ? unlink(process, path, how, true) : status;
}

function removeInner(process: Process, path: string, how: Removal): number {
  const found = process.lstat(path);
  if (isErrno(found)) return fail(process, `${how.name}: cannot remove ${quoted(path)}`, found);
  return removeDirectory(process, path, how);
}

export const rm: Command = {
  name: "rm",
  about: "removes files; -r trees",
  options: [option("recursive", "-r -R --recursive"), option("force", "-f --force"), option("directories", "-d --dir")],
  run: (process, { values, operands }) => {
    const how: Removal = {
      name: "rm",
      recursive: values.has("recursive"),
      force: values.has("force"),
      emptyDirectories: values.has("directories"),
    };
    if (operands.length === 0) return how.force ? 0 : missingOperand(process, "rm", undefined, "");
    let status = 0;
    for (const path of operands) {
      if (/(^|\/)\.\.?\/*$/.test(path)) {
        status = fail(process, `rm: refusing to remove '.' or '..' directory: skipping ${quoted(path)}`);
      } else if (/^\/+$/.test(path) && how.recursive) {
        status = fail(
          process,
          "rm: it is dangerous to operate recursively on '/'\nrm: use --no-preserve-root to override this failsafe",
        );
      } else status = Math.max(status, remove(process, path, how));
    }
    return status;
  },
};

export const rmdir: Command = {
  name: "rmdir",
  about: "removes empty directories; -p their parents too",
  options: [option("parents", "-p --parents"), option("quiet", "--ignore-fail-on-non-empty")],
  run: (process, { values, operands }) => {
    if (operands.length === 0) return missingOperand(process, "rmdir", undefined, "");
    let status = 0;
    for (const operand of operands) {
      for (let path = operand.replace(/(?<=.)\/+$/, ""); path !== ""; path = parentOf(path)) {
        const failed = process.rmdir(path);
        if (failed !== undefined) {
          if (failed.code === "ENOTEMPTY" && values.has("quiet")) break;
          const what = path === operand ? `failed to remove ${quoted(path)}` : `failed to remove directory ${quoted(path)}`;
          status = fail(process, `rmdir: ${what}`, failed);
          break;
        }
        if (!values.has("parents")) break;
      }
    }
    return status;
  },
};

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "" : path.slice(0, slash).replace(/(?<=.)\/+$/, "");
}
