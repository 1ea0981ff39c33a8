/** The tree of blocks below a dnode against a plain list of its blocks: what it finds, writes, lets go and counts (module/zfs/dbuf.c, dnode_sync.c). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assert } from "../../sim/core/assert.ts";
import { EIO, ENOSPC, type Errno } from "../../sim/core/errno.ts";
import { allocatedSize, type BlockPointer } from "../../sim/cow/zfs/block-pointer.ts";
import { BlockTree, type TreeIo, visitTree } from "../../sim/cow/zfs/block-tree.ts";
import { runs } from "../runs.ts";
import { must } from "./zfs-lab.ts";

/** Indirect blocks of four pointers in memory, each block with the sizes that its number says. */
class MemoryIo implements TreeIo {
  readonly fanShift = 2;
  group = 1;
  readonly indirect = new Map<BlockPointer, readonly (BlockPointer | undefined)[]>();
  readonly live = new Set<BlockPointer>();
  written = 0;
  readFails = false;
  writesLeft = Number.POSITIVE_INFINITY;
  #stamp = 1;

  block(level = 0): BlockPointer {
    const stamp = this.#stamp++;
    const dvas =
      level === 0
        ? [{ vdev: 0, offset: stamp * 4096, size: 512 * (1 + (stamp % 3)) }]
        : [1, 2].map((n) => ({ vdev: n, offset: stamp * 4096, size: 512 }));
    const made: BlockPointer = {
      dvas,
      logicalSize: 4096,
      physicalSize: 512,
      birth: this.group,
      level,
      kind: level === 0 ? "data" : "indirect",
      stamp,
    };
    this.live.add(made);
    return made;
  }
  readPointers(pointer: BlockPointer): readonly (BlockPointer | undefined)[] | Errno {
    return this.readFails ? EIO : (this.indirect.get(pointer) as readonly (BlockPointer | undefined)[]);
  }
  writePointers(pointers: readonly (BlockPointer | undefined)[], level: number): BlockPointer | Errno {
    if (this.writesLeft === 0) return ENOSPC;
    this.writesLeft -= 1;
    this.written += 1;
    assert(pointers.at(-1) !== undefined, "an indirect block ends with its last pointer");
    const made = this.block(level);
    this.indirect.set(made, pointers);
    return made;
  }
  kill(pointer: BlockPointer): void {
    assert(this.live.delete(pointer), "a block is let go once");
  }
}

function reached(io: MemoryIo, top: BlockPointer | undefined, since = -1): Set<BlockPointer> {
  const out = new Set<BlockPointer>();
  expect(visitTree(io, top, since, (pointer) => out.add(pointer))).toBeUndefined();
  return out;
}

const BLOCKS = 80;
const STEP = fc.record({
  call: fc.constantFrom("set", "set", "set", "clear", "punch", "settle"),
  block: fc.integer({ min: 0, max: BLOCKS - 1 }),
  count: fc.integer({ min: 0, max: 30 }),
});

