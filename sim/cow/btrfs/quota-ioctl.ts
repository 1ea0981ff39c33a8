/** What `btrfs quota` and `btrfs qgroup` ask of a mounted filesystem (fs/btrfs/ioctl.c, qgroup.c; Linux 6.18). */
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOTCONN, type Errno, isErrno } from "../../core/errno.ts";
import { Tree } from "../tree.ts";
import type { Btrfs } from "./btrfs.ts";
import type { QgroupLimit } from "./items.ts";
import { key, NODE_SIZE, QGROUP_STATUS, QUOTA_TREE, TOP_SUBVOLUME } from "./layout.ts";
import { removeQgroup, setRelation } from "./quota-items.ts";
import { type Qgroup, Quotas, qgroupLevel } from "./quotas.ts";
import type { Subvolume } from "./subvolume.ts";
import { begin, beginUnlimited } from "./transaction.ts";

/** `btrfs quota enable`: all that there is, is counted at once. */
export function enableQuota(fs: Btrfs): Errno | undefined {
  const { state } = fs;
  if (state.quotas !== undefined) return undefined;
  const refused = beginUnlimited(state, 2) ?? state.flushAndCommit();
  if (refused !== undefined) return refused;
  const tree = new Tree(state, QUOTA_TREE);
  state.trees.set(QUOTA_TREE, tree);
  tree.set(key(0, QGROUP_STATUS), 32, { inconsistent: false });
  const quotas = new Quotas();
  for (const id of [...state.subvolumes.keys()].sort((one, other) => one - other)) quotas.add(id);
  state.quotas = quotas;
  return state.commit() ?? rescanQuota(fs);
}

/** `btrfs quota disable`. */
export function disableQuota(fs: Btrfs): Errno | undefined {
  const { state } = fs;
  const tree = state.trees.get(QUOTA_TREE);
  if (tree === undefined) return undefined;
  const refused = beginUnlimited(state, 2);
  if (refused !== undefined) return refused;
  state.quotas = undefined;
  state.references.dropTree(tree, () => undefined);
  state.dropPlainTree(QUOTA_TREE);
  return state.commit();
}

/** `btrfs quota rescan -w`: counts everything from scratch. */
export function rescanQuota(fs: Btrfs): Errno | undefined {
  const { state } = fs;
  const { quotas } = state;
  if (quotas === undefined) return ENOTCONN;
  const committed = state.flushAndCommit();
  if (committed !== undefined) return committed;
  const owners = new Map<number, { length: number; ids: number[] }>();
  for (const { id, tree } of state.subvolumes.values()) {
    const reach = (start: number, length: number): void => {
      const known = owners.get(start);
      if (known === undefined) owners.set(start, { length, ids: [id] });
      else if (known.ids.at(-1) !== id) known.ids.push(id);
    };
    tree.visitNodes((node) => {
      reach(node.address, NODE_SIZE);
      for (let slot = 0; node.level === 0 && slot < node.count; slot++) {
        const item = state.referenceOf(node, slot);
        if (item !== undefined) reach(item.start, state.references.lengthOf(item.start));
      }
    });
  }
  quotas.restart();
  for (const { length, ids } of owners.values()) quotas.account(length, new Set(), new Set(ids));
  state.touchQuotas();
  return state.commit();
}

/** A quota group, among all. @returns ENOTCONN while quotas are off, ENOENT when there is no such group. */
function qgroupOf(fs: Btrfs, id: number): { quotas: Quotas; group: Qgroup } | Errno {
  const { quotas } = fs.state;
  if (quotas === undefined) return ENOTCONN;
  const group = quotas.groups.get(id);
  return group === undefined ? ENOENT : { quotas, group };
}

/**
 * `btrfs qgroup limit`.
 * @param through - the subvolume that the call was made in. @returns EDQUOT where that has no room for an item under its limit (KernelProfile: limitsReserve).
 */
