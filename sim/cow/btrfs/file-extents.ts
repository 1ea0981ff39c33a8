/**
 * File extents: which bytes of a file lie where (fs/btrfs/file.c: btrfs_drop_extents; inode.c: insert_reserved_file_extent).
 *
 * Interface: an extent on the device is referenced by each item that uses a part of it, and stays whole until the last one goes (bookend).
 */
import { assert } from "../../core/assert.ts";
import { Cursor } from "../cursor.ts";
import { sameReference } from "../extent.ts";
import type { InodeState } from "./inode-state.ts";
import type { DiskExtent, FileExtent } from "./items.ts";
import { EXTENT_DATA, FILE_EXTENT_BYTES, INLINE_BYTES, key, SECTOR_SIZE } from "./layout.ts";
import type { BtrfsState } from "./state.ts";

/** One item: from `at` on. */
export interface Placed<T extends FileExtent = FileExtent> {
  readonly at: number;
  readonly extent: T;
}

/** Bytes of a file that an extent stands for. */
export function endOf({ at, extent }: Placed): number {
  return at + extent.length;
}

/** Visits the extents that touch [start, end), in order, until a visit gives true. The file must not change meanwhile. */
export function visitExtents(
  inode: Pick<InodeState, "ino" | "subvolume">,
  start: number,
  end: number,
  visit: (placed: Placed) => boolean | undefined,
): void {
  const cursor = new Cursor(inode.subvolume.tree);
  const first = key(inode.ino, EXTENT_DATA);
  let more = cursor.seekBefore(key(inode.ino, EXTENT_DATA, start + 1)) && cursor.compare(first) >= 0;
  if (!more) more = cursor.seek(first);
  const last = key(inode.ino, EXTENT_DATA, end);
  for (; more && cursor.compare(last) < 0; more = cursor.next()) {
    const placed: Placed = { at: cursor.key.offset, extent: cursor.value as FileExtent };
    if (endOf(placed) > start && visit(placed) === true) return;
  }
}

/** The extents that touch a range. */
export function extentsIn(inode: InodeState, start: number, end: number): Placed[] {
  const out: Placed[] = [];
  visitExtents(inode, start, end, (placed) => {
    out.push(placed);
    return false;
  });
  return out;
}

/** Which extents are looked for: all, those with a place on the device, or preallocated ones. */
type Which = "all" | "placed" | "prealloc";

/** Whether every byte of a range of whole sectors has an extent (or, with `any`, one byte). What lies in an item stands for its sector. */
export function hasPlace(inode: InodeState, start: number, end: number, which: Which, any = false): boolean {
  let at = start;
  let found = false;
  visitExtents(inode, start, end, (placed) => {
    const { kind } = placed.extent;
    const counts = kind === "prealloc" || (which !== "prealloc" && (which === "all" || kind !== "inline"));
    if (!counts || (placed.at > at && !any)) return true;
    found = true;
    at = kind === "inline" ? SECTOR_SIZE : endOf(placed);
    return any;
  });
  return any ? found : found && at >= end;
}

/** Bytes of an extent's item. */
export function sizeOfExtent(extent: FileExtent): number {
  return extent.kind === "inline" ? INLINE_BYTES + extent.stored : FILE_EXTENT_BYTES;
}

/** Puts an extent's item in. References to what is on the device are the caller's. */
export function putExtent(inode: InodeState, at: number, extent: FileExtent): void {
  inode.subvolume.tree.set(key(inode.ino, EXTENT_DATA, at), sizeOfExtent(extent), extent);
}

/** The reference that an extent's item is. */
function referenceOf(inode: InodeState, { at, extent }: Placed<DiskExtent>): { start: number; object: number; offset: number } {
  return { start: extent.start, object: inode.ino, offset: at - extent.offset };
}

/** A part of an extent as an item of its own, of a transaction. */
function partOf({ at, extent }: Placed<DiskExtent>, from: number, to: number, generation: number): Placed<DiskExtent> {
  return { at: from, extent: { ...extent, generation, offset: extent.offset + from - at, length: to - from } };
}

/** Whether an extent on the device has one user (btrfs_cross_ref_exist): no snapshot, no reflink. */
function isAlone(state: BtrfsState, extent: DiskExtent): boolean {
  const known = state.references.extent(extent.start);
  assert(known !== undefined, `file extent ${extent.start} has an extent`);
  const users = state.references.referencesTo(extent.start);
  const [owner] = users;
  if (known === undefined || owner === undefined || users.length !== 1 || owner.parent > 0) return false;
  // Younger than every snapshot of its subvolume, or no other subvolume could know it.
  const subvolume = state.subvolumes.get(owner.tree);
  return subvolume !== undefined && known.generation > subvolume.tree.lastSnapshot;
}

