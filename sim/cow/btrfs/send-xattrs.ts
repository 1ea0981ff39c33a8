/** The attributes of an inode in a send stream. */
import type { XattrEntry } from "./items.ts";
import { key, XATTR_ITEM } from "./layout.ts";
import type { Sending } from "./sending.ts";
import type { Subvolume } from "./subvolume.ts";

/** The items of an inode's attributes, by the hash of their names. */
function itemsOf(subvolume: Subvolume | undefined, ino: number): ReadonlyMap<number, readonly XattrEntry[]> {
  const out = new Map<number, readonly XattrEntry[]>();
  subvolume?.tree.visit(key(ino, XATTR_ITEM), key(ino, XATTR_ITEM + 1), ({ offset }, value) => {
    out.set(offset, value as readonly XattrEntry[]);
    return false;
  });
  return out;
}

function isSame(one: XattrEntry, other: XattrEntry): boolean {
  return one.value.length === other.value.length && one.value.every((byte, at) => byte === other.value[at]);
}

/** Item by item in their order; of an item first what it has now, then what it had. */
export function sendXattrs(sending: Sending, ino: number): void {
  const before = itemsOf(sending.left, ino);
  const after = itemsOf(sending.right, ino);
  const path = (): string => sending.path(ino);
  for (const at of [...new Set([...before.keys(), ...after.keys()])].sort((one, other) => one - other)) {
    const [had, has] = [before.get(at) ?? [], after.get(at) ?? []];
    for (const entry of has) {
      if (had.some((old) => old.name === entry.name && isSame(old, entry))) continue;
      sending.emit("set_xattr", { path: path(), xattr_name: entry.name, xattr_data: entry.value });
    }
    for (const { name } of had)
      if (has.every((entry) => entry.name !== name)) sending.emit("remove_xattr", { path: path(), xattr_name: name });
  }
}
