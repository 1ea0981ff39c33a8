/**
 * Datasets and the directories that hold them (module/zfs/dsl_dir.c, dsl_dataset.c), and the accounting of space by birth (spec/block-cow.md §3.3).
 *
 * Words: a *directory* is a name in the tree of a pool, with properties and sums of space; its *head* is the filesystem that can be written; a
 * *snapshot* is a head as it was. The *line* of a head leads over `previous` from one snapshot to the next older one, and for a clone on into its origin.
 *
 * Interface: each block that a head writes is told to `blockBorn`, each that it lets go to `blockKilled`: every figure follows from these two.
 */
import { assert } from "../../core/assert.ts";
import { allocatedSize, type BlockPointer, countedLogicalSize, countedPhysicalSize } from "./block-pointer.ts";
import { DeadList, packedPointer, type Space } from "./dead-list.ts";
import type { DatasetRecord, DirectoryRecord, UserProperties } from "./object-records.ts";
import type { ObjectSet } from "./object-set.ts";

/** Sums of a directory's space in bytes, and what its own blocks are before and after compression. */
export interface Usage {
  head: number;
  snapshots: number;
  children: number;
  /** What is promised to the head (refreservation) and not taken by blocks of its own yet. */
  promised: number;
  logical: number;
  physical: number;
}

// Most directories are clones without children, snapshots or properties, and most snapshots have no clones: these have one empty map and list together.
const NO_DIRECTORIES: ReadonlyMap<string, Directory> = new Map();
const NO_SNAPSHOTS: ReadonlyMap<string, Dataset> = new Map();
const NO_PROPERTIES: ReadonlyMap<string, string> = new Map();
const NO_PROPERTY_LIST: readonly never[] = [];
const NO_CLONES: readonly never[] = [];

export class Directory {
  readonly id: number;
  name: string;
  parent: Directory | undefined;
  head: Dataset;
  /** The snapshot that it was cloned from. */
  origin: Dataset | undefined;
  #children: Map<string, Directory> | undefined;
  #named: Map<string, Dataset> | undefined;
  #properties: Map<string, string> | undefined;
  #propertyList: readonly (readonly [string, string])[] | undefined;
  readonly usage: Usage = { head: 0, snapshots: 0, children: 0, promised: 0, logical: 0, physical: 0 };
  /** As it was written last: it serves again while nothing in it has changed. */
  record: DirectoryRecord | undefined;

  constructor(id: number, of: { name: string; parent: Directory | undefined; properties: Iterable<readonly [string, string]> }) {
    this.id = id;
    this.name = of.name;
    this.parent = of.parent;
    for (const [name, value] of of.properties) this.setProperty(name, value);
    this.head = new Dataset(id + 1, this, undefined);
  }

  get children(): ReadonlyMap<string, Directory> {
    return this.#children ?? NO_DIRECTORIES;
  }
  addChild(child: Directory): void {
    this.#children ??= new Map();
    this.#children.set(child.name, child);
  }
  removeChild(child: Directory): void {
    this.#children?.delete(child.name);
  }

  /** Its snapshots by name. */
  get named(): ReadonlyMap<string, Dataset> {
    return this.#named ?? NO_SNAPSHOTS;
  }
  addSnapshot(snapshot: Dataset): void {
    this.#named ??= new Map();
    this.#named.set(snapshot.name as string, snapshot);
  }
  removeSnapshot(snapshot: Dataset): void {
    this.#named?.delete(snapshot.name as string);
  }

