/**
 * Extended attributes (fs/ext4/xattr.c): first in what an inode of 256 bytes has left, then in one block of their own.
 *
 * Interface: names come whole ("user.k"). A value that fits neither gives ENOSPC. Kernel: ext4_xattr_set_handle.
 */
import { Content } from "../../core/content.ts";
import { EEXIST, ENODATA, ENOSPC, ERANGE, type Errno } from "../../core/errno.ts";
import { utf8Length } from "../../core/names.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "../../vfs/filesystem.ts";
import { resolveError, type XattrNames } from "../../vfs/xattr-store.ts";
import { allocateMetadata, canReserve, freeMetadata, goalOf } from "./allocate.ts";
import { BLOCK_SIZE, INODE_SIZE } from "./layout.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";
import { valueIn, without, withValue, type Xattr } from "./xattr-list.ts";
import { readBlock, XattrBlock, type XattrSet } from "./xattr-set.ts";

const ENTRY_BYTES = 16;
/** 128 bytes of old inode, 32 of i_extra_isize, 4 of magic, 4 of terminator. */
const IN_INODE_BYTES: number = INODE_SIZE - 128 - 32 - 4 - 4;
/** 32 bytes of header, 4 of terminator. */
const BLOCK_BYTES: number = BLOCK_SIZE - 32 - 4;
const NAME_BYTES_MAX = 255;
/** What is kept as an index instead of the name's beginning. "gnu." is the Hurd's, of which Linux knows no more than of user.* (xattr_hurd.c). */
const PREFIXES = ["user.", "trusted.", "security.", "gnu."];
const ACCESS_LISTS = ["system.posix_acl_access", "system.posix_acl_default"];
const NAMES: XattrNames = { prefixes: PREFIXES, whole: ACCESS_LISTS };

/** Bytes of a name behind its index: none of an access list's. */
function suffixBytes(name: string): number {
  for (const prefix of PREFIXES) if (name.startsWith(prefix)) return utf8Length(name) - prefix.length;
  return 0;
}

