/**
 * What of inodes waits to come to their subvolumes' trees: their items, what directories are to list or to list no more, references that are to go
 * (fs/btrfs/delayed-inode.c; Linux 6.18). So many changes of one inode change its leaf once, and neighbours in a list come and go together.
 *
 * Interface: a commit settles all of it, in the order in which inodes came. Where much waits, `balance` settles some before, as a thread of the kernel does beside
 * the next call.
 */
import { assert } from "../../core/assert.ts";
import { utf8Length } from "../../core/names.ts";
import { Cursor } from "../cursor.ts";
import { type InodeState, NOTHING_UNLISTED } from "./inode-state.ts";
import type { DirEntry } from "./items.ts";
import { DIR_BYTES, DIR_INDEX, FORMAT, INODE_BYTES, INODE_EXTREF, INODE_ITEM, INODE_REF, ITEM_RESERVE, key } from "./layout.ts";

/** With so many changes that wait, those of so many inodes are settled, unless fewer than half as many wait (BTRFS_DELAYED_BACKGROUND, BTRFS_DELAYED_BATCH). */
const BACKGROUND = 128;
const BATCH = 16;
/** What a leaf has for items, each with its head. */
const LEAF_BYTES: number = FORMAT.nodeBytes - FORMAT.headerBytes;

/** Entries of one directory that wait to be listed, as the leaves which they will need count them. */
interface Listing {
  leaves: number;
  /** Bytes in the last of them. */
  bytes: number;
}

export class DelayedInodes {
  /** In the order in which they came. */
  readonly #inodes = new Set<InodeState>();
  /** How often an inode was to be written. */
  #updates = 0;
  /** How many changes wait: items of inodes, entries to be listed and to be listed no more, references to go. */
  count = 0;
  /** Of how many inodes the item waits. */
  #items = 0;
  /** How many entries wait to be listed no more. */
  #unlisted = 0;
  /** Of directories with entries that wait to be listed. */
  readonly #listings = new Map<InodeState, Listing>();
  #leaves = 0;

  /** Bytes that are promised to what waits: of entries to be listed a leaf has what an insertion needs. */
  get reserved(): number {
    return (this.#leaves + this.#unlisted + this.#items / 2) * ITEM_RESERVE;
  }

  /** How many inodes wait. */
  get size(): number {
    return this.#inodes.size;
  }

  has(inode: InodeState): boolean {
    return this.#inodes.has(inode);
  }

  #add(inode: InodeState): void {
    this.count += 1;
    this.#inodes.add(inode);
  }

  /** The inode's item is to be written. */
  update(inode: InodeState): void {
    this.#updates += 1;
    inode.updatedAt = this.#updates;
    if (inode.isDirty) return;
    inode.isDirty = true;
    this.#items += 1;
    this.#add(inode);
  }

  /** An entry is to be listed. */
  list(directory: InodeState, index: number, entry: DirEntry): void {
    directory.listedLater.set(index, entry);
    this.#add(directory);
    this.#countListed(directory, FORMAT.itemBytes + DIR_BYTES + utf8Length(entry.name));
  }

