/**
 * Quota groups: what subvolumes refer to, alone or with others, and limits of it (fs/btrfs/qgroup.c; Linux 6.18. spec/block-cow.md 2.4).
 *
 * Words: a group of *level* 0 is a subvolume's; one of a higher level counts what its *members* have together, and is a *parent* of each. *Referenced* counts every extent
 * that can be reached from a member's root with its whole length on the device; *exclusive* those that no root outside can reach.
 *
 * Interface:
 * - Counts change at a commit. In between, what calls promise is reserved against the limits of the group and of all above it, and given back by the commit that counts it.
 * - What would take a count of everything to know makes the groups *inconsistent*: they stand still until a rescan, or until the next mount begins to count again.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import type { QgroupItem, QgroupLimit } from "./items.ts";
import { NODE_SIZE } from "./layout.ts";

export interface Qgroup {
  /** The subvolume's, for level 0; see qgroupId. */
  readonly id: number;
  referenced: number;
  exclusive: number;
  limit: QgroupLimit;
  /** Bytes promised since the last commit. */
  reserved: number;
  dirty: boolean;
  readonly parents: Set<Qgroup>;
  readonly members: Set<Qgroup>;
}

const UNLIMITED: QgroupLimit = { referencedMax: undefined, exclusiveMax: undefined };
const LEVEL = 2 ** 48;

/** The number of a group that is written as LEVEL/ID. */
export function qgroupId(level: number, id: number): number {
  return level * LEVEL + id;
}

export function qgroupLevel(id: number): number {
  return Math.floor(id / LEVEL);
}

/** LEVEL/ID. */
export function qgroupName(id: number): string {
  return `${qgroupLevel(id)}/${id % LEVEL}`;
}

/** The group and all above it, each once. */
function upwards(group: Qgroup): ReadonlySet<Qgroup> {
  const found = new Set([group]);
  for (const one of found) for (const parent of one.parents) found.add(parent);
  return found;
}

function fits(group: Qgroup, more: number): boolean {
  const { referencedMax, exclusiveMax } = group.limit;
  const promised = group.reserved + more;
  if (referencedMax !== undefined && group.referenced + promised > referencedMax) return false;
  return exclusiveMax === undefined || group.exclusive + promised <= exclusiveMax;
}

export class Quotas {
  readonly groups: Map<number, Qgroup> = new Map();
  /** Whether counts may be wrong until a rescan. */
  inconsistent = false;
  /** Whether commits leave counts as they are. */
  standsStill = false;

  add(id: number, item: QgroupItem = { referenced: 0, exclusive: 0 }, limit: QgroupLimit = UNLIMITED): Qgroup {
    const group: Qgroup = { id, ...item, limit, reserved: 0, dirty: true, parents: new Set(), members: new Set() };
    this.groups.set(id, group);
    return group;
  }

  /** Only a rescan can tell what is right (qgroup_mark_inconsistent). */
  markInconsistent(): void {
    this.inconsistent = true;
    this.standsStill = true;
  }

  /** A rescan begins to count from nothing. */
  restart(): void {
    this.inconsistent = false;
    this.standsStill = false;
    for (const group of this.groups.values()) Object.assign(group, { referenced: 0, exclusive: 0, dirty: true });
  }

  // Relations

  /** Makes a group a member of another. @returns whether counts are as right as before: what it counts is known to be new there if all of it is its own. */
  relate(member: Qgroup, parent: Qgroup): boolean {
    this.connect(member, parent);
    return this.#addUp(member, parent, 1);
  }

  /** Ends a relation. @returns as `relate`. */
  unrelate(member: Qgroup, parent: Qgroup): boolean {
    member.parents.delete(parent);
    parent.members.delete(member);
    return this.#addUp(member, parent, -1);
  }

  /** Makes a relation as it was, which counts have in them. */
  connect(member: Qgroup, parent: Qgroup): void {
    member.parents.add(parent);
    parent.members.add(member);
  }

