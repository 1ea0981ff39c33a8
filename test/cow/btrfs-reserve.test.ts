/**
 * The global reserve of a btrfs (Linux 6.18: /sys/fs/btrfs/UUID/allocation/global_rsv_size): of one with 90,000 extents of a sector, whose trees of extents, checksums
 * and free space had 442, 26 and 1 nodes when it was mounted, 7,684,096 bytes; 6,488,064 when the last chunk was made; of a small one 5,767,168.
 */
import { expect, test } from "vitest";
import { KIB, MIB } from "../../sim/core/units.ts";
import { GlobalReserve } from "../../sim/cow/btrfs/global-reserve.ts";
import { CHECKSUM_TREE, EXTENT_TREE, FREE_SPACE_TREE, NODE_SIZE, ROOT_TREE } from "../../sim/cow/btrfs/layout.ts";
import { BtrfsLab } from "./btrfs-lab.ts";

/** Trees of so many nodes, which may change. */
function reserveOf(nodes: Record<number, number>): GlobalReserve {
  const treeOf = (id: number): { visitNodes: (visitor: () => void) => void } => ({
    visitNodes: (visitor) => {
      for (let n = 0; n < (nodes[id] ?? 0); n++) visitor();
    },
  });
  return new GlobalReserve(new Map(Object.keys(nodes).map((id) => [Number(id), treeOf(Number(id))])));
}

test("is as large as the trees that each commit changes, but for the root tree as it was mounted", () => {
  const nodes = { [ROOT_TREE]: 3, [EXTENT_TREE]: 442, [CHECKSUM_TREE]: 26, [FREE_SPACE_TREE]: 1 };
  const reserve = reserveOf(nodes);
  expect(reserve.size).toBe(7_684_096);
  nodes[ROOT_TREE] = 5;
  expect(reserve.size).toBe(7_684_096);
  reserve.renew();
  expect(reserve.size).toBe(7_684_096 + 2 * NODE_SIZE);
});

test("is what one removal needs at least, and 512 MiB at most", () => {
  expect(reserveOf({ [ROOT_TREE]: 1, [EXTENT_TREE]: 352, [CHECKSUM_TREE]: 0, [FREE_SPACE_TREE]: 0 }).size).toBe(5_767_168);
  expect(reserveOf({ [ROOT_TREE]: 1, [EXTENT_TREE]: 353, [CHECKSUM_TREE]: 0, [FREE_SPACE_TREE]: 0 }).size).toBe(353 * NODE_SIZE);
  expect(reserveOf({ [ROOT_TREE]: 1, [EXTENT_TREE]: 40_000, [CHECKSUM_TREE]: 0 }).size).toBe(MIB(512));
  // Without a free space tree there is one tree less to change, for each item and for what refers to its node.
  expect(reserveOf({ [ROOT_TREE]: 1, [EXTENT_TREE]: 1, [CHECKSUM_TREE]: 1 }).size).toBe(15 * KIB(256));
});

test("is counted anew with each chunk that is made", () => {
  const { fs } = new BtrfsLab({ size: MIB(900) });
  const { globalReserve, space } = fs.state;
  expect(globalReserve.size).toBe(5_767_168);
  const counted: boolean[] = [];
  const renew = globalReserve.renew.bind(globalReserve);
  globalReserve.renew = () => {
    counted.push(true);
    renew();
  };
  space.makeChunk("data");
  expect([counted.length, globalReserve.size]).toEqual([1, 5_767_168]);
});
