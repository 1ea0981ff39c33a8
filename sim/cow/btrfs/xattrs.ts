/** Extended attributes: items found by the hash of their name (fs/btrfs/xattr.c). */
import { EEXIST, ENODATA, ENOSPC, ENOTSUP, EROFS, type Errno } from "../../core/errno.ts";
import { utf8Length } from "../../core/names.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "../../vfs/filesystem.ts";
import type { InodeState } from "./inode-state.ts";
import { stamp } from "./inodes.ts";
import type { XattrEntry } from "./items.ts";
import { DIR_BYTES, ITEM_BYTES_MAX, key, XATTR_ITEM } from "./layout.ts";
import { nameHash } from "./name-hash.ts";
import type { BtrfsState } from "./state.ts";

const PREFIXES = ["user.", "trusted.", "security."];
const WHOLE = ["system.posix_acl_access", "system.posix_acl_default"];
/** What setting an xattr is estimated to change, in items. */
const XATTR_ITEMS = 2;

function isKept(name: string): boolean {
  return WHOLE.includes(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}

function entriesOf(inode: InodeState, name: string): readonly XattrEntry[] {
  return (inode.subvolume.tree.get(key(inode.ino, XATTR_ITEM, nameHash(name))) ?? []) as readonly XattrEntry[];
}

function setEntries(inode: InodeState, name: string, entries: readonly XattrEntry[]): void {
  const at = key(inode.ino, XATTR_ITEM, nameHash(name));
  if (entries.length === 0) inode.subvolume.tree.remove(at);
  else
    inode.subvolume.tree.set(
      at,
      entries.reduce((sum, one) => sum + DIR_BYTES + utf8Length(one.name) + one.value.length, 0),
      entries,
    );
}

export function getxattr(inode: InodeState, name: string): Uint8Array | Errno {
  if (!isKept(name) || inode.isPlaceholder) return ENOTSUP;
  return entriesOf(inode, name).find((entry) => entry.name === name)?.value ?? ENODATA;
}

export function listxattr(inode: InodeState): string[] {
  const out: string[] = [];
  if (inode.isPlaceholder) return out;
  inode.subvolume.tree.visit(key(inode.ino, XATTR_ITEM), key(inode.ino, XATTR_ITEM + 1), (_at, value) => {
    for (const { name } of value as readonly XattrEntry[]) out.push(name);
    return false;
  });
  return out;
}

export function setxattr(
  state: BtrfsState,
  inode: InodeState,
  attribute: { readonly name: string; readonly value: Uint8Array },
  flags: number,
): Errno | undefined {
  const { name, value } = attribute;
  if (!isKept(name) || inode.isPlaceholder) return ENOTSUP;
  if (inode.subvolume.item.readOnly) return EROFS;
  // Before what there is matters (btrfs_setxattr).
  if (utf8Length(name) + value.length > ITEM_BYTES_MAX - DIR_BYTES) return ENOSPC;
  const entries = entriesOf(inode, name);
  const exists = entries.some((entry) => entry.name === name);
  if (exists && (flags & XATTR_CREATE) !== 0) return EEXIST;
  if (!exists && (flags & XATTR_REPLACE) !== 0) return ENODATA;
  const refused = state.begin(XATTR_ITEMS, inode.subvolume);
  if (refused !== undefined) return refused;
  // The caller keeps its bytes.
  const entry: XattrEntry = { name, value: value.slice() };
  setEntries(inode, name, [...entries.filter((other) => other.name !== name), entry]);
  stamp(state, inode, false);
  return undefined;
}

export function removexattr(state: BtrfsState, inode: InodeState, name: string): Errno | undefined {
  if (!isKept(name) || inode.isPlaceholder) return ENOTSUP;
  if (inode.subvolume.item.readOnly) return EROFS;
  const entries = entriesOf(inode, name);
  if (!entries.some((entry) => entry.name === name)) return ENODATA;
  const refused = state.begin(XATTR_ITEMS);
  if (refused !== undefined) return refused;
  setEntries(
    inode,
    name,
    entries.filter((entry) => entry.name !== name),
  );
  stamp(state, inode, false);
  return undefined;
}
