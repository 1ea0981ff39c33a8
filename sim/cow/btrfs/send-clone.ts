/**
 * Where a receiver has the bytes of a file extent already, and the commands that clone them there (fs/btrfs/send.c: find_extent_clone, iterate_backrefs, clone_range;
 * Linux 6.18).
 *
 * Words: *sources* are the snapshots that the receiver is known to have, and what is being sent, as far as it has been.
 */
import { alignDown, alignUp, KIB } from "../../core/units.ts";
import { OwnerFinder } from "../owners.ts";
import { type Placed, visitExtents } from "./file-extents.ts";
import type { DiskExtent, FileExtent, InodeItem } from "./items.ts";
import { EXTENT_DATA, FIRST_FREE, INODE_ITEM, key, SECTOR_SIZE } from "./layout.ts";
import { firstNameIn } from "./receiver-names.ts";
import type { Sending } from "./sending.ts";
import type { Subvolume } from "./subvolume.ts";
import { treesNow } from "./trees-now.ts";

/** An extent with more references than this is not looked for (SEND_MAX_EXTENT_REFS). */
const REFERENCES_MAX = 1024;
/** What the end of a source must be a multiple of, to be cloned into the middle of a file. */
const MIDDLE_ALIGNMENT = KIB(64);

/** A file of a source in which the wanted bytes begin at `offset`. */
export interface CloneSource {
  readonly root: Subvolume;
  readonly ino: number;
  offset: number;
  /** Bytes of its file extent. */
  readonly length: number;
}

/** The range of a file that is to be sent. */
export interface SendRange {
  readonly ino: number;
  readonly size: number;
  readonly start: number;
  readonly length: number;
  /** Up to where the file has been sent. */
  readonly sent: number;
}

/** The size of a file in a subvolume. */
export function sizeOf(root: Subvolume, ino: number): number {
  return (root.tree.get(key(ino, INODE_ITEM)) as InodeItem).size;
}

/** What looks for sources remembers between extents. */
export class CloneFinder {
  readonly #sending: Sending;
  readonly #owners: OwnerFinder;

  constructor(sending: Sending) {
    this.#sending = sending;
    this.#owners = new OwnerFinder(treesNow(sending.state));
  }

  /** The source from which most bytes of an extent can be had. */
  find(range: SendRange, placed: Placed<DiskExtent>): CloneSource | undefined {
    const { extent } = placed;
    const { references } = this.#sending.state;
    if (references.count(extent.start) > REFERENCES_MAX) return undefined;
    const wanted = Math.min(extent.length, range.size - placed.at);
    const found = new Map<Subvolume, CloneSource>();
    for (const leaf of this.#owners.leavesOf(extent.start)) {
      const trees = this.#owners.treesOf(leaf);
      for (const root of this.#sending.sources) {
        if (!trees.has(root.id)) continue;
        if (this.#search(leaf, root, { range, placed, extent, wanted, found })) return found.get(root);
      }
    }
    let best: CloneSource | undefined;
    for (const root of this.#sending.sources) {
      const one = found.get(root);
      if (one !== undefined && (best === undefined || one.length > best.length)) best = one;
    }
    return best;
  }

  /** Looks through the items of a leaf that a source has, from the last one on (check_extent_in_eb). @returns whether all that is wanted was found. */
  #search(
    leaf: number,
    root: Subvolume,
    want: {
      readonly range: SendRange;
      readonly placed: Placed;
      readonly extent: DiskExtent;
      readonly wanted: number;
      readonly found: Map<Subvolume, CloneSource>;
    },
  ): boolean {
    const { range, placed, extent, wanted, found } = want;
    const node = this.#sending.state.read(leaf);
    for (let slot = node.count - 1; slot >= 0; slot--) {
      if (node.kindAt(slot) !== EXTENT_DATA) continue;
      const other = node.valueAt(slot) as FileExtent;
      if (other.kind === "inline" || other.start !== extent.start) continue;
      const ino = node.objectAt(slot);
      let offset = node.offsetAt(slot);
      if (other.compression === "none") {
        if (extent.offset < other.offset || extent.offset >= other.offset + other.length) continue;
        offset += extent.offset - other.offset;
      }
      if (root === this.#sending.right && !isSent(range, placed, { ino, offset, wanted })) continue;
      if (other.length <= (found.get(root)?.length ?? 0)) continue;
      found.set(root, { root, ino, offset, length: other.length });
      if (other.length >= wanted) return true;
    }
    return false;
  }
}

/** Whether the receiver has a place of what is being sent already. */
function isSent(range: SendRange, placed: Placed, at: { ino: number; offset: number; wanted: number }): boolean {
  if (at.ino !== range.ino) return at.ino < range.ino;
  return at.offset !== placed.at && at.offset + at.wanted <= range.sent;
}

/** Sends a range as clones where the source has the same bytes of the device, and as data where it has not. */
export class CloneRange {
  readonly #sending: Sending;
  readonly #range: SendRange;
  readonly #source: CloneSource;
  readonly #write: (start: number, end: number) => void;
  #at: number;
  #left: number;
  /** Where in the extent on the device the wanted bytes are. */
  #dataOffset: number;

