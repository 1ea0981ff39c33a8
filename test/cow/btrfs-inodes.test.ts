import { expect, test } from "vitest";
import { InodeState } from "../../sim/cow/btrfs/inode-state.ts";
import { InodeTable } from "../../sim/cow/btrfs/inode-table.ts";
import { handleOf } from "../../sim/cow/btrfs/layout.ts";

/** An inode of which only the number counts. */
function inode(subvolume: number, ino: number): InodeState {
  return new InodeState(handleOf(subvolume, ino), ino, {} as never, {} as never);
}

test("an inode that was asked for last is not found once it is gone, and is another one once that has its number", () => {
  const table = new InodeTable();
  const [first, second] = [inode(5, 257), inode(5, 257)];
  table.set(first);
  table.set(inode(256, 257));
  expect([table.get(first.handle), table.get(first.handle)]).toEqual([first, first]);
  table.set(second);
  expect(table.get(first.handle)).toBe(second);
  table.delete(first.handle);
  expect(table.get(first.handle)).toBeUndefined();
});
