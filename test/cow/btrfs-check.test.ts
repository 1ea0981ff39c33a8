/**
 * That check() finds what does not add up, each thing broken by hand; that asking for what is not there is an error that names it; and rules of chunks
 * and of free ranges that only a full device shows.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { BlockGroup } from "../../sim/cow/btrfs/block-group.ts";
import type { ChunkType, FileExtent } from "../../sim/cow/btrfs/items.ts";
import {
  EXTENT_DATA,
  EXTENT_TREE,
  FILE_EXTENT_BYTES,
  FREE_SPACE_EXTENT,
  FREE_SPACE_INFO,
  FREE_SPACE_TREE,
  key,
  METADATA_ITEM,
  NODE_SIZE,
} from "../../sim/cow/btrfs/layout.ts";
import { qgroupId } from "../../sim/cow/btrfs/quotas.ts";
import { Space } from "../../sim/cow/btrfs/space.ts";
import type { BtrfsState } from "../../sim/cow/btrfs/state.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

function lab(): BtrfsLab {
  const made = new BtrfsLab({ size: GIB(1) });
  must(made.subvolume("/m/a"));
  must(made.write("/m/a/f", Content.pattern(1, KIB(64))));
  made.quota();
  made.settle();
  return made;
}

/** The place of the file's data. */
function dataOf(state: BtrfsState): number {
  const group = state.space.groups.find(({ type }) => type === "data");
  return state.tree(EXTENT_TREE).first(key(group?.start ?? 0, 0), key(2 ** 50, 0)) === undefined ? 0 : (group?.start ?? 0);
}

const BREAKAGES: readonly (readonly [what: string, breaks: (of: BtrfsLab) => void, message: RegExp])[] = [
  [
    "a reference that no tree makes",
    ({ fs: { state } }) => state.references.changeNode(state.tree(5).root, { tree: 256 }, 1),
    /extent \d+ counts 2 references, trees make 1/,
  ],
  [
    "data that nobody uses",
    ({ fs: { state } }) => {
      const { start, length } = state.space.takePromised(4096, undefined);
      state.references.addData({ start, length, generation: state.generation }, 5, { start, object: 257, offset: 0 });
    },
    /extent \d+ counts 1 references, trees make 0/,
  ],
  [
    "bytes of a chunk that it does not count",
    ({ fs: { state } }) => {
      for (const group of state.space.groups) if (group.type === "data") group.used -= 4096;
    },
    /block group \d+ counts \d+ bytes, its extents are \d+/,
  ],
  [
    "a free range that the free space tree does not tell",
    ({ fs: { state } }) => {
      const tree = state.tree(FREE_SPACE_TREE);
      tree.removeRange(key(dataOf(state), FREE_SPACE_EXTENT), key(dataOf(state) + MIB(8), 0));
    },
    /the free space tree tells what block group \d+ has free/,
  ],
  [
    "a count of free ranges",
    ({ fs: { state } }) => {
      const [group] = state.space.groups;
      const at = key(group?.start ?? 0, FREE_SPACE_INFO, group?.length ?? 0);
      state.tree(FREE_SPACE_TREE).set(at, 8, { ranges: 77, usesBitmaps: false });
    },
    /block group \d+ has 77 free ranges/,
  ],
  [
    "bytes that are promised to nobody",
    ({ fs: { state } }) => {
      state.delayedBytes += 4096;
    },
    /4096 bytes are promised, inodes have 0/,
  ],
  [
    "bytes that are promised to clean pages",
    (of) => {
      must(of.write("/m/a/f", Content.pattern(2, 4096)));
      for (const inode of of.fs.state.dirtied) inode.delayed?.set(MIB(1), MIB(1) + 4096, true);
      of.fs.state.delayedBytes += 4096;
    },
    /what is promised to inode 257 at 1048576 is dirty/,
  ],
  [
    "changes that wait of no inode",
    ({ fs: { state } }) => {
      state.delayedInodes.count += 1;
    },
    /1 changes wait, inodes have 0/,
  ],
  [
    "what a quota group refers to",
    ({ fs: { state } }) => {
      const group = state.quotas?.groupOf(256);
      if (group !== undefined) group.referenced += 4096;
    },
    /qgroup 0\/256 counts \d+\/\d+, reaches \d+\/\d+/,
  ],
  [
    "a quota group of another's, that is gone",
    ({ fs: { state } }) => {
      const upper = state.quotas?.add(qgroupId(1, 0));
      const group = state.quotas?.groupOf(256);
      if (group !== undefined && upper !== undefined) state.quotas?.connect(group, upper);
      state.quotas?.groups.delete(qgroupId(1, 0));
    },
    /qgroup 0\/256 has a parent that is gone/,
  ],
  [
    "a count of references that are not kept",
    ({ fs: { state } }) => {
      const tree = state.tree(EXTENT_TREE);
      const extent = state.storedExtent(state.tree(256).root);
      if (extent === undefined) throw new Error("no extent of a root");
      tree.set(key(extent.start, METADATA_ITEM, extent.level), extent.itemBytes, { ...extent, references: 2 });
    },
    /extent \d+ counts 2 references, keeps 1/,
  ],
  [
    "an item of a file with data that is no extent",
    ({ fs: { state } }) => {
      const disk = {
        kind: "regular",
        generation: 1,
        start: MIB(500),
        diskBytes: 4096,
        ramBytes: 4096,
        offset: 0,
        length: 4096,
      } as const;
      const tree = state.tree(256);
      tree.set(key(257, EXTENT_DATA, MIB(10)), FILE_EXTENT_BYTES, { ...disk, compression: "none" } satisfies FileExtent);
    },
    /what is at 524288000 is an extent/,
  ],
  [
    "changes that no commit settles",
    (of) => {
      for (const inode of of.fs.state.inodes.of(256)) inode.isDirty = true;
    },
    /no commit settles what waits of inode 25\d/,
  ],
  [
    "a chunk that is fuller than it is",
    ({ fs: { state } }) => {
      for (const group of state.space.groups) if (group.type === "system") group.used = group.length;
    },
    /block group \d+ holds no more than it has/,
  ],
  [
    "a quota group with more of its own than it has",
    ({ fs: { state } }) => {
      const group = state.quotas?.groupOf(256);
      if (group !== undefined) group.exclusive = group.referenced + 1;
    },
    /qgroup 0\/256 has \d+ of \d+ alone/,
  ],
  [
    "a quota group that is a member of a lower one",
    ({ fs: { state } }) => {
      const upper = state.quotas?.add(qgroupId(1, 0));
      const group = state.quotas?.groupOf(256);
      if (group !== undefined && upper !== undefined) state.quotas?.connect(upper, group);
    },
    /qgroup 0\/256 has members of lower levels/,
  ],
  [
    "items of a leaf out of order",
    ({ fs: { state } }) => {
      const leaf = state.tree(5).own(state.tree(5).rootNode, undefined, 0);
      leaf.setKey(0, key(10_000, 1));
    },
    /tree 5: keys of \d+ are out of order/,
  ],
];

