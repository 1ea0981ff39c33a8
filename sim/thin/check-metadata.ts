/**
 * Whether a pool's metadata adds up: its last commit, as it lies in the cache and on the device, and what changed since.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { EIO, type Errno, isErrno } from "../core/errno.ts";
import { BTree } from "./btree.ts";
import { countOf, valueAt } from "./btree-node.ts";
import { checkImage, type ImageFault } from "./check-image.ts";
import { mappedBlock } from "./mapping.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";
import type { MetadataState } from "./metadata-state.ts";
import { readRoots } from "./model.ts";
import type { ThinDevice } from "./thin-metadata.ts";

/** Whether a data block is counted more often than it is mapped. */
function isLeak(fault: ImageFault): boolean {
  return fault.kind === "dataCount" && fault.got > fault.expected;
}

/** How many data blocks the last commit counts more often than they are mapped. O(metadata). */
export function leaksIn(blocks: MetadataBlocks): number {
  return checkImage(blocks).faults.filter(isLeak).length;
}

/**
 * Throws an InvariantError where counts of references, reachability, mapped counts or the figures of the space maps are wrong, or a data
 * block is mapped that nobody counts, or more of them are counted that nobody maps than `lostMax`; nothing where the device cannot be read. O(metadata).
 */
export function checkMetadata(
  metadata: { readonly blocks: MetadataBlocks; readonly state: MetadataState; device(id: number): ThinDevice | Errno },
  name: string,
  lostMax: number,
): void {
  const { faults } = checkImage(metadata.blocks);
  // A device that cannot be read says nothing of what is on it.
  if (faults.some((fault) => "fault" in fault && fault.fault.what === "device")) return;
  const leaks = faults.filter(isLeak).length;
  assert(leaks <= lostMax, `${name}: ${leaks} data blocks have leaked, ${lostMax} are known to be lost`);
  const wrong = faults.find((fault) => !isLeak(fault));
  assert(wrong === undefined, `${name}: the last commit is wrong: ${JSON.stringify(wrong)}`);
  const { state } = metadata;
  state.data.refcounts.check(`${name}: data`);
  state.tx.space.refcounts.check(`${name}: metadata`);
  const roots = readRoots(state);
  if (isErrno(roots)) return;
  const seen = new Set<number>();
  for (const { id, root } of roots) {
    const device = metadata.device(id);
    if (device === EIO) return;
    assert(!isErrno(device), `${name}: device ${id} has mappings and no details`);
    let mapped = 0;
    let unread: Errno | undefined;
    const failed = new BTree(state.tx, state.mappingType, root).visitLeaves((words, location) => {
      mapped += countOf(words);
      // Snapshots share most of their leaves.
      if (seen.has(location)) return;
      seen.add(location);
      unread ??= checkMapped(state, words, `${name}: device ${id}`);
    });
    if (failed !== undefined || unread !== undefined) return;
    assert(
      device.stale || mapped === device.details.mapped,
      `${name}: device ${id} maps ${mapped} blocks, its details say ${device.details.mapped}`,
    );
  }
}

/** Throws unless each data block that a leaf of mappings leads to is in use. @returns EIO where that cannot be read. */
function checkMapped(state: MetadataState, words: Uint32Array, name: string): Errno | undefined {
  const count = countOf(words);
  const blockAt = (index: number): number => mappedBlock(words, valueAt(words, index));
  for (let index = 0; index < count; ) {
    const begin = blockAt(index++);
    let end = begin + 1;
    for (; index < count && blockAt(index) === end; index++) end += 1;
    const free = state.data.refcounts.firstUnused(begin, end);
    if (free === EIO) return EIO;
    if (free !== -1) throw new InvariantError(`${name} maps block ${isErrno(free) ? begin : free}, which is free`);
  }
  return undefined;
}
