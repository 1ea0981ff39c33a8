/** What a hole does to the blocks of an extent tree (fs/ext4/extents.c: ext4_ext_remove_space), as Linux 6.18 answered. */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { mounted, must } from "./ext4-mounted.ts";

const BLOCK = 4096;

test("a hole that ends within an extent of four cuts it first, and the fifth takes a block, which stays", () => {
  const { host, task } = mounted(2 ** 28);
  const fd = must(task.open("/f", O_RDWR | O_CREAT, 0o644));
  for (const [first, count] of [
    [0, 128],
    [129, 64],
    [194, 31],
    [226, 200],
  ] as const) {
    must(task.pwrite(fd, Content.pattern(first + 1, count * BLOCK), first * BLOCK));
    must(task.fsync(fd));
  }
  const { blocksFree } = must(task.statfs("/"));
  must(task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 121 * BLOCK, 10 * BLOCK));
  must(task.syncfs());
  host.check();
  // Seven blocks of the first extent and two of the second, and less one for the tree.
  expect(must(task.statfs("/")).blocksFree - blocksFree).toBe(7 + 2 - 1);
});
