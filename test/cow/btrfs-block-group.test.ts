/** Where a chunk of metadata puts its nodes (fs/btrfs/free-space-cache.c: btrfs_alloc_from_cluster, setup_cluster_no_bitmap; Linux 6.18). */
import { expect, test } from "vitest";
import { MIB } from "../../sim/core/units.ts";
import { BlockGroup } from "../../sim/cow/btrfs/block-group.ts";
import { NODE_SIZE } from "../../sim/cow/btrfs/layout.ts";

test("nodes go where it was free when the last such place was taken, and what has become free since waits, though it lies before", () => {
  const group = new BlockGroup({ start: 0, length: MIB(8), type: "metadata", stripes: [0, MIB(8)] });
  const nodes = MIB(8) / NODE_SIZE;
  const take = (count: number): number[] => {
    const taken = Array.from({ length: count }, () => (group.takeNode(NODE_SIZE) ?? Number.NaN) / NODE_SIZE);
    group.check();
    return taken;
  };
  const give = (from: number, count: number): void => {
    for (let node = from; node < from + count; node++) {
      group.discount(NODE_SIZE);
      group.give(node * NODE_SIZE, NODE_SIZE);
    }
  };
  expect(take(nodes)).toEqual(Array.from({ length: nodes }, (_, node) => node));
  expect(group.takeNode(NODE_SIZE)).toBeUndefined();
  const many = MIB(3) / NODE_SIZE;
  give(0, many);
  give(nodes - 2, 1);
  expect(take(1)).toEqual([0]);
  give(0, 1);
  give(300, 2);
  expect(take(many - 1)).toEqual(Array.from({ length: many - 1 }, (_, node) => node + 1));
  expect(take(4)).toEqual([nodes - 2, 0, 300, 301]);
  expect(group.freeBytes).toBe(0);
});
