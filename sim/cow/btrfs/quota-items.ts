/** Quota groups in the quota tree (fs/btrfs/qgroup.c: add_qgroup_relation_item, del_qgroup_item). */
import { key, QGROUP_INFO, QGROUP_LIMIT, QGROUP_RELATION, QUOTA_TREE } from "./layout.ts";
import type { Qgroup, Quotas } from "./quotas.ts";
import type { BtrfsState } from "./state.ts";

/** Makes or removes the items of a membership, one each way. */
export function setRelation(state: BtrfsState, member: number, parent: number, isMade: boolean): void {
  const tree = state.tree(QUOTA_TREE);
  for (const [from, to] of [
    [member, parent],
    [parent, member],
  ] as const) {
    const at = key(from, QGROUP_RELATION, to);
    if (isMade) tree.set(at, 0, true);
    else tree.remove(at);
  }
}

/** Forgets a quota group; what it counts leaves the groups above it (btrfs_remove_qgroup). */
export function removeQgroup(state: BtrfsState, quotas: Quotas, group: Qgroup): void {
  const { id } = group;
  const tree = state.tree(QUOTA_TREE);
  tree.remove(key(0, QGROUP_INFO, id));
  tree.remove(key(0, QGROUP_LIMIT, id));
  for (const parent of [...group.parents]) {
    quotas.unrelate(group, parent);
    setRelation(state, id, parent.id, false);
  }
  quotas.groups.delete(id);
}
