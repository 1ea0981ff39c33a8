/** Extended attributes as calls see them (fs/btrfs/xattr.c; Linux 6.18). */
import { EEXIST, ENODATA, ENOSPC, ENOTSUP, EROFS, type Errno } from "../../core/errno.ts";
import { utf8Length } from "../../core/names.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "../../vfs/filesystem.ts";
import { resolveError, type XattrNames } from "../../vfs/xattr-store.ts";
import type { InodeState } from "./inode-state.ts";
import { stamp } from "./inodes.ts";
import type { XattrEntry } from "./items.ts";
import { DIR_BYTES, ITEM_BYTES_MAX, key, XATTR_ITEM } from "./layout.ts";
import { PROPERTIES, setProperty } from "./props.ts";
import type { BtrfsState } from "./state.ts";
import { begin } from "./transaction.ts";
import { keepEntry, keptEntry } from "./xattr-items.ts";

const NAMES: XattrNames = {
  prefixes: ["user.", "trusted.", "security.", PROPERTIES],
  whole: ["system.posix_acl_access", "system.posix_acl_default"],
};
/** What setting an xattr is estimated to change, in items. */
const XATTR_ITEMS = 2;

/** @returns ENOTSUP also of what stands for a subvolume that is not there, whatever its name. */
function nameError(inode: InodeState, name: string): Errno | undefined {
  return inode.isPlaceholder ? ENOTSUP : resolveError(name, NAMES);
}

export function getxattr(inode: InodeState, name: string): Uint8Array | Errno {
  const wrong = nameError(inode, name);
  if (wrong !== undefined) return wrong;
  return keptEntry(inode, name)?.value ?? ENODATA;
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
  const wrong = nameError(inode, name);
  if (wrong !== undefined) return wrong;
  if (inode.subvolume.item.readOnly) return EROFS;
  const refusal = (exists: boolean): Errno | undefined => {
    if (exists && (flags & XATTR_CREATE) !== 0) return EEXIST;
    return !exists && (flags & XATTR_REPLACE) !== 0 ? ENODATA : undefined;
  };
  if (name.startsWith(PROPERTIES)) return setProperty(state, inode, name, value, refusal);
  // What it may need is reserved before what there is matters (btrfs_setxattr_trans, btrfs_setxattr).
  const refused = begin(state, XATTR_ITEMS, inode.subvolume);
  if (refused !== undefined) return refused;
  if (utf8Length(name) + value.length > ITEM_BYTES_MAX - DIR_BYTES) return ENOSPC;
  const unfit = refusal(keptEntry(inode, name) !== undefined);
  if (unfit !== undefined) return unfit;
  // The caller keeps its bytes.
  const unkept = keepEntry(inode, name, value.slice());
  if (unkept !== undefined) return unkept;
  stamp(state, inode, false);
  return undefined;
}

export function removexattr(state: BtrfsState, inode: InodeState, name: string): Errno | undefined {
  const wrong = nameError(inode, name);
  if (wrong !== undefined) return wrong;
  if (inode.subvolume.item.readOnly) return EROFS;
  const refusal = (exists: boolean): Errno | undefined => (exists ? undefined : ENODATA);
  if (name.startsWith(PROPERTIES)) return setProperty(state, inode, name, new Uint8Array(0), refusal);
  const refused = begin(state, XATTR_ITEMS, inode.subvolume) ?? refusal(keptEntry(inode, name) !== undefined);
  if (refused !== undefined) return refused;
  keepEntry(inode, name, undefined);
  stamp(state, inode, false);
  return undefined;
}