  /** Properties set here, by name. */
  get properties(): ReadonlyMap<string, string> {
    return this.#properties ?? NO_PROPERTIES;
  }
  setProperty(name: string, value: string): void {
    this.#properties ??= new Map();
    this.#properties.set(name, value);
    this.#propertyList = undefined;
  }
  deleteProperty(name: string): void {
    this.#properties?.delete(name);
    this.#propertyList = undefined;
  }
  /** The same as a list that never changes: another one when they do. */
  get propertyList(): readonly (readonly [string, string])[] {
    if (this.#properties === undefined) return NO_PROPERTY_LIST;
    this.#propertyList ??= [...this.#properties];
    return this.#propertyList;
  }

  /** The whole name: "tank/a". */
  get path(): string {
    return this.parent === undefined ? this.name : `${this.parent.path}/${this.name}`;
  }

  /** Bytes in all (dd_used_bytes). */
  get used(): number {
    const { head, snapshots, children, promised } = this.usage;
    return head + snapshots + children + promised;
  }

  /** A property in bytes; 0 for none. */
  limit(name: "quota" | "refquota" | "reservation" | "refreservation"): number {
    return this.#properties === undefined ? 0 : Number(this.#properties.get(name) ?? 0);
  }

  /** The transaction group of its origin; 0 for a directory that is no clone. */
  get originGroup(): number {
    return this.origin?.group ?? 0;
  }

  /** Its snapshots, the oldest first. */
  get snapshots(): Dataset[] {
    const found: Dataset[] = [];
    for (let at = this.head.previous; at !== undefined && at.directory === this; at = at.previous) found.push(at);
    return found.reverse();
  }

  /** This directory and all below it, parents first. */
  *below(): Generator<Directory> {
    yield this;
    for (const name of [...this.children.keys()].sort()) yield* (this.children.get(name) as Directory).below();
  }
}

const NO_HOLDS: readonly string[] = [];
const NO_USER_PROPERTIES: UserProperties = [];

/** A head or a snapshot. */
export class Dataset {
  readonly id: number;
  directory: Directory;
  /** Of a snapshot: what stands behind the "@". */
  name: string | undefined;
  /** The next older snapshot of its line. */
  previous: Dataset | undefined;
  /** Of a snapshot: the next newer one of its directory, or its head. */
  next: Dataset | undefined;
  /** One clone, as most snapshots have at most, or all of them. */
  #clones: Dataset | Set<Dataset> | undefined;
  /** The transaction group in which it was made. */
  group = 0;
  /** Seconds since 1970. */
  created = 0;
  pointer: BlockPointer | undefined;
  referenced = 0;
  logical = 0;
  physical = 0;
  /** Of a snapshot: bytes that only it has. Of a head: that no snapshot has. */
  unique = 0;
  deadList: DeadList = new DeadList();
  /** Of a clone: what the pointers take of the blocks that it has written and let go; below 0: nobody lists them. */
  liveBytes = -1;
  /** Destroyed as soon as the last clone goes (zfs destroy -d). */
  deferred = false;
  /** Tags of users who want a snapshot to stay (zfs hold), in order. */
  holds: readonly string[] = NO_HOLDS;
  /** Of a snapshot: properties that somebody made up and set on it. */
  properties: UserProperties = NO_USER_PROPERTIES;
  /** Of a head: what is open of it. */
  set: ObjectSet | undefined;
  /** Mounts that show it. */
  mounts = 0;
  /** As it was written last. */
  record: DatasetRecord | undefined;
  /**
   * Of a snapshot: the answer to the last question of keyOf for what follows it, as most blocks that die together were born together. It stays
   * right when an older snapshot goes: nothing is ever asked between the two.
   */
  #askedBirth = -1;
  #askedKey = 0;

  constructor(id: number, directory: Directory, name: string | undefined) {
    this.id = id;
    this.directory = directory;
    this.name = name;
  }

  /** Of a snapshot: the heads of its clones, or what follows it in another directory's line. */
  get clones(): Iterable<Dataset> {
    const clones = this.#clones;
    return clones instanceof Dataset ? [clones] : (clones ?? NO_CLONES);
  }
  get hasClones(): boolean {
    const clones = this.#clones;
    return clones instanceof Set ? clones.size > 0 : clones !== undefined;
  }
  addClone(clone: Dataset): void {
    const clones = this.#clones;
    if (clones === undefined) this.#clones = clone;
    else if (clones instanceof Set) clones.add(clone);
    else this.#clones = new Set([clones, clone]);
  }
  removeClone(clone: Dataset): void {
    const clones = this.#clones;
    if (clones instanceof Set) clones.delete(clone);
    else if (clones === clone) this.#clones = undefined;
  }

  get isSnapshot(): boolean {
    return this.name !== undefined;
  }

  /** "tank/a" or "tank/a@s". */
  get path(): string {
    return this.name === undefined ? this.directory.path : `${this.directory.path}@${this.name}`;
  }

  /** The transaction group of the newest older snapshot. */
  get previousGroup(): number {
    return this.previous?.group ?? 0;
  }

