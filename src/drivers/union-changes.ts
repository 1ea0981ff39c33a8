/**
 * What a container changed, told by its writable branch alone (moby pkg/archive/changes.go, Changes and OverlayChanges; spec/drivers.md 2.3).
 *
 * Interface: a walk in the order of names. Whiteouts of layers between are not heeded, and an opaque marker shows as the deletion of
 * ".wh..opq": both as in Docker.
 */
import { ENOENT, isErrno } from "../../sim/core/errno.ts";
import { type Attributes, newAttributes, S_IFCHR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type Change, type DriverError, isDriverError, pathError } from "./driver.ts";
import { isDirectory, lstat, parentPath, sortedNames } from "./files.ts";

const WHITEOUT_PREFIX = ".wh.";
/** The value of overlayfs's opaque attribute: "y". */
const OPAQUE = 0x79;
/** aufs's own entries in the branch's root; what is in its folders is not left out. */
const OWN_ENTRY = /^\/\.wh\.\.wh\.[^/]*$/;

/** How a union marks what is gone, in its writable branch. */
interface BranchRules {
  /** Whether the entry is the union's own. */
  readonly isOwn: (path: string) => boolean;
  /** The path that an entry says is deleted; undefined for any other entry. */
  readonly deleted: (task: Task, branch: string, path: string, of: Attributes) => string | undefined;
}

interface Walk {
  readonly task: Task;
  readonly branch: string;
  /** Nearest first. */
  readonly lowers: readonly string[];
  readonly rules: BranchRules;
  readonly changes: Change[];
  /** Folders that are told, or need not be told again. */
  readonly told: Set<string>;
}

/** @param lowers - the branches below, nearest first. @returns an error where a path cannot be looked at, such as one below a lower file. */
export function branchChanges(task: Task, branch: string, lowers: readonly string[]): Change[] | DriverError {
  return changesOf({ task, branch, lowers, rules: AUFS_BRANCH, changes: [], told: new Set() });
}

/** The same of overlayfs's upper folder, as Docker did before 18.06: a directory that hides those below it counts as deleted. */
export function overlayBranchChanges(task: Task, branch: string, lowers: readonly string[]): Change[] | DriverError {
  return changesOf({ task, branch, lowers, rules: OVERLAY_BRANCH, changes: [], told: new Set() });
}

function changesOf(walk: Walk): Change[] | DriverError {
  return visitBelow(walk, "") ?? walk.changes;
}

const AUFS_BRANCH: BranchRules = {
  isOwn: (path) => OWN_ENTRY.test(path),
  deleted: (_task, _branch, path) => {
    const slash = path.lastIndexOf("/") + 1;
    const name = path.slice(slash);
    return name.startsWith(WHITEOUT_PREFIX) ? path.slice(0, slash) + name.slice(WHITEOUT_PREFIX.length) : undefined;
  },
};

/** overlayDeletedFile (moby v17.06 pkg/archive/changes_linux.go). */
const OVERLAY_BRANCH: BranchRules = {
  isOwn: () => false,
  deleted: (task, branch, path, of) => {
    if ((of.mode & S_IFMT) === S_IFCHR && of.rdev === 0) return path;
    if (!isDirectory(of)) return undefined;
    const opaque = task.lgetxattr(branch + path, "trusted.overlay.opaque");
    return !isErrno(opaque) && opaque.length === 1 && opaque[0] === OPAQUE ? path : undefined;
  },
};

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
  if (walk.rules.isOwn(path)) return undefined;
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
function changeOf({ task, branch, lowers, rules }: Walk, path: string, of: Attributes): Change | undefined | DriverError {
  const deleted = rules.deleted(task, branch, path, of);
  if (deleted !== undefined) return { kind: "D", path: deleted };
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
