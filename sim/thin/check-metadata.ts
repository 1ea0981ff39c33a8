/**
 * Whether a pool's metadata adds up: its last commit, as it lies in the cache and on the device, and what changed since.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { EIO, type Errno, isErrno } from "../core/errno.ts";
import { checkImage, type ImageFault } from "./check-image.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";
import type { MetadataState } from "./metadata-state.ts";
import { readDevices } from "./model.ts";
import type { ThinDevice } from "./thin-metadata.ts";

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
  const isLeak = (fault: ImageFault): boolean => fault.kind === "dataCount" && fault.expected === 0;
  const leaks = faults.filter(isLeak).length;
  assert(leaks <= lostMax, `${name}: ${leaks} data blocks have leaked, ${lostMax} are known to be lost`);
  const wrong = faults.find((fault) => !isLeak(fault));
  assert(wrong === undefined, `${name}: the last commit is wrong: ${JSON.stringify(wrong)}`);
  const { state } = metadata;
  state.data.refcounts.check(`${name}: data`);
  state.tx.space.refcounts.check(`${name}: metadata`);
  const devices = readDevices(state);
  if (isErrno(devices)) return;
  for (const { id, runs } of devices) {
    const device = metadata.device(id);
    if (device === EIO) return;
    assert(!isErrno(device), `${name}: device ${id} has mappings and no details`);
    const mapped = runs.reduce((sum, { length }) => sum + length, 0);
    assert(
      device.stale || mapped === device.details.mapped,
      `${name}: device ${id} maps ${mapped} blocks, its details say ${device.details.mapped}`,
    );
    for (const { data, length } of runs) {
      const free = state.data.refcounts.firstUnused(data, data + length);
      if (free === EIO) return;
      if (free !== -1) throw new InvariantError(`${name}: device ${id} maps block ${isErrno(free) ? data : free}, which is free`);
    }
  }
}
