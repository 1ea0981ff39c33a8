/**
 * Whether a pool's metadata adds up: its last commit, as it lies in the cache and on the device, and what changed since.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { EIO, type Errno, isErrno } from "../core/errno.ts";
import { childAt, countOf, isLeaf, valueAt } from "./btree-node.ts";
import { checkImage, type ImageFault } from "./check-image.ts";
import { visitDataRuns } from "./mapping.ts";
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
  // Snapshots share most of their nodes.
  const known = new Map<number, number>();
  for (const { id, root } of roots) {
    const device = metadata.device(id);
    if (device === EIO) return;
    assert(!isErrno(device), `${name}: device ${id} has mappings and no details`);
    const mapped = checkMappings(state, root, known, `${name}: device ${id}`);
    if (isErrno(mapped)) return;
    assert(
      device.stale || mapped === device.details.mapped,
      `${name}: device ${id} maps ${mapped} blocks, its details say ${device.details.mapped}`,
    );
  }
}

/** Looks at each node below one that is not known. @param known - how many mappings are below. @returns how many are below this one; an error of reading. */
function checkMappings(state: MetadataState, location: number, known: Map<number, number>, name: string): number | Errno {
  const found = known.get(location);
  if (found !== undefined) return found;
  const node = state.tx.read(location, "node");
  if (isErrno(node)) return node;
  const { words } = node;
  const count = countOf(words);
  let mapped = 0;
  if (isLeaf(words)) {
    const unread = checkMapped(state, words, name);
    if (unread !== undefined) return unread;
    mapped = count;
  } else {
    for (let index = 0; index < count; index++) {
      const below = checkMappings(state, childAt(words, index), known, name);
      if (isErrno(below)) return below;
      mapped += below;
    }
  }
  known.set(location, mapped);
  return mapped;
}

/** Throws unless each data block that a leaf of mappings leads to is in use. @returns EIO where that cannot be read. */
function checkMapped(state: MetadataState, words: Uint32Array, name: string): Errno | undefined {
  let unread: Errno | undefined;
  visitDataRuns(words, valueAt(words, 0), countOf(words), (begin, end) => {
    const free = state.data.refcounts.firstUnused(begin, end);
    if (free === EIO) unread = EIO;
    else if (free !== -1) throw new InvariantError(`${name} maps block ${isErrno(free) ? begin : free}, which is free`);
  });
  return unread;
}
