/**
 * Attribute blocks by what they hold: inodes with the same attributes share one (fs/ext4/xattr.c: ext4_xattr_block_set, ext4_xattr_release_block;
 * fs/mbcache.c; Linux 6.18).
 *
 * Interface: a block is found from when it was made, or first read after a mount, until it changes or goes. In memory alone: which inode has which
 * block, and how many have it (h_refcount), is on the device.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { Content } from "../../core/content.ts";
import { crc32cBytes, crc32cText } from "../../core/crc32c.ts";
import { readBlock, XattrBlock } from "./xattr-set.ts";

/** How many inodes share a block at most (EXT4_XATTR_REFCOUNT_MAX). */
const REFERENCES_MAX = 1024;

type Entries = ReadonlyMap<string, Content>;

export class XattrBlockCache {
  /** By the hash of what they hold; the last that came is the first that is found. */
  readonly #byHash = new Map<number, XattrBlock[]>();
  /** By number: those that several inodes have, and those that could not be read. An inode that is read finds the others' block here. */
  readonly #shared = new Map<number, XattrBlock>();

  /** A block with these very entries that one inode more may have. */
  find(entries: Entries): XattrBlock | undefined {
    return this.#byHash
      .get(hashOf(entries))
      ?.findLast((block) => block.references < REFERENCES_MAX && isSame(block.entries, entries));
  }

  /** A block that was made, changed or read can be found. */
  insert(block: XattrBlock): void {
    if (block.hash !== undefined) return;
    block.hash = hashOf(block.entries);
    const known = this.#byHash.get(block.hash);
    if (known === undefined) this.#byHash.set(block.hash, [block]);
    else known.push(block);
  }

  /** A block changes, or goes. */
  delete(block: XattrBlock): void {
    if (block.hash === undefined) return;
    const known = this.#byHash.get(block.hash) as XattrBlock[];
    known.splice(known.indexOf(block), 1);
    if (known.length === 0) this.#byHash.delete(block.hash);
    block.hash = undefined;
  }

  /** One inode more has a block, or (by -1) one less, and not the last. */
  refer(block: XattrBlock, by: 1 | -1): void {
    block.references += by;
    if (block.references > 1) this.#shared.set(block.block, block);
    else this.#shared.delete(block.block);
  }

  /** A block is freed. */
  forget(block: XattrBlock): void {
    this.delete(block);
    this.#shared.delete(block.block);
  }

  /** The block of an inode that is read. What cannot be read is asked for again by whoever needs it. */
  load(device: BlockDevice, number: number): XattrBlock {
    const known = this.#shared.get(number);
    if (known !== undefined) return known;
    const block = new XattrBlock(number);
    readBlock(device, block);
    if (block.unread || block.references > 1) this.#shared.set(number, block);
    return block;
  }
}

/** A number that the same entries have in whatever order. */
function hashOf(entries: Entries): number {
  let hash = 0;
  for (const [name, value] of entries) hash = (hash + crc32cBytes(crc32cText(0, name), value.toBytes())) | 0;
  return hash;
}

function isSame(one: Entries, other: Entries): boolean {
  if (one.size !== other.size) return false;
  for (const [name, value] of one) if (other.get(name)?.equals(value) !== true) return false;
  return true;
}