  /** The group of the newest snapshot of the line that is older than a block born at `birth`. @param previous - the newest of all. */
  keyOf(birth: number, previous: Dataset): number {
    if (previous.#askedBirth === birth) return previous.#askedKey;
    let at: Dataset | undefined = previous;
    // An older snapshot may have been asked the same: blocks of one group die in clone after clone.
    while (at !== undefined && at.group >= birth && at.#askedBirth !== birth) at = at.previous;
    const key = at === undefined ? 0 : at.#askedBirth === birth ? at.#askedKey : at.group;
    // All on the way have the same answer: clones may be written to in any order.
    for (let asked: Dataset | undefined = previous; asked !== undefined && asked !== at; asked = asked.previous) {
      asked.#askedBirth = birth;
      asked.#askedKey = key;
    }
    return key;
  }

  /** Bytes written since the newest snapshot (the property "written"). */
  get written(): number {
    if (this.previous === undefined) return this.referenced;
    return this.referenced - this.previous.referenced + this.deadList.space().used;
  }
}

/** Adds to a directory's space, and to that of those above, where a reservation may hide the change (dsl_dir_diduse_space). */
export function addUsage(
  directory: Directory,
  kind: "head" | "snapshots" | "children" | "promised",
  by: Pick<Space, "used"> & Partial<Space>,
): void {
  const { usage } = directory;
  const reserved = directory.limit("reservation");
  const before = Math.max(directory.used, reserved);
  usage[kind] += by.used;
  usage.logical += by.logical ?? 0;
  usage.physical += by.physical ?? 0;
  const after = Math.max(directory.used, reserved);
  if (directory.parent !== undefined) addUsage(directory.parent, "children", { used: after - before });
}

/** What of a directory's refreservation its head has not filled with blocks that no snapshot has (ds_reserved - ds_unique_bytes). */
export function promisedTo(directory: Directory): number {
  const reserved = directory.limit("refreservation");
  return reserved === 0 ? 0 : Math.max(0, reserved - directory.head.written);
}

/** Brings what a directory counts as promised up to date: its head's own blocks, or the property, have changed. */
export function settlePromise(directory: Directory): void {
  const by = promisedTo(directory) - directory.usage.promised;
  if (by !== 0) addUsage(directory, "promised", { used: by });
}

/** A head has written a block. */
export function blockBorn(head: Dataset, pointer: BlockPointer): void {
  const used = allocatedSize(pointer);
  const logical = countedLogicalSize(pointer);
  const physical = countedPhysicalSize(pointer);
  head.unique += used;
  head.referenced += used;
  head.logical += logical;
  head.physical += physical;
  addUsage(head.directory, "head", { used, logical, physical });
  if (head.liveBytes >= 0) head.liveBytes += packedPointer(pointer);
  settlePromise(head.directory);
}

/** A head has let a block go. @returns whether nobody has it any more: the caller frees it. */
export function blockKilled(head: Dataset, pointer: BlockPointer): boolean {
  const used = allocatedSize(pointer);
  const logical = countedLogicalSize(pointer);
  const physical = countedPhysicalSize(pointer);
  head.referenced -= used;
  head.logical -= logical;
  head.physical -= physical;
  const { previous } = head;
  if (pointer.birth > head.previousGroup) {
    if (head.liveBytes >= 0) head.liveBytes += packedPointer(pointer);
    head.unique -= used;
    addUsage(head.directory, "head", { used: -used, logical: -logical, physical: -physical });
    settlePromise(head.directory);
    return true;
  }
  assert(previous !== undefined, `${head.path}: a block of group ${pointer.birth} has no snapshot to stay with`);
  head.deadList.add(head.keyOf(pointer.birth, previous), pointer);
  if (previous.next === head && pointer.birth > previous.previousGroup) previous.unique += used;
  if (pointer.birth > head.directory.originGroup) {
    head.directory.usage.head -= used;
    head.directory.usage.snapshots += used;
  }
  return false;
}

/** Bytes before or after compression of a directory's own blocks and those of all below it (dd_uncompressed_bytes, dd_compressed_bytes). */
export function sumBelow(directory: Directory, kind: "logical" | "physical"): number {
  let sum = directory.usage[kind];
  for (const child of directory.children.values()) sum += sumBelow(child, kind);
  return sum;
}

/** What is about to leave a directory that holds both ends of a move. */
interface Leaving {
  readonly ancestor: Directory;
  readonly bytes: number;
}

/**
 * Bytes that a directory can still take (dsl_dir_space_available).
 * @param poolBytes - what the pool has for its datasets in all.
 * @param leaving - bytes that count as gone already.
 */
export function availableTo(directory: Directory, poolBytes: number, leaving?: Leaving): number {
  const quota = directory.limit("quota");
  const { parent } = directory;
  const gone = leaving?.ancestor === directory ? leaving.bytes : 0;
  const most = parent === undefined ? poolBytes : Number.POSITIVE_INFINITY;
  const mine = Math.min(quota === 0 ? Number.POSITIVE_INFINITY : quota, most) - directory.used + gone;
  if (parent === undefined) return Math.max(0, mine);
  const above = availableTo(parent, poolBytes, leaving) + Math.max(0, directory.limit("reservation") - directory.used) + gone;
  return Math.max(0, Math.min(mine, above));
}

/** The nearest directory that holds both, or is one of them (closest_common_ancestor). */
function commonAncestor(one: Directory, other: Directory): Directory {
  const above = new Set<Directory>();
  for (let at: Directory | undefined = one; at !== undefined; at = at.parent) above.add(at);
  let at = other;
  while (!above.has(at) && at.parent !== undefined) at = at.parent;
  return at;
}

/** How much less a directory above has when one below has less: a reservation on the way may hide it (would_change). */
function leavesAbove(directory: Directory, bytes: number, ancestor: Directory): number {
  const { parent } = directory;
  if (directory === ancestor || parent === undefined) return bytes;
  const reserved = directory.limit("reservation");
  const less = Math.max(directory.used, reserved) - Math.max(directory.used - bytes, reserved);
  return leavesAbove(parent, less, ancestor);
}

/** Whether bytes that count in one directory may count in another one: limits that both are under do not matter (dsl_dir_transfer_possible). */
export function canTransfer(from: Directory, to: Directory, bytes: number, poolBytes: number): boolean {
  const ancestor = commonAncestor(from, to);
  return availableTo(to, poolBytes, { ancestor, bytes: leavesAbove(from, bytes, ancestor) }) >= bytes;
}
