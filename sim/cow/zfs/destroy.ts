/**
 * zfs destroy: what depends on what, in which order it goes, and how a refusal is worded (cmd/zfs/zfs_main.c, zfs_do_destroy; lib/libzfs/libzfs_iter.c,
 * zfs_iter_dependents, zfs_iter_snapspec; module/zfs/dsl_destroy.c).
 *
 * Snapshots are named one by one ("a,b"), or from one to another ("a%b", either end may be missing). A snapshot with clones cannot go, nor a filesystem
 * with children or snapshots. With `recursive` (-r) children and snapshots go too, of a snapshot those of its name below; with `clones` (-R) everything
 * that was cloned from them as well; with `defer` (-d) a snapshot that has clones goes with the last of them.
 */
import { niceBytes } from "./amounts.ts";
import { findDataset, suspended } from "./commands.ts";
import type { Dataset, Directory } from "./dsl.ts";
import { destroyFilesystem, destroySnapshots } from "./operations.ts";
import type { Pool } from "./pool.ts";

export interface DestroyOptions {
  readonly recursive?: boolean;
  readonly clones?: boolean;
  readonly defer?: boolean;
  /** Nothing is done (-n). */
  readonly dryRun?: boolean;
  /** What goes is told (-v). */
  readonly verbose?: boolean;
  /** It is told in columns (-p). */
  readonly parsable?: boolean;
  /** Unmounts a filesystem that is about to go; says what is wrong when it cannot be. Absent: nothing is. */
  readonly unmount?: (head: Dataset) => string | undefined;
  /** A filesystem has gone, which is still in hand. */
  readonly gone?: (directory: Directory) => void;
}

/** What a command wrote, line by line. */
interface Destroyed {
  readonly out: readonly string[];
  readonly err: readonly string[];
}

/** What must go before a dataset does, in that order. */
interface Dependents {
  /** What depends on it in two ways comes twice. */
  readonly list: Dataset[];
  /** A filesystem that depends on itself. */
  cycle?: Directory;
}

/** Everything that was made from a snapshot. */
function dependentsOfSnapshot(snapshot: Dataset, into: Dependents, above: readonly Directory[] = []): Dependents {
  for (const { directory } of snapshot.clones) dependentsOfDirectory(directory, into, above);
  return into;
}

/** A filesystem, behind everything that depends on it. */
function dependentsOfDirectory(directory: Directory, into: Dependents, above: readonly Directory[] = []): Dependents {
  if (above.includes(directory)) {
    into.cycle ??= directory;
    return into;
  }
  const way = [...above, directory];
  for (const child of childrenOf(directory)) dependentsOfDirectory(child, into, way);
  for (const snapshot of directory.snapshots) {
    dependentsOfSnapshot(snapshot, into, way);
    into.list.push(snapshot);
  }
  into.list.push(directory.head);
  return into;
}

function childrenOf({ children }: Directory): Directory[] {
  return [...children.keys()].sort().map((name) => children.get(name) as Directory);
}

/** Everything that must go before snapshots do, each once. */
export function dependentsOf(snapshots: Iterable<Dataset>): Set<Dataset> {
  const found: Dependents = { list: [] };
  for (const one of snapshots) dependentsOfSnapshot(one, found);
  return new Set(found.list);
}

/** zfs destroy. @returns what it writes to standard error; undefined when it worked. */
export function zfsDestroy(pool: Pool, path: string, options: DestroyOptions = {}): string | undefined {
  const { err } = toldDestroy(pool, path, options);
  return err.length === 0 ? undefined : err.join("\n");
}

/** zfs destroy, with all that it writes. */
export function toldDestroy(pool: Pool, path: string, options: DestroyOptions): Destroyed {
  const failed = suspended(pool, `cannot open '${path}'`);
  if (failed !== undefined) return { out: [], err: [failed] };
  const at = path.indexOf("@");
  const filesystem = at < 0 ? path : path.slice(0, at);
  const head = findDataset(pool, filesystem);
  if (head === undefined) return { out: [], err: [`cannot open '${filesystem}': dataset does not exist`] };
  const command = new Destroying(pool, options);
  if (at < 0) command.filesystem(head.directory);
  else command.snapshots(head.directory, path.slice(at + 1));
  const after = command.err.length === 0 ? suspended(pool, `cannot destroy '${path}'`) : undefined;
  return after === undefined ? command : { out: command.out, err: [after] };
}

/** One command at work. */
class Destroying implements Destroyed {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly #pool: Pool;
  readonly #options: DestroyOptions;
  /** Snapshots that go together, as soon as a filesystem is to go. */
  readonly #batch = new Set<Dataset>();
  /** Whether nothing is to be done: -n was given, or clones are in the way. */
  #isDry: boolean;
  /** Bytes that come free. */
  #reclaimed = 0;