/** Bytes of a value as kept: an access list's entries shrink from 8 bytes to 4 where they name nobody (acl.c, ext4_acl_to_disk). */
function storedBytes(name: string, value: Content): number {
  if (!ACCESS_LISTS.includes(name)) return value.length;
  const bytes = value.toBytes();
  let length = 4;
  for (let at = 4; at + 8 <= bytes.length; at += 8) length += bytes[at] === 2 || bytes[at] === 8 ? 8 : 4;
  return length;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
function cost(name: string, value: Content): number {
  return ENTRY_BYTES + align(suffixBytes(name)) + align(storedBytes(name, value));
}
/** What the attributes in the inode cost, but for one. */
function costInside(list: Xattr | undefined, but: string): number {
  let sum = 0;
  for (let at = list; at !== undefined; at = at.next) if (at.name !== but) sum += cost(at.name, at.value);
  return sum;
}
function costOutside(block: XattrBlock | undefined, but: string): number {
  let sum = 0;
  if (block !== undefined) for (const [name, value] of block.entries) if (name !== but) sum += cost(name, value);
  return sum;
}

function setOf(state: Ext4State, ino: number): XattrSet | undefined {
  return state.chunk(ino).xattrs?.[(ino - 1) & 63];
}
function putSet(state: Ext4State, ino: number, set: XattrSet | undefined): void {
  const chunk = state.chunk(ino);
  chunk.xattrs ??= new Array(64).fill(undefined);
  chunk.xattrs[(ino - 1) & 63] = set;
}

/** Whether an inode has any attribute: two looks into memory. */
export function hasXattrs(state: Ext4State, ino: number): boolean {
  return setOf(state, ino) !== undefined;
}

/** How many blocks these attributes, set one after the other, take of an inode without any; undefined where one block is not enough. */
export function blocksForNew(attributes: readonly (readonly [name: string, value: Uint8Array])[]): number | undefined {
  let inside = 0;
  let outside = 0;
  for (const [name, value] of attributes) {
    const size = cost(name, Content.copyOf(value));
    if (inside + size <= IN_INODE_BYTES) inside += size;
    else outside += size;
  }
  if (outside > BLOCK_BYTES) return undefined;
  return outside === 0 ? 0 : 1;
}

/** Reads an attribute block that could not be read before. @returns EIO, EUCLEAN. */
function reach(state: Ext4State, block: XattrBlock | undefined): Errno | undefined {
  return block?.unread === true ? readBlock(state.device, block) : undefined;
}

/** Looks into a block for its own sake: it can be found from then on (ext4_xattr_block_get, ext4_xattr_block_list). @returns EIO, EUCLEAN. */
function look(state: Ext4State, block: XattrBlock): Errno | undefined {
  const unread = reach(state, block);
  if (unread === undefined) state.xattrBlocks.insert(block);
  return unread;
}

/** The value of an inode's attribute, if it has it. */
function find(set: XattrSet | undefined, name: string): Content | undefined {
  return set === undefined ? undefined : (valueIn(set.inInode, name) ?? set.outside?.entries.get(name));
}

export function getxattr(state: Ext4State, ino: number, name: string): Uint8Array | Errno {
  // Most inodes are asked for an attribute that they do not have, each when it is first met.
  const wrong = resolveError(name, NAMES);
  if (wrong !== undefined) return wrong;
  const set = setOf(state, ino);
  const inside = set === undefined ? undefined : valueIn(set.inInode, name);
  if (inside !== undefined) return inside.toBytes();
  if (set?.outside === undefined) return ENODATA;
  return look(state, set.outside) ?? set.outside.entries.get(name)?.toBytes() ?? ENODATA;
}

export function listxattr(state: Ext4State, ino: number): string[] | Errno {
  const set = setOf(state, ino);
  if (set === undefined) return [];
  const unread = set.outside === undefined ? undefined : look(state, set.outside);
  if (unread !== undefined) return unread;
  const names: string[] = [];
  for (let at = set.inInode; at !== undefined; at = at.next) names.push(at.name);
  if (set.outside !== undefined) names.push(...set.outside.entries.keys());
  return names;
}

export function setxattr(
  state: Ext4State,
  ino: number,
  attribute: { readonly name: string; readonly value: Uint8Array },
  flags: number,
): Errno | undefined {
  const { name } = attribute;
  const wrong = resolveError(name, NAMES);
  if (wrong !== undefined) return wrong;
  if (suffixBytes(name) > NAME_BYTES_MAX) return ERANGE;
  const known = setOf(state, ino);
  const unread = reach(state, known?.outside);
  if (unread !== undefined) return unread;
  const before = find(known, name);
  const exists = before !== undefined;
  if (exists && (flags & XATTR_CREATE) !== 0) return EEXIST;
  if (!exists && (flags & XATTR_REPLACE) !== 0) return ENODATA;
  // Nothing is written then, and ctime stays.
  if (before !== undefined && isSame(before.toBytes(), attribute.value)) return undefined;
  const set: XattrSet = known ?? { inInode: undefined, outside: undefined };
  // The caller keeps its bytes.
  const value = Content.copyOf(attribute.value);
  const size = cost(name, value);
  const inside = costInside(set.inInode, name) + size <= IN_INODE_BYTES;
  const outside = inside || costOutside(set.outside, name) + size <= BLOCK_BYTES;
  if (!outside) return ENOSPC;
  const entries = inside ? undefined : withEntry(set.outside, name, value);
  if (entries !== undefined && needsBlock(state, set.outside, entries) && !canReserve(state, 1)) return ENOSPC;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  if (entries === undefined) {
    set.inInode = withValue(set.inInode, name, value);
    if (set.outside?.entries.has(name) === true) putOutside(state, ino, set, withoutEntry(set.outside, name));
  } else {
    set.inInode = without(set.inInode, name);
    putOutside(state, ino, set, entries);
  }
  putSet(state, ino, set);
  stamp(state, ino, false);
  return undefined;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

type Entries = ReadonlyMap<string, Content>;

/** What a block holds, with a value more or another one. */
function withEntry(block: XattrBlock | undefined, name: string, value: Content): Entries {
  return new Map(block?.entries).set(name, value);
}
function withoutEntry(block: XattrBlock, name: string): Entries {
  const entries = new Map(block.entries);
  entries.delete(name);
  return entries;
}

/** Whether an inode's attributes outside need a block that is not there: its own does not do, and no other inode's has the same. */
function needsBlock(state: Ext4State, block: XattrBlock | undefined, entries: Entries): boolean {
  return block?.references !== 1 && state.xattrBlocks.find(entries) === undefined;
}

/**
 * Gives an inode the block that holds these entries: another inode's that has the same, its own, or a new one (ext4_xattr_block_set). Room for that was asked
 * for before.
 */
function putOutside(state: Ext4State, ino: number, set: XattrSet, entries: Entries): void {
  const { xattrBlocks, journal } = state;
  const before = set.outside;
  if (before?.references === 1) {
    xattrBlocks.delete(before);
    before.entries = entries;
    journal.dirty(before);
  }
  const same = entries.size === 0 ? undefined : xattrBlocks.find(entries);
  if (entries.size === 0) set.outside = undefined;
  else if (same !== undefined) {
    xattrBlocks.refer(same, 1);
    journal.dirty(same);
    set.outside = same;
  } else {
    if (before?.references !== 1) set.outside = newBlock(state, ino, entries);
    xattrBlocks.insert(set.outside as XattrBlock);
  }
  state.addBlocks(ino, (set.outside === undefined ? 0 : 1) - (before === undefined ? 0 : 1));
  if (before !== undefined && before !== set.outside) releaseBlock(state, before);
}

function newBlock(state: Ext4State, ino: number, entries: Entries): XattrBlock {
  const made = new XattrBlock(allocateMetadata(state, goalOf(state, ino, false)));
  made.entries = entries;
  state.journal.dirty(made);
  return made;
}

/** An inode has the block no more (ext4_xattr_release_block). */
function releaseBlock(state: Ext4State, block: XattrBlock): void {
  if (block.references > 1) {
    state.xattrBlocks.refer(block, -1);
    state.journal.dirty(block);
    return;
  }
  state.xattrBlocks.forget(block);
  freeMetadata(state, block);
}

export function removexattr(state: Ext4State, ino: number, name: string): Errno | undefined {
  const wrong = resolveError(name, NAMES);
  if (wrong !== undefined) return wrong;
  const set = setOf(state, ino);
  const unread = reach(state, set?.outside);
  if (unread !== undefined) return unread;
  if (set === undefined || find(set, name) === undefined) return ENODATA;
  const isInside = valueIn(set.inInode, name) !== undefined;
  const rest = isInside || set.outside === undefined ? undefined : withoutEntry(set.outside, name);
  if (rest !== undefined && rest.size > 0 && needsBlock(state, set.outside, rest) && !canReserve(state, 1)) return ENOSPC;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  if (rest === undefined) set.inInode = without(set.inInode, name);
  else putOutside(state, ino, set, rest);
  if (set.inInode === undefined && set.outside === undefined) putSet(state, ino, undefined);
  stamp(state, ino, false);
  return undefined;
}

/** Frees the attributes of an inode that goes. */
export function freeXattrs(state: Ext4State, ino: number): void {
  const set = setOf(state, ino);
  if (set === undefined) return;
  if (set.outside !== undefined) releaseBlock(state, set.outside);
  putSet(state, ino, undefined);
}
