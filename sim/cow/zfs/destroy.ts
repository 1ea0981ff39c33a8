/**
 * zfs destroy: what depends on what, in which order it goes, and how a refusal is worded (cmd/zfs/zfs_main.c, zfs_do_destroy; lib/libzfs).
 *
 * A snapshot with clones cannot go, nor a filesystem with children or snapshots. With `recursive` (-r) children and snapshots go too, with
 * `clones` (-R) everything that was cloned from them as well; with `defer` (-d) a snapshot that has clones goes with the last of them.
 */
import { filesystemOf, findDataset, suspended } from "./commands.ts";
import type { Dataset, Directory } from "./dsl.ts";
import { deferDestroy, destroyFilesystem, destroySnapshot } from "./operations.ts";
import type { Pool } from "./pool.ts";

export interface DestroyOptions {
  readonly recursive?: boolean;
  readonly clones?: boolean;
  readonly defer?: boolean;
}

/** Whatever was made from a snapshot. */
function clonesOf(snapshot: Dataset): Directory[] {
  return [...snapshot.clones].map(({ directory }) => directory);
}

/** Everything that must go before a snapshot does, in that order. */
export function dependentsOfSnapshot(snapshot: Dataset, into: Set<Dataset>): void {
  for (const clone of clonesOf(snapshot)) dependentsOfDirectory(clone, into);
}

function dependentsOfDirectory(directory: Directory, into: Set<Dataset>): void {
  for (const name of [...directory.children.keys()].sort())
    dependentsOfDirectory(directory.children.get(name) as Directory, into);
  for (const snapshot of directory.snapshots) {
    dependentsOfSnapshot(snapshot, into);
    into.add(snapshot);
  }
  into.add(directory.head);
}

function refusal(doing: string, why: string, how: string, datasets: Iterable<Dataset>): string {
  return [`${doing}: ${why}`, `use '${how}' to destroy the following datasets:`, ...[...datasets].map(({ path }) => path)].join(
    "\n",
  );
}

/** zfs destroy. @returns what it writes to standard error; undefined when it worked. */
export function zfsDestroy(pool: Pool, path: string, options: DestroyOptions = {}): string | undefined {
  const failed = suspended(pool, `cannot open '${path}'`);
  if (failed !== undefined) return failed;
  const dataset = findDataset(pool, path);
  if (dataset === undefined) {
    const filesystem = filesystemOf(path);
    return findDataset(pool, filesystem) === undefined
      ? `cannot open '${filesystem}': dataset does not exist`
      : "could not find any snapshots to destroy; check snapshot names.";
  }
  const refused = dataset.isSnapshot ? destroyOne(pool, dataset, options) : destroyTree(pool, dataset, options);
  return refused ?? suspended(pool, `cannot destroy '${path}'`);
}

function destroyOne(pool: Pool, snapshot: Dataset, options: DestroyOptions): string | undefined {
  const doing = `cannot destroy '${snapshot.path}'`;
  const dependents = new Set<Dataset>();
  dependentsOfSnapshot(snapshot, dependents);
  if (options.defer === true) {
    deferDestroy(pool, snapshot);
    return undefined;
  }
  if (dependents.size > 0 && options.clones !== true) {
    return refusal(doing, "snapshot has dependent clones", "-R", dependents);
  }
  dependents.add(snapshot);
  return inUse(dependents) ?? destroyAll(pool, dependents);
}

function destroyTree(pool: Pool, head: Dataset, options: DestroyOptions): string | undefined {
  const { directory } = head;
  const doing = `cannot destroy '${head.path}'`;
  const inside = new Set<Dataset>();
  for (const one of directory.below()) {
    for (const snapshot of one.snapshots) inside.add(snapshot);
    if (one !== directory) inside.add(one.head);
  }
  const isDeep = options.recursive === true || options.clones === true;
  if (directory.parent === undefined && !isDeep) return ofPool(head.path);
  if (inside.size > 0 && !isDeep) return refusal(doing, "filesystem has children", "-r", listed(directory));
  const all = new Set<Dataset>();
  dependentsOfDirectory(directory, all);
  // The pool's own filesystem stays, whatever it is told.
  if (directory.parent === undefined) all.delete(head);
  const outside = [...all].filter((dataset) => dataset !== head && !inside.has(dataset));
  if (outside.length > 0 && options.clones !== true) {
    return refusal(doing, "filesystem has dependent clones", "-R", outside);
  }
  return inUse(all) ?? destroyAll(pool, all);
}

/** Why not all of what is to go can: one is mounted, or held; undefined when all can. */
function inUse(datasets: ReadonlySet<Dataset>): string | undefined {
  const one = firstInUse(datasets);
  if (one === undefined) return undefined;
  return one.mounts > 0
    ? `cannot destroy '${one.path}': dataset is busy`
    : `cannot destroy snapshot ${one.path}: dataset is busy`;
}

/** The first dataset that is mounted, else the first that is held; undefined when none is. */
export function firstInUse(datasets: ReadonlySet<Dataset>): Dataset | undefined {
  for (const one of datasets) if (one.mounts > 0) return one;
  for (const one of datasets) if (one.holds.length > 0) return one;
  return undefined;
}

function ofPool(name: string): string {
  return [
    `cannot destroy '${name}': operation does not apply to pools`,
    `use 'zfs destroy -r ${name}' to destroy all datasets in the pool`,
    `use 'zpool destroy ${name}' to destroy the pool itself`,
  ].join("\n");
}

/** Children and snapshots in the order in which zfs lists them. */
function listed(directory: Directory): Dataset[] {
  const found: Dataset[] = [...directory.snapshots];
  for (const child of directory.below()) if (child !== directory) found.push(child.head, ...child.snapshots);
  return found;
}

/** Destroys datasets in this order. */
export function destroyAll(pool: Pool, datasets: Iterable<Dataset>): undefined {
  for (const dataset of datasets) {
    // One that waited for its clones has gone with the last of them.
    if (!pool.objects.has(dataset.id)) continue;
    if (dataset.isSnapshot) destroySnapshot(pool, dataset);
    else destroyFilesystem(pool, dataset.directory);
  }
  return undefined;
}
