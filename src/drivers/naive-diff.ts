/**
 * The naive differ: compares two whole trees, as Docker does for all drivers but aufs (moby pkg/archive/changes*.go,
 * daemon/graphdriver/fsdiff.go).
 *
 * Rules:
 * - Names are visited sorted by their bytes. A name that both directories have is left out with all below it when the inode numbers are
 *   equal and the directories lie on one device: hard-linked trees cost little.
 * - A node differs by mode, owner, rdev or its security.capability; by size and mtime too, unless the *old* mode has the bit of S_IFDIR,
 *   which block devices and sockets have as well. Times are equal within a second when either has no nanoseconds.
 * - A directory that has changes below it is reported C just before them; "/" never is. Of a removed subtree only its top is reported.
 */
import type { Time } from "../../sim/core/clock.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { type Attributes, newAttributes, S_IFDIR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type Change, type DriverError, isDriverError } from "./driver.ts";
import { isDirectory, lstat, sortedNames } from "./files.ts";

const CAPABILITY = "security.capability";

/** A file of one of the two trees. */
interface Node {
  readonly path: string;
  readonly of: Attributes;
}

interface Walk {
  readonly task: Task;
  readonly changes: Change[];
}

/** Whether the S_IFDIR bit is set, as Docker tests it. */
function hasDirectoryBit(of: Attributes): boolean {
  return (of.mode & S_IFDIR) !== 0;
}

function sameTime(one: Time, other: Time): boolean {
  if (one.seconds !== other.seconds) return false;
  return one.nanoseconds === other.nanoseconds || one.nanoseconds === 0 || other.nanoseconds === 0;
}

function attributesDiffer(before: Attributes, after: Attributes): boolean {
  if (before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid || before.rdev !== after.rdev)
    return true;
  return !hasDirectoryBit(before) && (before.size !== after.size || !sameTime(before.mtime, after.mtime));
}

function capabilityOf(task: Task, path: string): Uint8Array {
  const value = task.lgetxattr(path, CAPABILITY);
  return isErrno(value) ? new Uint8Array(0) : value;
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function nodeAt(task: Task, path: string): Node | DriverError {
  const of = lstat(task, path);
  return isDriverError(of) ? of : { path, of };
}

/** The children of a directory by name, in their order; none of anything else. */
function childrenOf(walk: Walk, node: Node | undefined): Map<string, Node> | DriverError {
  const children = new Map<string, Node>();
  if (node === undefined || !isDirectory(node.of)) return children;
  const names = sortedNames(walk.task, node.path);
  if (isDriverError(names)) return names;
  for (const name of names) {
    const child = nodeAt(walk.task, `${node.path}/${name}`);
    if (isDriverError(child)) return child;
    children.set(name, child);
  }
  return children;
}

/** Takes out what both directories show as one inode of one device. */
function prune(before: Map<string, Node>, after: Map<string, Node>): void {
  for (const [name, child] of after) {
    if (before.get(name)?.of.inodeNumber !== child.of.inodeNumber) continue;
    before.delete(name);
    after.delete(name);
  }
}

/** What compareNodes works on: the two sides, the path within the layer, and whether `after` has been reported itself. */
interface Pair {
  readonly before: Node | undefined;
  readonly after: Node;
  readonly path: string;
  readonly reported: boolean;
}

function compareNodes(walk: Walk, pair: Pair): DriverError | undefined {
  const { before, after, path } = pair;
  const start = walk.changes.length;
  const oldChildren = childrenOf(walk, before);
  if (isDriverError(oldChildren)) return oldChildren;
  const newChildren = childrenOf(walk, after);
  if (isDriverError(newChildren)) return newChildren;
  if (before !== undefined && before.of.device === after.of.device) prune(oldChildren, newChildren);
  const isTop = path === "";
  const comparable = isTop || hasDirectoryBit(after.of) ? oldChildren : new Map<string, Node>();
  for (const [name, child] of newChildren) {
    const old = comparable.get(name);
    comparable.delete(name);
    const failed = compareChild(walk, { before: old, after: child, path: `${path}/${name}`, reported: false });
    if (failed !== undefined) return failed;
  }
  for (const name of comparable.keys()) walk.changes.push({ kind: "D", path: `${path}/${name}` });
  const changedBelow = walk.changes.length > start;
  if (changedBelow && hasDirectoryBit(after.of) && !pair.reported && !isTop) walk.changes.splice(start, 0, { kind: "C", path });
  return undefined;
}

function compareChild(walk: Walk, pair: Pair): DriverError | undefined {
  const { before, after, path } = pair;
  if (before === undefined) {
    walk.changes.push({ kind: "A", path });
    return compareNodes(walk, { ...pair, reported: true });
  }
  const differs =
    attributesDiffer(before.of, after.of) ||
    !sameBytes(capabilityOf(walk.task, before.path), capabilityOf(walk.task, after.path));
  if (differs) walk.changes.push({ kind: "C", path });
  return compareNodes(walk, { ...pair, reported: differs });
}

/** How the tree at `after` differs from that at `before`; undefined stands for an empty one. */
export function treeChanges(task: Task, before: string | undefined, after: string): Change[] | DriverError {
  const newTop = nodeAt(task, after);
  if (isDriverError(newTop)) return newTop;
  const oldTop = before === undefined ? undefined : nodeAt(task, before);
  if (isDriverError(oldTop)) return oldTop;
  const walk: Walk = { task, changes: [] };
  return compareNodes(walk, { before: oldTop, after: newTop, path: "", reported: true }) ?? walk.changes;
}

/** Bytes of what was added or changed below `top` (ChangesSize): each inode once, directories not at all. */
export function changesSize(task: Task, top: string, changes: readonly Change[]): number {
  const seen = new Set<number>();
  const of = newAttributes();
  let size = 0;
  for (const { kind, path } of changes) {
    if (kind === "D" || isErrno(task.lstat(top + path, of)) || isDirectory(of)) continue;
    if (of.nlink > 1) {
      if (seen.has(of.inodeNumber)) continue;
      seen.add(of.inodeNumber);
    }
    size += of.size;
  }
  return size;
}

/** The driver calls that the comparison needs. */
interface Trees {
  get(id: string): string | DriverError;
  put(id: string): DriverError | undefined;
}

/** Runs `use` with both trees in place; a parent "" is an empty tree. */
function withTrees<T>(
  driver: Trees,
  ids: { id: string; parent: string },
  use: (after: string, before: string | undefined) => T | DriverError,
): T | DriverError {
  const after = driver.get(ids.id);
  if (isDriverError(after)) return after;
  const before = ids.parent === "" ? undefined : driver.get(ids.parent);
  const result = isDriverError(before) ? before : use(after, before);
  if (ids.parent !== "" && !isDriverError(before)) driver.put(ids.parent);
  driver.put(ids.id);
  return result;
}

/** NaiveDiffDriver.Changes. */
export function naiveChanges(task: Task, driver: Trees, ids: { id: string; parent: string }): Change[] | DriverError {
  return withTrees(driver, ids, (after, before) => treeChanges(task, before, after));
}

/** NaiveDiffDriver.DiffSize. */
export function naiveDiffSize(task: Task, driver: Trees, ids: { id: string; parent: string }): number | DriverError {
  return withTrees(driver, ids, (after, before) => {
    const changes = treeChanges(task, before, after);
    return isDriverError(changes) ? changes : changesSize(task, after, changes);
  });
}