  /** What a member brings or takes (quick_update_accounting). */
  #addUp(member: Qgroup, parent: Qgroup, sign: 1 | -1): boolean {
    if (member.exclusive !== member.referenced) {
      this.markInconsistent();
      return false;
    }
    for (const group of upwards(parent)) {
      group.referenced += sign * member.referenced;
      group.exclusive += sign * member.referenced;
      group.reserved += sign * member.reserved;
      group.dirty = true;
    }
    return true;
  }

  /**
   * A snapshot's group: all that the source has is shared now, but for the two root nodes (btrfs_qgroup_inherit).
   * @param parents - groups that the snapshot's becomes a member of (`btrfs subvolume snapshot -i`).
   */
  inherit(source: Qgroup | undefined, id: number, parents: readonly Qgroup[]): void {
    // The snapshot is limited as its source is.
    const item = source === undefined ? undefined : { referenced: source.referenced, exclusive: NODE_SIZE };
    const made = this.add(id, item, source?.limit);
    for (const parent of parents) this.connect(made, parent);
    if (source === undefined) return;
    source.exclusive = NODE_SIZE;
    source.dirty = true;
    if (parents.length === 0 && source.parents.size > 0) this.markInconsistent();
    for (const parent of parents) if (!this.#inheritQuickly(source, parent)) this.markInconsistent();
  }

  /** A snapshot within the one group that has its source, all of whose bytes are its own, adds a node (qgroup_snapshot_quick_inherit). */
  #inheritQuickly(source: Qgroup, parent: Qgroup): boolean {
    const isAlike = source.parents.size === 1 && source.parents.has(parent);
    if (!isAlike || parent.exclusive !== parent.referenced) return false;
    for (const group of upwards(parent)) {
      group.referenced += NODE_SIZE;
      group.exclusive += NODE_SIZE;
      group.dirty = true;
    }
    return true;
  }

  /** The group of a subvolume, which comes with it and stays as long as it does. */
  groupOf(subvolume: number): Qgroup {
    const group = this.groups.get(subvolume);
    if (group === undefined) throw new InvariantError(`subvolume ${subvolume} has a quota group`);
    return group;
  }

  // Promises

  #reserve(id: number, promised: number, beside: number): boolean {
    const above = upwards(this.groupOf(id));
    for (const one of above) if (!fits(one, promised + beside)) return false;
    for (const one of above) one.reserved += promised;
    return true;
  }

  /** Promises nodes for items. @returns false when a limit forbids it. */
  reserveItems(id: number, items: number): boolean {
    return this.#reserve(id, items * NODE_SIZE, 0);
  }

  /** Promises bytes of data, which need room for a node beside them. */
  reserveData(id: number, bytes: number): boolean {
    return this.#reserve(id, bytes, NODE_SIZE);
  }

  /** Forgets promises: a commit has counted what they became. @param kept - bytes that are still delayed, by subvolume. */
  settle(kept: ReadonlyMap<number, number>): void {
    for (const group of this.groups.values()) group.reserved = 0;
    for (const [id, bytes] of kept) {
      for (const one of upwards(this.groupOf(id))) one.reserved += bytes;
    }
  }

  // Counts

  /** How many of the subvolumes each group has below it. */
  #countBelow(subvolumes: ReadonlySet<number>): Map<Qgroup, number> {
    const counts = new Map<Qgroup, number>();
    for (const id of subvolumes) for (const one of upwards(this.groupOf(id))) counts.set(one, (counts.get(one) ?? 0) + 1);
    return counts;
  }

  /** An extent of so many bytes had these subvolumes, and has those now (qgroup_update_counters). */
  account(length: number, before: ReadonlySet<number>, after: ReadonlySet<number>): void {
    const then = this.#countBelow(before);
    const now = this.#countBelow(after);
    for (const group of new Set([...then.keys(), ...now.keys()])) {
      const was = then.get(group) ?? 0;
      const is = now.get(group) ?? 0;
      const here = (is > 0 ? 1 : 0) - (was > 0 ? 1 : 0);
      const alone = (is > 0 && is === after.size ? 1 : 0) - (was > 0 && was === before.size ? 1 : 0);
      if (here === 0 && alone === 0) continue;
      group.referenced += here * length;
      group.exclusive += alone * length;
      group.dirty = true;
    }
  }

  check(): void {
    for (const { id, referenced, exclusive, parents, members } of this.groups.values()) {
      const name = qgroupName(id);
      if (!this.inconsistent)
        assert(exclusive >= 0 && exclusive <= referenced, `qgroup ${name} has ${exclusive} of ${referenced} alone`);
      for (const parent of parents) assert(this.groups.get(parent.id) === parent, `qgroup ${name} has a parent that is gone`);
      for (const member of members)
        assert(qgroupLevel(member.id) < qgroupLevel(id), `qgroup ${name} has members of lower levels`);
    }
  }
}