  constructor(pool: Pool, options: DestroyOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#isDry = options.dryRun === true;
  }

  get #isDeep(): boolean {
    return this.#options.recursive === true || this.#options.clones === true;
  }

  get #isTold(): boolean {
    return this.#options.verbose === true || this.#options.parsable === true;
  }

  #tell(parsable: readonly [string, string], said: string): void {
    this.out.push(this.#options.parsable === true ? parsable.join("\t") : `${this.#isDry ? "would" : "will"} ${said}`);
  }

  // Snapshots

  /** Destroys snapshots of a filesystem. @param spec - what stands behind the "@" */
  snapshots(directory: Directory, spec: string): void {
    const chosen = new Set<Dataset>();
    this.#gather(directory, spec, chosen);
    if (this.err.length > 0) return;
    if (chosen.size === 0) {
      this.err.push("could not find any snapshots to destroy; check snapshot names.");
      return;
    }
    if (this.#isTold) this.#tell(["reclaim", String(this.#reclaimed)], `reclaim ${niceBytes(this.#reclaimed)}`);
    if (this.#options.dryRun === true) return;
    const clones: Dependents = { list: [] };
    if (this.#options.clones === true) for (const one of chosen) dependentsOfSnapshot(one, clones);
    if (this.#cannotBegin(clones)) return;
    for (const one of new Set(clones.list)) this.#destroy(one);
    this.#flush();
    this.#destroyBatch(chosen, this.#options.defer === true);
  }

  #gather(directory: Directory, spec: string, chosen: Set<Dataset>): void {
    for (const snapshot of snapshotsOf(directory, spec)) {
      if (this.#options.clones !== true && this.#options.defer !== true) this.#refuseClones(snapshot);
      chosen.add(snapshot);
    }
    if (this.#isTold) this.#tellSnapshots(directory, chosen);
    if (!this.#isDeep) return;
    for (const child of childrenOf(directory)) this.#gather(child, spec, chosen);
  }

  #refuseClones(snapshot: Dataset): void {
    const { list } = dependentsOfSnapshot(snapshot, { list: [] });
    if (list.length > 0) this.#refuse(snapshot, "snapshot has dependent clones", "-R", list);
  }

  #refuse({ path }: Dataset, why: string, how: string, datasets: Iterable<Dataset>): void {
    this.err.push(`cannot destroy '${path}': ${why}`, `use '${how}' to destroy the following datasets:`);
    for (const one of datasets) this.err.push(one.path);
    if (how === "-R") this.#isDry = true;
  }

  /** Tells which snapshots of a filesystem go, and what comes free with each run of them (destroy_print_snapshots). */
  #tellSnapshots(directory: Directory, chosen: ReadonlySet<Dataset>): void {
    let first: Dataset | undefined;
    for (const snapshot of directory.snapshots) {
      if (!chosen.has(snapshot)) {
        first = undefined;
        continue;
      }
      first ??= snapshot;
      this.#tell(["destroy", snapshot.path], `destroy ${snapshot.path}`);
      if (!chosen.has(snapshot.next as Dataset)) this.#reclaimed += freedWith(first, snapshot);
    }
  }

  // Filesystems

  /** Destroys a filesystem. */
  filesystem(directory: Directory): void {
    const { head, path } = directory;
    if (this.#options.defer === true) {
      this.err.push(`cannot open '${path}': operation not applicable to datasets of this type`);
      return;
    }
    if (directory.parent === undefined && !this.#isDeep) {
      this.err.push(...ofPool(path));
      return;
    }
    const all = dependentsOfDirectory(directory, { list: [] });
    if (this.#options.clones !== true) this.#refuseDependents(directory, all.list);
    if (this.err.length > 0 || this.#cannotBegin(all)) return;
    for (const one of this.#isDry ? all.list : new Set(all.list)) {
      if (this.#isTold) this.#tell(["destroy", one.path], `destroy ${one.path}`);
      // The pool's own filesystem stays, whatever it is told.
      if (!this.#isDry && (one !== head || directory.parent !== undefined)) this.#destroy(one);
    }
    this.#flush();
  }

  /** Refuses what is below the filesystem, or, where that is to go too, clones elsewhere (destroy_check_dependent). */
  #refuseDependents(directory: Directory, all: readonly Dataset[]): void {
    const { head } = directory;
    const inside = new Set<Dataset>();
    for (const one of directory.below()) for (const dataset of [one.head, ...one.snapshots]) inside.add(dataset);
    const refused = all.filter((one) => one !== head && inside.has(one) !== this.#isDeep);
    if (refused.length === 0) return;
    if (this.#isDeep) this.#refuse(head, "filesystem has dependent clones", "-R", refused);
    else this.#refuse(head, "filesystem has children", "-r", refused);
  }

  /** Refuses all when one depends on itself. */
  #cannotBegin({ cycle }: Dependents): boolean {
    if (cycle !== undefined) this.err.push(`cannot determine dependent datasets: recursive dependency at '${cycle.path}'`);
    return cycle !== undefined;
  }

  // The work

  /** Destroys one dataset, when what depends on it has gone; snapshots wait for the next filesystem, or the end (destroy_callback). */
  #destroy(dataset: Dataset): void {
    if (dataset.isSnapshot) {
      this.#batch.add(dataset);
      return;
    }
    if (!this.#flush()) return;
    const { directory } = dataset;
    const doing = `cannot destroy '${dataset.path}'`;
    const stays = this.#options.unmount?.(dataset);
    if (stays !== undefined) this.err.push(stays);
    else if (directory.children.size > 0) this.err.push(`${doing}: dataset already exists`);
    else if (directory.named.size > 0 || dataset.mounts > 0) this.err.push(`${doing}: dataset is busy`);
    else {
      destroyFilesystem(this.#pool, directory);
      this.#options.gone?.(directory);
    }
  }

  #flush(): boolean {
    const isDone = this.#destroyBatch(this.#batch, false);
    this.#batch.clear();
    return isDone;
  }

  /** Destroys snapshots, all or, when one cannot go, none (dsl_destroy_snapshots_nvl). */
  #destroyBatch(snapshots: Iterable<Dataset>, isDeferred: boolean): boolean {
    // One that waited for its clones has gone with the last of them.
    const there = [...snapshots].filter(({ id }) => this.#pool.objects.has(id));
    const refusals = there.flatMap((snapshot) => {
      const why = snapshotFault(snapshot, isDeferred);
      return why === undefined ? [] : [`cannot destroy snapshot ${snapshot.path}: ${why}`];
    });
    this.err.push(...refusals);
    if (refusals.length === 0 && there.length > 0) destroySnapshots(this.#pool, there, isDeferred);
    return refusals.length === 0;
  }
}

/** Why a snapshot cannot go (dsl_destroy_snapshot_check_impl); undefined when it can. */
function snapshotFault(snapshot: Dataset, isDeferred: boolean): string | undefined {
  if (snapshot.mounts > 0) return "dataset is busy";
  if (isDeferred) return undefined;
  if (snapshot.holds.length > 0) return "dataset is busy";
  return snapshot.hasClones ? "snapshot is cloned" : undefined;
}

/** The snapshots that a specification names, each once or more; what is not there is passed over (zfs_iter_snapspec). */
function* snapshotsOf({ snapshots, named }: Directory, spec: string): Generator<Dataset> {
  for (const part of spec.split(",")) {
    const percent = part.indexOf("%");
    const last = percent < 0 ? part : part.slice(percent + 1);
    const first = percent < 0 ? part : part.slice(0, percent);
    if (last !== "" && !named.has(last)) continue;
    const from = first === "" && percent >= 0 ? 0 : snapshots.findIndex(({ name }) => name === first);
    const to = last === "" ? snapshots.length - 1 : snapshots.findIndex(({ name }) => name === last);
    // Of an end that lies before its beginning nothing is found.
    if (from >= 0) yield* snapshots.slice(from, to + 1);
  }
}

/** Bytes that come free with the snapshots of a line from one to another (dsl_dataset_space_wouldfree). */
function freedWith(first: Dataset, last: Dataset): number {
  let sum = 0;
  for (let at = last.next as Dataset; at !== first; at = at.previous as Dataset)
    sum += at.deadList.space(first.previousGroup).used;
  return sum;
}

/** The first dataset that is mounted, else the first that is held; undefined when none is. */
export function firstInUse(datasets: ReadonlySet<Dataset>): Dataset | undefined {
  for (const one of datasets) if (one.mounts > 0) return one;
  for (const one of datasets) if (one.holds.length > 0) return one;
  return undefined;
}

function ofPool(name: string): readonly string[] {
  return [
    `cannot destroy '${name}': operation does not apply to pools`,
    `use 'zfs destroy -r ${name}' to destroy all datasets in the pool`,
    `use 'zpool destroy ${name}' to destroy the pool itself`,
  ];
}

/** Destroys datasets in this order. */
export function destroyAll(pool: Pool, datasets: Iterable<Dataset>): undefined {
  for (const dataset of datasets) {
    // One that waited for its clones has gone with the last of them.
    if (!pool.objects.has(dataset.id)) continue;
    if (dataset.isSnapshot) destroySnapshots(pool, [dataset], false);
    else destroyFilesystem(pool, dataset.directory);
  }
  return undefined;
}