describe("check()", () => {
  test.each(BREAKAGES)("finds %s", (_, breaks, message) => {
    const of = lab();
    of.fs.check();
    breaks(of);
    expect(() => of.fs.check()).toThrow(message);
  });

  test("counts what has lost its last reference until the commit", () => {
    const of = new BtrfsLab({ size: GIB(1) });
    must(of.write("/m/f", Content.pattern(1, KIB(64))));
    of.settle();
    must(of.host.task.unlink("/m/f"));
    of.fs.check();
    of.settle();
    of.fs.check();
  });
});

test("a tree, a node, an extent or a quota group that is not there is named", () => {
  const { state } = lab().fs;
  expect(() => state.tree(999)).toThrow("has no tree 999");
  expect(() => state.read(999 * NODE_SIZE)).toThrow(`has no node at ${999 * NODE_SIZE}`);
  expect(() => state.references.count(4096)).toThrow("no extent at 4096");
  expect(() => state.quotas?.groupOf(999)).toThrow("subvolume 999 has a quota group");
});

describe("chunks", () => {
  const chunk = (start: number, length: number, type: ChunkType): BlockGroup =>
    new BlockGroup({ start, length, type, stripes: type === "data" ? [start] : [start, start + length] });

  // init_alloc_chunk_ctl_policy_regular: 32 MiB of system, 256 MiB of metadata (1 GiB on a device above 50 GiB), 1 GiB of data; none above a tenth.
  test.each([
    [GIB(1), MIB(32), MIB(112), MIB(112)],
    [GIB(10), MIB(32), MIB(256), GIB(1)],
    [GIB(100), MIB(32), GIB(1), GIB(1)],
  ])("of a device of %i bytes are as long as the kernel makes them", (size, system, metadata, data) => {
    const space = new Space(size, true);
    expect([space.chunkBytes("system"), space.chunkBytes("metadata"), space.chunkBytes("data")]).toEqual([
      system,
      metadata,
      data,
    ]);
  });

  test.each(["system", "metadata"] as const)("of %s that are full are joined by another, which nodes come from then", (type) => {
    const space = new Space(GIB(1), true);
    space.add(chunk(MIB(32), MIB(1), type));
    const made: number[] = [];
    space.onChunk = (group) => made.push(group.length);
    const nodes = Array.from({ length: 65 }, () => space.takeNode(type, NODE_SIZE));
    expect(new Set(nodes).size).toBe(65);
    expect(made).toEqual([space.groups[1]?.length]);
    expect(nodes.filter((at) => at < MIB(33)).length).toBe(64);
    // What is given back in the first chunk is taken before the second.
    space.release(nodes[3] as number, NODE_SIZE);
    expect(space.takeNode(type, NODE_SIZE)).toBe(nodes[3]);
    space.check();
  });

  test("of data that are full give what is left in pieces, and then nothing", () => {
    const space = new Space(MIB(9), true);
    space.add(chunk(MIB(1), MIB(8), "data"));
    const taken = [space.takeData(MIB(6), undefined), space.takeData(MIB(4), undefined), space.takeData(4096, undefined)];
    expect(taken.map((one) => one?.length)).toEqual([MIB(6), MIB(2), undefined]);
  });

  test("with hundreds of free ranges are searched for the longest among the first, and on until one fits", () => {
    const group = chunk(0, MIB(8), "data");
    // Every other sector of the first 4 MiB is taken, then two in a row are free, then all that is left.
    for (let at = 0; at < MIB(4); at += 8192) group.take(at, 4096);
    group.take(MIB(4) + 8192, 4096);
    expect(group.find(4096)).toBe(4096);
    expect(group.find(8192)).toBe(MIB(4) - 4096);
    expect(group.find(MIB(2))).toBe(MIB(4) + 12_288);
    expect(group.find(MIB(7))).toBeUndefined();
    expect(group.longest).toBe(MIB(4) - 12_288);
  });
});
