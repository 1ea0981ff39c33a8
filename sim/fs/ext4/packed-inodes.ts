/**
 * Inodes of a table block in words. A row leaves out its words that are 0, and of its three times those that equal the one before, as those of a new file
 * do: a file's row is eight words or so.
 */
import { ATIME, CTIME, MTIME, WORDS } from "./inode-words.ts";
import type { PackedReader, PackedWords } from "./packed-words.ts";
import type { InodeRow, TreeRoot } from "./records.ts";
import type { Xattr } from "./xattr-list.ts";

/** Bits of a row's head: the words that follow, one bit each; then what else follows, and which times are equal. */
const HAS_TREE: number = 1 << WORDS;
const HAS_TARGET: number = 1 << (WORDS + 1);
const HAS_XATTRS: number = 1 << (WORDS + 2);
const HAS_XATTR_BLOCK: number = 1 << (WORDS + 3);
const MTIME_IS_ATIME: number = 1 << (WORDS + 4);
const CTIME_IS_MTIME: number = 1 << (WORDS + 5);
/** The root's depth and how many numbers it has are one word. */
const DEPTH_BITS = 4;

/** What an inode has on the disk beyond the words of its row. */
export interface InodeExtras {
  readonly tree: TreeRoot | undefined;
  readonly target: string | undefined;
  readonly xattrs: Xattr | undefined;
  readonly xattrBlock: number;
}

/** Puts a row: its inode's number, its words, of which `row` has those that are meant, and the rest. */
export function packInode(into: PackedWords, ino: number, row: Int32Array, extras: InodeExtras): void {
  let head = 0;
  for (let at = 0; at < WORDS; at++) if (row[at] !== 0) head |= 1 << at;
  if (row[CTIME] === row[MTIME] && row[CTIME + 1] === row[MTIME + 1]) head = (head | CTIME_IS_MTIME) & ~(3 << CTIME);
  if (row[MTIME] === row[ATIME] && row[MTIME + 1] === row[ATIME + 1]) head = (head | MTIME_IS_ATIME) & ~(3 << MTIME);
  const told = head;
  if (extras.tree !== undefined) head |= HAS_TREE;
  if (extras.target !== undefined) head |= HAS_TARGET;
  if (extras.xattrs !== undefined) head |= HAS_XATTRS;
  if (extras.xattrBlock !== 0) head |= HAS_XATTR_BLOCK;
  into.put(ino);
  into.put(head);
  for (let at = 0; at < WORDS; at++) if (((told >>> at) & 1) === 1) into.put(row[at] as number);
  if (extras.tree !== undefined) packTree(into, extras.tree);
  if (extras.target !== undefined) into.putObject(extras.target);
  if (extras.xattrs !== undefined) into.putObject(extras.xattrs);
  if (extras.xattrBlock !== 0) into.put(extras.xattrBlock);
}

function packTree(into: PackedWords, { depth, entries }: TreeRoot): void {
  into.put((entries.length << DEPTH_BITS) | depth);
  into.putWords(entries, 0, entries.length);
}

/** The rows of a table block: how many there are, and each. */
export function unpackInodes(reader: PackedReader): InodeRow[] {
  return Array.from({ length: reader.unsigned() }, () => unpackInode(reader));
}

function unpackInode(reader: PackedReader): InodeRow {
  const ino = reader.unsigned();
  const head = reader.signed();
  const words = new Array<number>(WORDS).fill(0);
  for (let at = 0; at < WORDS; at++) if (((head >>> at) & 1) === 1) words[at] = reader.signed();
  if ((head & MTIME_IS_ATIME) !== 0) copyTime(words, ATIME, MTIME);
  if ((head & CTIME_IS_MTIME) !== 0) copyTime(words, MTIME, CTIME);
  const tree = (head & HAS_TREE) === 0 ? undefined : unpackTree(reader);
  const target = (head & HAS_TARGET) === 0 ? undefined : (reader.object() as string);
  const xattrs = (head & HAS_XATTRS) === 0 ? undefined : (reader.object() as Xattr);
  return { ino, words, tree, target, xattrs, xattrBlock: (head & HAS_XATTR_BLOCK) === 0 ? 0 : reader.unsigned() };
}

function copyTime(words: number[], from: number, to: number): void {
  words[to] = words[from] as number;
  words[to + 1] = words[from + 1] as number;
}

function unpackTree(reader: PackedReader): TreeRoot {
  const head = reader.unsigned();
  const depth = head & ((1 << DEPTH_BITS) - 1);
  return { depth, entries: reader.treeEntries(depth, head >>> DEPTH_BITS) };
}