export function limitQgroup(
  fs: Btrfs,
  id: number,
  limit: Partial<QgroupLimit>,
  through: number = TOP_SUBVOLUME,
): Errno | undefined {
  const found = qgroupOf(fs, id);
  if (isErrno(found)) return found;
  const { profile, subvolumes } = fs.state;
  const refused = profile.limitsReserve ? begin(fs.state, 1, subvolumes.get(through) as Subvolume) : undefined;
  if (refused !== undefined) return refused;
  const { group } = found;
  group.limit = { ...group.limit, ...limit };
  group.dirty = true;
  fs.state.touchQuotas();
  return undefined;
}

/** `btrfs qgroup create`: of a level above 0, since groups of level 0 come and go with their subvolumes. */
export function createQgroup(fs: Btrfs, id: number): Errno | undefined {
  const { quotas } = fs.state;
  if (qgroupLevel(id) === 0) return EINVAL;
  if (quotas === undefined) return ENOTCONN;
  if (quotas.groups.has(id)) return EEXIST;
  quotas.add(id);
  fs.state.touchQuotas();
  return undefined;
}

/** `btrfs qgroup destroy`. @returns EBUSY for a group with members, and for that of a subvolume. */
export function destroyQgroup(fs: Btrfs, id: number): Errno | undefined {
  const found = qgroupOf(fs, id);
  if (isErrno(found)) return found;
  const { quotas, group } = found;
  if (group.members.size > 0 || fs.state.subvolumes.has(id)) return EBUSY;
  removeQgroup(fs.state, quotas, group);
  fs.state.touchQuotas();
  return undefined;
}

/** The two ends of a relation. */
function endsOf(fs: Btrfs, member: number, parent: number): { quotas: Quotas; member: Qgroup; parent: Qgroup } | Errno {
  const { quotas } = fs.state;
  if (quotas === undefined) return ENOTCONN;
  const lower = quotas.groups.get(member);
  const upper = quotas.groups.get(parent);
  return lower === undefined || upper === undefined ? EINVAL : { quotas, member: lower, parent: upper };
}

/** `btrfs qgroup assign`: makes a group a member of one of a higher level. @returns EINVAL for ends that cannot be, EEXIST. */
export function assignQgroup(fs: Btrfs, member: number, parent: number): Errno | undefined {
  if (qgroupLevel(member) >= qgroupLevel(parent)) return EINVAL;
  const ends = endsOf(fs, member, parent);
  if (isErrno(ends)) return ends;
  if (ends.member.parents.has(ends.parent)) return EEXIST;
  setRelation(fs.state, member, parent, true);
  // The tool asks for a rescan where the kernel says that counts are wrong now.
  return ends.quotas.relate(ends.member, ends.parent) ? undefined : rescanQuota(fs);
}

/** `btrfs qgroup remove`: ends a membership. @returns ENOENT where there is none. */
export function unassignQgroup(fs: Btrfs, member: number, parent: number): Errno | undefined {
  const ends = endsOf(fs, member, parent);
  if (isErrno(ends)) return ends === EINVAL ? ENOENT : ends;
  if (!ends.member.parents.has(ends.parent)) return ENOENT;
  setRelation(fs.state, member, parent, false);
  return ends.quotas.unrelate(ends.member, ends.parent) ? undefined : rescanQuota(fs);
}

/**
 * The groups that a new subvolume is to be in (BTRFS_SUBVOL_QGROUP_INHERIT): none while quotas are off, whatever is asked for
 * (btrfs_qgroup_check_inherit). @returns EINVAL for a group of level 0, ENOENT for one that is not there.
 */
export function inheritedGroups(fs: Btrfs, ids: readonly number[]): readonly Qgroup[] | Errno {
  const found: Qgroup[] = [];
  const { quotas } = fs.state;
  if (quotas === undefined) return found;
  for (const id of ids) {
    if (qgroupLevel(id) === 0) return EINVAL;
    const group = quotas.groups.get(id);
    if (group === undefined) return ENOENT;
    found.push(group);
  }
  return found;
}
