/**
 * Ranges of a device's mappings: finding the next one, and unmapping (drivers/md/dm-thin-metadata.c, dm_thin_find_mapped_range,
 * dm_thin_remove_range).
 */
import { ENODATA, type Errno, isErrno } from "../core/errno.ts";
import type { BTree } from "./btree.ts";
import { insert } from "./btree-insert.ts";
import { remove, removeRun } from "./btree-remove.ts";
import { mappedBlock, mappedTime } from "./mapping.ts";
import { set64 } from "./metadata-block.ts";
import type { MetadataState } from "./metadata-state.ts";
import type { MappedRange } from "./thin-metadata.ts";

/** The first mapped range within [begin, end). @returns ENODATA. */
export function findRange(mappings: BTree, snapshotTime: number, begin: number, end: number): MappedRange | Errno {
  const hit = mappings.findFrom(begin);
  if (isErrno(hit)) return hit;
  if (hit.key >= end) return ENODATA;
  const isShared = (): boolean => mappedTime(hit.words, hit.valueAt) < snapshotTime;
  const first = { begin: hit.key, data: mappedBlock(hit.words, hit.valueAt), shared: isShared() };
  let next = first.begin + 1;
  for (; next < end; next++) {
    const other = mappings.find(next);
    if (other === ENODATA) break;
    if (isErrno(other)) return other;
    if (mappedBlock(other.words, other.valueAt) !== first.data + (next - first.begin) || isShared() !== first.shared) break;
  }
  return { ...first, end: next };
}

/**
 * Unmaps a range of a device. The device's tree is taken out of the tree of devices meanwhile, as the kernel does, so that it is worked on
 * alone. @returns how many blocks were mapped there.
 */
export function unmapRange(
  { tx, devices }: MetadataState,
  mappings: BTree,
  id: number,
  range: { readonly begin: number; readonly end: number },
): number | Errno {
  const failed = tx.space.inc(mappings.root, mappings.root + 1) ?? remove(devices, id);
  if (failed !== undefined) return failed;
  let removed = 0;
  for (let at = range.begin; at < range.end; ) {
    const hit = mappings.findFrom(at);
    if (hit === ENODATA) break;
    if (isErrno(hit)) return hit;
    if (hit.key >= range.end) break;
    const run = removeRun(mappings, hit.key, range.end);
    if (isErrno(run)) return run;
    removed += run.removed;
    at = run.next;
  }
  const value = new Uint32Array(2);
  set64(value, 0, mappings.root);
  return insert(devices, id, value) ?? removed;
}