describe("a tree of blocks", () => {
  test("finds what a plain list has, keeps exactly the blocks that lead there, and counts what they take", () => {
    fc.assert(
      fc.property(fc.array(STEP, { maxLength: 60, size: "max" }), (steps) => {
        const io = new MemoryIo();
        let tree = new BlockTree(io, undefined, 1);
        const plain = new Array<BlockPointer | undefined>(BLOCKS).fill(undefined);
        let used = 0;
        for (const { call, block, count } of [...steps, { call: "settle", block: 0, count: 0 }]) {
          if (call === "set") {
            tree.raise(block + 1);
            plain[block] = io.block();
            expect(tree.set(block, plain[block])).toBeUndefined();
          } else if (call === "clear") {
            if (block < 4 ** (tree.levels - 1)) {
              plain[block] = undefined;
              expect(tree.set(block, undefined)).toBeUndefined();
            }
          } else if (call === "punch") {
            plain.fill(undefined, block, block + count);
            expect(tree.punch(block, block + count)).toBeUndefined();
          } else {
            const top = must(tree.settle());
            used += tree.usedDelta;
            const live = reached(io, top);
            expect([...io.live].filter((pointer) => !live.has(pointer)).length + live.size - io.live.size).toBe(0);
            expect([...live].reduce((sum, pointer) => sum + allocatedSize(pointer), 0)).toBe(used);
            const blocks = [...live].filter(({ level }) => level === 0).map(({ stamp }) => stamp);
            expect(blocks).toEqual(plain.flatMap((pointer) => pointer?.stamp ?? []));
            io.group += 1;
            tree = new BlockTree(io, top, tree.levels);
          }
          expect(
            plain.findIndex((pointer, at) => tree.get(at) !== pointer),
            "the first block that is another",
          ).toBe(-1);
        }
      }),
      runs(30),
    );
  });

  test("is as high as its last block asks for", () => {
    const levels = [1, 2, 4, 5, 16, 17, 64, 65].map((blocks) => {
      const tree = new BlockTree(new MemoryIo(), undefined, 1);
      tree.raise(blocks);
      return tree.levels;
    });
    expect(levels).toEqual([1, 2, 2, 3, 3, 4, 4, 5]);
    const high = new BlockTree(new MemoryIo(), undefined, 1);
    high.raise(2 ** 33);
    expect(high.levels).toBe(18);
  });

  test("finds blocks of any number, those beyond 32 bits too", () => {
    const io = new MemoryIo();
    const tree = new BlockTree(io, undefined, 1);
    tree.raise(2 ** 40);
    const numbers = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 40 - 1];
    const blocks = numbers.map(() => io.block());
    for (const [n, number] of numbers.entries()) expect(tree.set(number, blocks[n])).toBeUndefined();
    const again = new BlockTree(io, must(tree.settle()), tree.levels);
    expect(numbers.map((number) => again.get(number))).toEqual(blocks);
    expect([2, 2 ** 31 + 1, 2 ** 33, 2 ** 40, 2 ** 45].map((number) => again.get(number))).toEqual(new Array(5).fill(undefined));
  });

  test("writes each indirect block that changed once, and none where nothing did", () => {
    const io = new MemoryIo();
    const tree = new BlockTree(io, undefined, 1);
    tree.raise(64);
    for (let block = 0; block < 8; block++) tree.set(block, io.block());
    tree.set(63, io.block());
    const top = must(tree.settle());
    expect(io.written).toBe(3 + 2 + 1);
    expect(must(tree.settle())).toBe(top);
    // A range without blocks.
    expect([tree.punch(10, 60), must(tree.settle())]).toEqual([undefined, top]);
    expect(io.written).toBe(6);
    tree.set(1, io.block());
    must(tree.settle());
    expect(io.written).toBe(9);
    // A hole that is written in a hole's place: the block above it, where there is one, and those above that.
    tree.set(62, undefined);
    must(tree.settle());
    expect(io.written).toBe(12);
    tree.set(20, undefined);
    must(tree.settle());
    expect(io.written).toBe(13);
    expect(tree.punch(0, 64)).toBeUndefined();
    expect([must(tree.settle()), io.live.size, io.written]).toEqual([undefined, 0, 13]);
  });

  test("visits what was born behind a group, each block before those below it", () => {
    const io = new MemoryIo();
    const tree = new BlockTree(io, undefined, 1);
    tree.raise(16);
    for (let block = 0; block < 16; block++) tree.set(block, io.block());
    must(tree.settle());
    io.group = 5;
    const young = io.block();
    tree.set(9, young);
    const top = must(tree.settle());
    expect([...reached(io, top, 4)].map(({ level }) => level)).toEqual([2, 1, 0]);
    expect([...reached(io, top, 4)].at(-1)).toBe(young);
    expect([reached(io, top, 5).size, reached(io, top, 0).size]).toEqual([0, 1 + 4 + 16]);
    expect([...reached(io, top)].map(({ level }) => level).slice(0, 7)).toEqual([2, 1, 0, 0, 0, 0, 1]);
  });

  /** A tree of 16 blocks on the device, none of it in memory. */
  function onDevice(): { io: MemoryIo; tree: BlockTree; top: BlockPointer | undefined; blocks: readonly BlockPointer[] } {
    const io = new MemoryIo();
    const first = new BlockTree(io, undefined, 1);
    first.raise(16);
    const blocks = Array.from({ length: 16 }, () => io.block());
    for (const [block, pointer] of blocks.entries()) first.set(block, pointer);
    const top = must(first.settle());
    return { io, tree: new BlockTree(io, top, 3), top, blocks };
  }

  test("is refused what cannot be read, and holds afterwards what it held", () => {
    const { io, tree, top, blocks } = onDevice();
    io.readFails = true;
    const calls = [tree.get(3), tree.set(3, io.block()), tree.punch(2, 5), visitTree(io, top, 0, () => undefined)];
    expect(calls).toEqual([EIO, EIO, EIO, EIO]);
    io.readFails = false;
    expect(tree.get(3)).toBe(blocks[3]);
    tree.set(3, io.block());
    io.readFails = true;
    // The way to block 3 is in memory, that to others is not.
    expect([tree.set(2, io.block()), tree.set(9, io.block()), tree.punch(4, 13)]).toEqual([undefined, EIO, EIO]);
  });

  test("is refused what cannot be written", () => {
    for (const writes of [0, 1]) {
      const { io, tree } = onDevice();
      tree.set(3, io.block());
      tree.set(9, io.block());
      io.writesLeft = writes;
      expect(tree.settle()).toBe(ENOSPC);
    }
  });
});
