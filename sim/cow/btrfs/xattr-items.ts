/** The items of extended attributes, found by the hash of their name (fs/btrfs/dir-item.c: btrfs_insert_xattr_item, btrfs_lookup_xattr; Linux 6.18). */
import { ENOSPC, type Errno } from "../../core/errno.ts";
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

/** Whether a value may take the place of an attribute's: room for all of it is asked for beside what is there; without that it has what its leaf has free. */
function hasRoom(inode: InodeState, old: XattrEntry, value: Uint8Array): boolean {
  const at = key(inode.ino, XATTR_ITEM, nameHash(old.name));
  const free = inode.subvolume.tree.askRoom(at, DIR_BYTES + utf8Length(old.name) + value.length);
  return value.length - old.value.length <= free;
}

/** Gives an attribute a value, which the caller changes no more, or takes it away. @returns ENOSPC where the old value leaves no room for the new one (btrfs_setxattr). */
export function keepEntry(inode: InodeState, name: string, value: Uint8Array | undefined): Errno | undefined {
  const all = entriesOf(inode, name);
  const old = all.find((entry) => entry.name === name);
  if (old !== undefined && value !== undefined && !hasRoom(inode, old, value)) return ENOSPC;
  const others = all.filter((entry) => entry !== old);
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
  return undefined;
}