  constructor(sending: Sending, range: SendRange, source: CloneSource, write: (start: number, end: number) => void) {
    this.#sending = sending;
    this.#range = range;
    this.#source = source;
    this.#write = write;
    this.#at = range.start;
    this.#left = range.length;
    this.#dataOffset = 0;
  }

  run(extent: DiskExtent): void {
    const source = this.#source;
    // A receiver might find an inline extent where a single sector at the beginning is.
    if (source.offset === 0 && this.#left === SECTOR_SIZE) {
      this.#data(this.#left);
      return;
    }
    this.#dataOffset = extent.offset;
    const size = sizeOf(source.root, source.ino);
    const file = { ino: source.ino, subvolume: source.root };
    visitExtents(file, source.offset, Number.MAX_SAFE_INTEGER, (placed) => this.#piece(placed, extent, size));
    if (this.#left > 0) this.#data(this.#left);
  }

  #data(length: number): void {
    this.#write(this.#at, this.#at + length);
    this.#at += length;
    this.#left -= length;
  }

  #clone(length: number): void {
    const { root, ino, offset } = this.#source;
    const isOwn = root === this.#sending.right;
    const { uuid, receivedUuid, ctransid } = root.item;
    this.#sending.emit("clone", {
      file_offset: this.#at,
      clone_len: length,
      path: this.#sending.path(this.#range.ino),
      clone_uuid: receivedUuid === "" ? uuid : receivedUuid,
      clone_ctransid: ctransid,
      clone_path: isOwn ? this.#sending.path(ino) : pathIn(root, ino),
      clone_offset: offset,
    });
    this.#at += length;
    this.#left -= length;
  }

  /** What one extent of the source gives. @returns whether nothing more comes. */
  #piece(placed: Placed, wanted: DiskExtent, size: number): boolean {
    const source = this.#source;
    let length = placed.extent.kind === "inline" ? alignUp(placed.extent.length, SECTOR_SIZE) : placed.extent.length;
    if (placed.at + length <= source.offset) return false;
    if (placed.at > source.offset) {
      const hole = Math.min(placed.at - source.offset, this.#left);
      this.#data(hole);
      if (this.#left === 0) return true;
      source.offset += hole;
      this.#dataOffset += hole;
    }
    if (placed.at >= source.offset + this.#left || placed.at >= size) return true;
    const crosses = placed.at + length > size;
    if (crosses) length = size - placed.at;
    const isSame = placed.extent.kind !== "inline" && placed.extent.start === wanted.start;
    let offset = placed.extent.kind === "inline" ? 0 : placed.extent.offset;
    if (isSame) {
      source.offset = placed.at;
      if (offset < this.#dataOffset && offset + length > this.#dataOffset) {
        const skip = this.#dataOffset - offset;
        length -= skip;
        offset += skip;
        source.offset += skip;
      }
    }
    const give = Math.min(length, this.#left);
    if (isSame && offset === this.#dataOffset) this.#cloneOrLast(give, size);
    else if (crosses && give < this.#left) return true;
    else this.#data(give);
    if (this.#left === 0) return true;
    source.offset += give;
    const isOwn = source.root === this.#sending.right && source.ino === this.#range.ino;
    if (isOwn && source.offset >= this.#range.sent) return true;
    this.#dataOffset += give;
    return false;
  }

  /** The end of a source that is not aligned cannot be cloned into the middle of a file. */
  #cloneOrLast(length: number, size: number): void {
    const end = this.#source.offset + length;
    if (end !== size || end % MIDDLE_ALIGNMENT === 0 || this.#at + length >= this.#range.size) {
      this.#clone(length);
      return;
    }
    const aligned = alignDown(length, MIDDLE_ALIGNMENT);
    if (aligned > 0) this.#clone(aligned);
    this.#data(length - aligned);
  }
}

/** The path of an inode in a snapshot, by its first names. */
function pathIn(root: Subvolume, ino: number): string {
  const parts: string[] = [];
  for (let at = ino; at !== FIRST_FREE; ) {
    const first = firstNameIn(root, at);
    parts.unshift(first.name);
    at = first.parent;
  }
  return parts.join("/");
}
