/** The attributes of an inode in a send stream. */
import type { XattrEntry } from "./items.ts";
import { key, XATTR_ITEM } from "./layout.ts";
import type { Sending } from "./sending.ts";
import type { Subvolume } from "./subvolume.ts";

function entriesOf(subvolume: Subvolume | undefined, ino: number): XattrEntry[] {
  const out: XattrEntry[] = [];
  subvolume?.tree.visit(key(ino, XATTR_ITEM), key(ino, XATTR_ITEM + 1), (_at, value) => {
    out.push(...(value as readonly XattrEntry[]));
    return false;
  });
  return out;
}

function isSame(one: XattrEntry, other: XattrEntry): boolean {
  return one.value.length === other.value.length && one.value.every((byte, at) => byte === other.value[at]);
}

export function sendXattrs(sending: Sending, ino: number): void {
  const before = entriesOf(sending.left, ino);
  const after = entriesOf(sending.right, ino);
  for (const entry of after) {
    const had = before.find(({ name }) => name === entry.name);
    if (had === undefined || !isSame(had, entry))
      sending.emit("set_xattr", { path: sending.path(ino), xattr_name: entry.name, xattr_data: entry.value });
  }
  for (const { name } of before)
    if (after.every((entry) => entry.name !== name)) sending.emit("remove_xattr", { path: sending.path(ino), xattr_name: name });
}