  /** One more waits to be listed (btrfs_insert_delayed_dir_index). */
  #countListed(directory: InodeState, bytes: number): void {
    let listing = this.#listings.get(directory);
    if (listing === undefined) {
      listing = { leaves: 0, bytes: LEAF_BYTES };
      this.#listings.set(directory, listing);
    }
    if (listing.bytes + bytes > LEAF_BYTES) {
      listing.leaves += 1;
      this.#leaves += 1;
      listing.bytes = 0;
    }
    listing.bytes += bytes;
  }

  /** None of a directory waits to be listed. */
  #forgetListed(directory: InodeState): void {
    this.#leaves -= this.#listings.get(directory)?.leaves ?? 0;
    this.#listings.delete(directory);
  }

  /** An entry is to be listed no more; one that waited to be listed never is. */
  unlist(directory: InodeState, index: number): void {
    if (directory.listedLater.delete(index)) {
      this.count -= 1;
      if (directory.listedLater.size === 0) this.#forgetListed(directory);
    } else {
      this.#unlisted += 1;
      if (directory.unlistedLater === NOTHING_UNLISTED) directory.unlistedLater = new Map();
      directory.unlistedLater.set(index, false);
      this.#add(directory);
    }
  }

  /** The reference to an inode's only name is to go when its item is written. */
  loseReference(inode: InodeState): void {
    assert(!inode.losesReference, `inode ${inode.ino} loses its only reference once`);
    inode.losesReference = true;
    this.#add(inode);
  }

  /** What waits of an inode waits no more. */
  forget(inode: InodeState): void {
    this.count -= changesOf(inode);
    this.#unlisted -= inode.unlistedLater.size;
    if (inode.isDirty) this.#items -= 1;
    this.#forgetListed(inode);
    if (inode.listedLater.size > 0) inode.listedLater.clear();
    inode.unlistedLater = NOTHING_UNLISTED;
    inode.losesReference = false;
    inode.isDirty = false;
    this.#inodes.delete(inode);
  }

  /** Settles some of what waits if it is much, first what has not changed for longest (btrfs_balance_delayed_items, btrfs_async_run_delayed_root). */
  balance(generation: number): void {
    if (this.count < BACKGROUND) return;
    const oldest = [...this.#inodes].sort((one, other) => one.updatedAt - other.updatedAt);
    for (const inode of oldest.slice(0, BATCH)) {
      if (this.count < BACKGROUND / 2) return;
      this.settle(inode, generation);
    }
  }

  /** Settles all that waits, or what waits of so many inodes (btrfs_run_delayed_items, btrfs_run_delayed_items_nr). */
  settleAll(generation: number, most: number = Number.POSITIVE_INFINITY): void {
    let settled = 0;
    for (const inode of this.#inodes) {
      if (settled >= most) return;
      this.settle(inode, generation);
      settled += 1;
    }
  }

  /** Brings to an inode's tree what waits of it (__btrfs_commit_inode_delayed_items). */
  settle(inode: InodeState, generation: number): void {
    listEntries(inode);
    unlistEntries(inode);
    this.settleItem(inode, generation);
    this.forget(inode);
  }

  /** Writes an inode's item if that is to be done, and takes away the reference that is to go with it (__btrfs_update_delayed_inode). */
  settleItem(inode: InodeState, generation: number): void {
    if (!inode.isDirty) return;
    writeInode(inode);
    if (inode.losesReference) dropReference(inode);
    this.count -= inode.losesReference ? 2 : 1;
    this.#items -= 1;
    inode.isDirty = false;
    inode.losesReference = false;
    if (changesOf(inode) === 0) this.#inodes.delete(inode);
    const { subvolume } = inode;
    if (subvolume.item.ctransid !== generation) subvolume.item = { ...subvolume.item, ctransid: generation };
  }

  check(): void {
    let count = 0;
    let items = 0;
    let unlisted = 0;
    for (const inode of this.#inodes) {
      count += changesOf(inode);
      unlisted += inode.unlistedLater.size;
      if (inode.isDirty) items += 1;
      assert(
        inode.listedLater.size > 0 === this.#listings.has(inode),
        `what waits to be listed in ${inode.ino} has room promised`,
      );
    }
    assert(count === this.count, `${this.count} changes wait, inodes have ${count}`);
    assert(
      items === this.#items && unlisted === this.#unlisted,
      `${this.#items} items and ${this.#unlisted} entries have room promised`,
    );
  }
}

/** How many changes of an inode wait. */
export function changesOf({ listedLater, unlistedLater, losesReference, isDirty }: InodeState): number {
  return listedLater.size + unlistedLater.size + (losesReference ? 1 : 0) + (isDirty ? 1 : 0);
}

/** Writes the inode's item. */
export function writeInode(inode: InodeState): void {
  inode.subvolume.tree.set(key(inode.ino, INODE_ITEM), INODE_BYTES, inode.item());
}

/** Takes away the reference to an inode's only name. */
function dropReference({ ino, subvolume }: InodeState): void {
  const cursor = new Cursor(subvolume.tree);
  const isThere = cursor.seek(key(ino, INODE_REF)) && cursor.compare(key(ino, INODE_EXTREF + 1)) < 0;
  assert(isThere, `inode ${ino} has a reference to lose`);
  subvolume.tree.remove(cursor.key);
}

/** Puts entries into a directory's list, as many at once as a leaf takes (btrfs_insert_delayed_items). */
function listEntries({ ino, subvolume, listedLater }: InodeState): void {
  if (listedLater.size === 0) return;
  const items = [...listedLater].map(([index, entry]) => ({
    key: key(ino, DIR_INDEX, index),
    size: DIR_BYTES + utf8Length(entry.name),
    value: entry,
  }));
  subvolume.tree.insertAll(items);
}

/** Takes entries out of a directory's list, at once those that follow each other in a leaf (btrfs_delete_delayed_items). */
function unlistEntries({ ino, subvolume, unlistedLater }: InodeState): void {
  if (unlistedLater.size === 0) return;
  const gone = [...unlistedLater.keys()].sort((one, other) => one - other);
  subvolume.tree.removeAll(gone.map((index) => key(ino, DIR_INDEX, index)));
}
