/**
 * What a pool's metadata says, freed of how it is stored: devices, their details, their mappings as runs. What thin_dump prints.
 */
import { type Errno, isErrno } from "../core/errno.ts";
import { BTree } from "./btree.ts";
import { countOf, keyAt, valueAt } from "./btree-node.ts";
import { mappedBlock, mappedTime } from "./mapping.ts";
import { get64 } from "./metadata-block.ts";
import { type DeviceDetails, type MetadataState, readDetails } from "./metadata-state.ts";

/** Virtual blocks from `origin` on, mapped to as many data blocks from `data` on at one time. */
export interface MappingRun {
  readonly origin: number;
  readonly data: number;
  readonly length: number;
  readonly time: number;
}

/** One device. */
export interface DeviceModel {
  readonly id: number;
  readonly details: Readonly<DeviceDetails>;
  readonly runs: readonly MappingRun[];
}

/** The mappings of a tree as runs, in the order of the virtual blocks. */
function runsOf(mappings: BTree, isWanted?: (node: number) => boolean): readonly MappingRun[] | Errno {
  const runs: { origin: number; data: number; length: number; time: number }[] = [];
  const failed = mappings.visitLeaves((words) => {
    for (let index = 0; index < countOf(words); index++) {
      const origin = keyAt(words, index);
      const at = valueAt(words, index);
      const data = mappedBlock(words, at);
      const time = mappedTime(words, at);
      const last = runs.at(-1);
      if (last?.time === time && last.origin + last.length === origin && last.data + last.length === data) last.length += 1;
      else runs.push({ origin, data, length: 1, time });
    }
  }, isWanted);
  return failed ?? runs;
}

/** The tree of mappings of each device, in the order of their ids. @returns an error of reading. */
export function readRoots(
  state: Pick<MetadataState, "devices">,
): readonly { readonly id: number; readonly root: number }[] | Errno {
  const roots: { readonly id: number; readonly root: number }[] = [];
  const failed = state.devices.visitLeaves((words) => {
    for (let index = 0; index < countOf(words); index++) {
      roots.push({ id: keyAt(words, index), root: get64(words, valueAt(words, index)) });
    }
  });
  return failed ?? roots;
}

/**
 * The devices of a committed state, in the order of their ids. @param isWanted - whether a node of mappings is to be looked into; default:
 * each is. @returns an error of reading. O(mappings).
 */
export function readDevices(
  state: Pick<MetadataState, "tx" | "devices" | "details" | "mappingType">,
  isWanted?: (node: number) => boolean,
): readonly DeviceModel[] | Errno {
  const roots = readRoots(state);
  if (isErrno(roots)) return roots;
  const out: DeviceModel[] = [];
  for (const { id, root } of roots) {
    const hit = state.details.find(id);
    if (isErrno(hit)) return hit;
    const details = readDetails(hit.words, hit.valueAt);
    const runs = runsOf(new BTree(state.tx, state.mappingType, root), isWanted);
    if (isErrno(runs)) return runs;
    out.push({ id, details, runs });
  }
  return out;
}

/** The devices without their mappings, from their details alone. */
export function readDeviceDetails(state: Pick<MetadataState, "details">): readonly DeviceModel[] | Errno {
  const out: DeviceModel[] = [];
  const failed = state.details.visitLeaves((words) => {
    for (let index = 0; index < countOf(words); index++) {
      out.push({ id: keyAt(words, index), details: readDetails(words, valueAt(words, index)), runs: [] });
    }
  });
  return failed ?? out;
}
