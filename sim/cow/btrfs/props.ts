/**
 * Properties: what `btrfs property set` says of a file or folder, kept as an xattr of the namespace "btrfs." (fs/btrfs/props.c; xattr.c:
 * btrfs_xattr_handler_set_prop; Linux 6.18). There is one: "btrfs.compression", with the algorithm's name, or "no" or "none".
 *
 * Interface: the flags of compression that chattr shows are set with it; a new inode gets its folder's, a new subvolume that of the subvolume around it.
 */
import { EINVAL, type Errno } from "../../core/errno.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import type { Compression } from "./compression.ts";
import type { InodeState } from "./inode-state.ts";
import { stamp } from "./inodes.ts";
import { COMPRESS_FLAG, NOCOMPRESS_FLAG, NOCOW_FLAG, NODATASUM_FLAG } from "./layout.ts";
import type { BtrfsState } from "./state.ts";
import { begin } from "./transaction.ts";
import { keepEntry, keptEntry } from "./xattr-items.ts";

/** The namespace; nothing but known properties can be set in it. */
export const PROPERTIES = "btrfs.";
const COMPRESSION = "btrfs.compression";
const ALGORITHMS = ["zlib", "lzo", "zstd"] as const;
/** What setting a property is estimated to change, in items. */
const PROPERTY_ITEMS = 2;

/** The algorithm that a value begins with: a level behind it is allowed, and says nothing (btrfs_compress_is_valid_type). */
function algorithmIn(value: Uint8Array): (typeof ALGORITHMS)[number] | undefined {
  const text = new TextDecoder().decode(value);
  return ALGORITHMS.find((name) => text.startsWith(name));
}

/** What is said of an inode; "none" too where it is said not to compress. */
export function compressionProperty(inode: InodeState): Compression {
  // Without the flag, which goes with it, there is none to be looked for.
  if ((inode.flags & COMPRESS_FLAG) === 0) return "none";
  const value = keptEntry(inode, COMPRESSION)?.value;
  return value === undefined ? "none" : (algorithmIn(value) ?? "none");
}

/** Whether a file's data may be compressed at all (btrfs_inode_can_compress). */
export function canCompress(inode: InodeState): boolean {
  return (inode.flags & (NOCOW_FLAG | NODATASUM_FLAG)) === 0;
}

function saysNo(value: Uint8Array): boolean {
  const text = new TextDecoder().decode(value);
  return text === "no" || text === "none";
}

/** Why a property cannot have a value (btrfs_validate_prop). An empty one takes the property away. */
function valueError(inode: InodeState, name: string, value: Uint8Array): Errno | undefined {
  if (name !== COMPRESSION) return EINVAL;
  if (value.length === 0) return undefined;
  return canCompress(inode) && (saysNo(value) || algorithmIn(value) !== undefined) ? undefined : EINVAL;
}

/** Sets or, with an empty value, takes away what is said of compression, and the flags that go with it (prop_compression_apply). */
function applyCompression(inode: InodeState, value: Uint8Array): void {
  keepEntry(inode, COMPRESSION, value.length === 0 ? undefined : value.slice());
  inode.flags &= ~(COMPRESS_FLAG | NOCOMPRESS_FLAG);
  if (value.length > 0) inode.flags |= saysNo(value) ? NOCOMPRESS_FLAG : COMPRESS_FLAG;
}

/** What chattr(1) asks for: compression by an algorithm, or nothing said of it. */
export function setCompressed(inode: InodeState, by: Compression | undefined): void {
  applyCompression(inode, by === undefined ? NOTHING : new TextEncoder().encode(by));
}

const NOTHING = new Uint8Array(0);

/** setxattr(2) of a property. An inode that has no data takes any valid value and keeps none. */
export function setProperty(
  state: BtrfsState,
  inode: InodeState,
  name: string,
  value: Uint8Array,
  refusal: (exists: boolean) => Errno | undefined,
): Errno | undefined {
  const wrong = valueError(inode, name, value);
  if (wrong !== undefined) return wrong;
  if (!takesProperties(inode)) return undefined;
  const refused = begin(state, PROPERTY_ITEMS, inode.subvolume) ?? refusal(keptEntry(inode, name) !== undefined);
  if (refused !== undefined) return refused;
  applyCompression(inode, value);
  stamp(state, inode, false);
  return undefined;
}

/** Whether a property of an inode would do something (prop_compression_ignore). */
function takesProperties(inode: InodeState): boolean {
  const type = inode.mode & S_IFMT;
  return type === S_IFREG || type === S_IFDIR;
}

/** Gives a new inode the properties of its folder, or of the root of the subvolume that a new subvolume is in (btrfs_inode_inherit_props). */
export function inheritProperties(inode: InodeState, from: InodeState): void {
  const by = compressionProperty(from);
  if (by !== "none" && takesProperties(inode) && canCompress(inode)) setCompressed(inode, by);
}
