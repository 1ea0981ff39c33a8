/** The items of extended attributes, found by the hash of their name (fs/btrfs/dir-item.c: btrfs_insert_xattr_item, btrfs_lookup_xattr; Linux 6.18). */
import { utf8Length } from "../../core/names.ts";
import type { InodeState } from "./inode-state.ts";
import type { XattrEntry } from "./items.ts";
import { DIR_BYTES, key, XATTR_ITEM } from "./layout.ts";
import { nameHash } from "./name-hash.ts";

function entriesOf(inode: InodeState, name: string): readonly XattrEntry[] {
  return (inode.subvolume.tree.get(key(inode.ino, XATTR_ITEM, nameHash(name))) ?? []) as readonly XattrEntry[];
}

/** The attribute of a name, if the inode has it. */
export function keptEntry(inode: InodeState, name: string): XattrEntry | undefined {
  return entriesOf(inode, name).find((entry) => entry.name === name);
}

/** Gives an attribute a value, which the caller changes no more, or takes it away. */
export function keepEntry(inode: InodeState, name: string, value: Uint8Array | undefined): void {
  const others = entriesOf(inode, name).filter((entry) => entry.name !== name);
  const entries = value === undefined ? others : [...others, { name, value }];
  const at = key(inode.ino, XATTR_ITEM, nameHash(name));
  inode.log.copyEverything = true;
  if (entries.length === 0) inode.subvolume.tree.remove(at);
  else
    inode.subvolume.tree.set(
      at,
      entries.reduce((sum, one) => sum + DIR_BYTES + utf8Length(one.name) + one.value.length, 0),
      entries,
    );
}