/**
 * Whether an extent may be written in place: it has one user now, and had no other at the last commit, as the references that the running transaction gives
 * back are not looked at (check_committed_ref, check_delayed_ref).
 */
export function wasAlone(state: BtrfsState, extent: DiskExtent): boolean {
  if (!isAlone(state, extent)) return false;
  const [owner] = state.references.referencesTo(extent.start);
  const stored = state.storedExtent(extent.start);
  if (owner === undefined || stored === undefined) return true;
  return state.storedReferences(stored).every((one) => sameReference(one, owner));
}

/** Takes [start, end) out of a file's extents; those that cross the edges are cut, and their extents on the device stay whole. */
export function dropExtents(state: BtrfsState, inode: InodeState, start: number, end: number): void {
  const { tree } = inode.subvolume;
  const gone: number[] = [];
  const dropped: DroppedExtent[] = [];
  for (const placed of extentsIn(inode, start, end)) {
    const { at, extent } = placed;
    const here = key(inode.ino, EXTENT_DATA, at);
    inode.bytes -= Math.min(endOf(placed), end) - Math.max(at, start);
    if (extent.kind === "inline") {
      assert(start <= at, "an inline extent is at the beginning of its file");
      gone.push(at);
      continue;
    }
    const whole = { at, extent };
    const reference = referenceOf(inode, whole);
    const isBefore = at < start;
    const isBehind = endOf(placed) > end;
    // An item that keeps a part stays where it is, as that part's; only a second part is a new item.
    if (isBefore) putExtent(inode, at, partOf(whole, at, start, state.generation).extent);
    if (isBehind) {
      const behind = partOf(whole, end, endOf(placed), state.generation);
      if (isBefore) putExtent(inode, behind.at, behind.extent);
      else tree.rekey(here, key(inode.ino, EXTENT_DATA, behind.at), { size: FILE_EXTENT_BYTES, value: behind.extent });
    }
    if (!isBefore && !isBehind) gone.push(at);
    if (state.environment.events.listening)
      dropped.push({ whole, from: Math.max(at, start), to: Math.min(endOf(whole), end), shared: !isAlone(state, extent) });
    // All parts have the same reference: object and where the whole would begin.
    if (isBefore && isBehind) state.references.changeData(inode.subvolume.id, reference, 1);
    else if (!isBefore && !isBehind) state.references.changeData(inode.subvolume.id, reference, -1);
  }
  const [first] = gone;
  const last = gone.at(-1);
  // What goes altogether lies in a row.
  if (first !== undefined && last !== undefined)
    tree.removeRange(key(inode.ino, EXTENT_DATA, first), key(inode.ino, EXTENT_DATA, last + 1));
  for (const one of dropped) tellDropped(state, inode, one);
}

/** Takes a file's references to what it has on the device, whose items go with all others of its inode. */
export function letGoExtents(state: BtrfsState, inode: InodeState): void {
  visitExtents(inode, 0, Number.MAX_SAFE_INTEGER, ({ at, extent }) => {
    if (extent.kind === "inline") return false;
    const whole = { at, extent };
    const shared = state.environment.events.listening && !isAlone(state, extent);
    state.references.changeData(inode.subvolume.id, referenceOf(inode, whole), -1);
    if (state.environment.events.listening) tellDropped(state, inode, { whole, from: at, to: endOf(whole), shared });
    return false;
  });
}

/** What a file has let go of: [from, to) of what the item stood for. */
interface DroppedExtent {
  readonly whole: Placed<DiskExtent>;
  readonly from: number;
  readonly to: number;
  /** Whether others had it, too. */
  readonly shared: boolean;
}

/** Tells who has the extent now; its references must be changed already. */
function tellDropped(state: BtrfsState, inode: InodeState, { whole, from, to, shared }: DroppedExtent): void {
  const { at, extent } = whole;
  const left = shared ? "shared" : state.references.count(extent.start) === 0 ? "free" : "part";
  const block = (extent.start + extent.offset + from - at) / SECTOR_SIZE;
  const blocks = (to - from) / SECTOR_SIZE;
  state.environment.events.emit({ op: "extentDrop", filesystem: state.label, inode: inode.ino, block, blocks, left });
}
