/**
 * What a container changed, told by its writable branch alone (moby pkg/archive/changes.go, Changes with aufs's rules; spec/drivers.md 2.3).
 *
 * Interface: a walk in the order of names. Whiteouts of layers between are not heeded, and an opaque marker shows as the deletion of
 * ".wh..opq": both as in Docker.
 */
import { ENOENT, isErrno } from "../../sim/core/errno.ts";
import { type Attributes, newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type Change, type DriverError, isDriverError, pathError } from "./driver.ts";
import { isDirectory, lstat, parentPath, sortedNames } from "./files.ts";

const WHITEOUT_PREFIX = ".wh.";
/** aufs's own entries in the branch's root; what is in its folders is not left out. */
const OWN_ENTRY = /^\/\.wh\.\.wh\.[^/]*$/;

interface Walk {
  readonly task: Task;
  readonly branch: string;
  /** Nearest first. */
  readonly lowers: readonly string[];
  readonly changes: Change[];
  /** Folders that are told, or need not be told again. */
  readonly told: Set<string>;
}

/** @param lowers - the branches below, nearest first. @returns an error where a path cannot be looked at, such as one below a lower file. */
export function branchChanges(task: Task, branch: string, lowers: readonly string[]): Change[] | DriverError {
  const walk: Walk = { task, branch, lowers, changes: [], told: new Set() };
  return visitBelow(walk, "") ?? walk.changes;
}

function visitBelow(walk: Walk, folder: string): DriverError | undefined {
  const names = sortedNames(walk.task, walk.branch + folder);
  if (isDriverError(names)) return names;
  for (const name of names) {
    const path = `${folder}/${name}`;
    const of = lstat(walk.task, walk.branch + path);
    if (isDriverError(of)) return of;
    const failed = visit(walk, path, of) ?? (isDirectory(of) ? visitBelow(walk, path) : undefined);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function visit(walk: Walk, path: string, of: Attributes): DriverError | undefined {
  if (OWN_ENTRY.test(path)) return undefined;
  const change = changeOf(walk, path, of);
  if (change === undefined || isDriverError(change)) return change;
  if (isDirectory(of)) walk.told.add(path);
  const parent = parentPath(path);
  if (change.kind !== "C" && parent !== "/" && !walk.told.has(parent)) {
    walk.changes.push({ kind: "C", path: parent });
    walk.told.add(parent);
  }
  walk.changes.push(change);
  return undefined;
}

/** What an entry of the branch means; undefined for a folder that is there only for what is in it. */
function changeOf({ task, lowers }: Walk, path: string, of: Attributes): Change | undefined | DriverError {
  const slash = path.lastIndexOf("/") + 1;
  const name = path.slice(slash);
  if (name.startsWith(WHITEOUT_PREFIX)) return { kind: "D", path: path.slice(0, slash) + name.slice(WHITEOUT_PREFIX.length) };
  for (const lower of lowers) {
    const below = task.stat(lower + path, newAttributes());
    if (isErrno(below)) {
      if (below !== ENOENT) return pathError("stat", lower + path, below);
      continue;
    }
    return isDirectory(below) && isDirectory(of) && sameFolder(of, below) ? undefined : { kind: "C", path };
  }
  return { kind: "A", path };
}

/** sameFsTime: a time without nanoseconds is as good as any within its second. */
function sameFolder(one: Attributes, other: Attributes): boolean {
  if (one.size !== other.size || one.mode !== other.mode || one.mtime.seconds !== other.mtime.seconds) return false;
  const nanoseconds = [one.mtime.nanoseconds, other.mtime.nanoseconds];
  return nanoseconds[0] === nanoseconds[1] || nanoseconds.includes(0);
}
