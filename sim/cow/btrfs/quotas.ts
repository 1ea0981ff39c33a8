/**
 * Quota groups of level 0: what each subvolume refers to, alone or with others, and limits of it (fs/btrfs/qgroup.c; Linux 6.18. spec/block-cow.md 2.4).
 *
 * Words: *referenced* counts every extent that can be reached from the subvolume's root with its whole length on the device; *exclusive* those that can be reached from no other.
 *
 * Interface: counts change at a commit. In between, what calls promise is reserved against the limits, and given back by the commit that counts it.
 */
import { assert } from "../../core/assert.ts";
import type { QgroupItem, QgroupLimit } from "./items.ts";
import { NODE_SIZE } from "./layout.ts";

export interface Qgroup {
  /** 0/id: the subvolume. */
  readonly id: number;
  referenced: number;
  exclusive: number;
  limit: QgroupLimit;
  /** Bytes promised since the last commit. */
  reserved: number;
  dirty: boolean;
}

const UNLIMITED: QgroupLimit = { referencedMax: undefined, exclusiveMax: undefined };

export class Quotas {
  readonly groups: Map<number, Qgroup> = new Map();

  add(id: number, item: QgroupItem = { referenced: 0, exclusive: 0 }, limit: QgroupLimit = UNLIMITED): Qgroup {
    const group: Qgroup = { id, ...item, limit, reserved: 0, dirty: true };
    this.groups.set(id, group);
    return group;
  }

  #reserve(id: number, promised: number, beside: number): boolean {
    const group = this.groups.get(id);
    if (group === undefined) return true;
    const { referencedMax, exclusiveMax } = group.limit;
    if (referencedMax === undefined && exclusiveMax === undefined) return true;
    const more = group.reserved + promised + beside;
    if (referencedMax !== undefined && group.referenced + more > referencedMax) return false;
    if (exclusiveMax !== undefined && group.exclusive + more > exclusiveMax) return false;
    group.reserved += promised;
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
    for (const group of this.groups.values()) group.reserved = kept.get(group.id) ?? 0;
  }

  /** An extent of so many bytes had these subvolumes, and has those now. */
  account(length: number, before: ReadonlySet<number>, after: ReadonlySet<number>): void {
    for (const id of new Set([...before, ...after])) {
      const group = this.groups.get(id);
      if (group === undefined) continue;
      const was = before.has(id);
      const is = after.has(id);
      const alone = (is && after.size === 1 ? 1 : 0) - (was && before.size === 1 ? 1 : 0);
      const here = (is ? 1 : 0) - (was ? 1 : 0);
      if (here === 0 && alone === 0) continue;
      group.referenced += here * length;
      group.exclusive += alone * length;
      group.dirty = true;
    }
  }

  check(): void {
    for (const { id, referenced, exclusive } of this.groups.values())
      assert(exclusive >= 0 && exclusive <= referenced, `qgroup 0/${id} has ${exclusive} of ${referenced} alone`);
  }
}
