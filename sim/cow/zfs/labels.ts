/**
 * What tells a pool's disks apart from others (module/zfs/vdev_label.c): on each disk two labels of 256 KiB, 3.5 MiB for a boot loader, the space of the
 * pool, and two labels again. A label has the configuration of the pool, and in its second half a ring of uberblocks, written in turn; the one of the
 * highest transaction group that is whole is the pool.
 *
 * Interface: a side that was not there when the newest uberblock was written is known by its older one; what others have missed stands in the newest.
 * A configuration is written to two of the labels before the uberblock of its group and to the others behind it: one of the two that there are is the
 * uberblock's, wherever the power goes.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { bytes, KIB } from "../../core/units.ts";
import { LABEL_BYTES, LABELS, labelOffset, onSides, openDevice, type Side, type TopLevel } from "./vdev.ts";

const RING_OFFSET: number = KIB(128);
const RING_BYTES: number = KIB(128);
/** Where a label's configuration lies in it. */
const CONFIG_OFFSET: number = KIB(16);
const CONFIG_BYTES: number = KIB(112);
const RECORD_BYTES = 4096;
const UBERBLOCK_BYTES = 1024;
/** The labels that are written before the uberblock, and those behind it. */
export const EVEN_LABELS: readonly number[] = [0, 2];
export const ODD_LABELS: readonly number[] = [1, 3];

interface SideRecord {
  readonly guid: number;
  readonly name: string;
  readonly isOffline: boolean;
  /** The guid of the side that it replaces; 0: none. */
  readonly replaces: number;
}

/** What a label says of the pool, as far as an import asks for it. */
export interface LabelRecord {
  readonly kind: "zfs.label";
  readonly length: number;
  readonly pool: string;
  readonly guid: number;
  readonly profile: string;
  /** The transaction group whose configuration it is. */
  readonly group: number;
  /** The guid of this side. */
  readonly side: number;
  readonly tops: readonly { readonly ashift: number; readonly size: number; readonly sides: readonly SideRecord[] }[];
}

export interface UberblockRecord {
  readonly kind: "zfs.uberblock";
  readonly length: number;
  readonly guid: number;
  readonly group: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Where the meta object set lies: a BlockPointer; kept as the object. */
  readonly root: unknown;
  /** What sides have missed, by their guid: after a group, up to a group. In objects of the meta object set in reality (vdev_dtl_sync). */
  readonly missed?: readonly (readonly [guid: number, after: number, upTo: number])[];
  /** The last scan, which is there too (dsl_scan_phys_t). */
  readonly scan?: ScanResult;
}

/** How a scrub or a resilver ended (pool_scan_stat_t). */
export interface ScanResult {
  readonly kind: "scrub" | "resilver";
  /** Bytes that were written anew. */
  readonly repaired: number;
  /** Blocks that could not be read from any side. */
  readonly errors: number;
  /** Seconds since 1970. */
  readonly start: number;
  readonly end: number;
}

function padded(record: BlockRecord, to: number): Content {
  return record.length === to
    ? Content.record(record)
    : Content.concat([Content.record(record), Content.zeros(to - record.length)]);
}

function firstRecord(content: Content | Errno): BlockRecord | undefined {
  if (isErrno(content)) return undefined;
  return content.wholeRecord() ?? content.runs[0]?.wholeRecord();
}

function slotBytes(ashift: number): number {
  return Math.max(UBERBLOCK_BYTES, 1 << ashift);
}

function shapeOf(tops: readonly TopLevel[]): LabelRecord["tops"] {
  return tops.map(({ ashift, size, sides }) => ({
    ashift,
    size,
    sides: sides.map(({ guid, name, state, temporary, replaces }) => ({
      guid,
      name,
      isOffline: state === "OFFLINE" && !temporary,
      replaces: replaces?.guid ?? 0,
    })),
  }));
}

/** Writes the configuration into some labels of every side that is there. @returns an error when no side of a top-level device took it. */
export function writeLabels(
  tops: readonly TopLevel[],
  of: Pick<LabelRecord, "pool" | "guid" | "profile" | "group">,
  labels: readonly number[],
): Errno | undefined {
  const shape = shapeOf(tops);
  for (const { sides } of tops) {
    let wrong: Errno | undefined;
    let written = 0;
    for (const side of sides) {
      const device = openDevice(side);
      if (device === undefined) continue;
      const record: LabelRecord = { kind: "zfs.label", length: RECORD_BYTES, ...of, side: side.guid, tops: shape };
      const failed = writeLabel(device, padded(record, CONFIG_BYTES), labels);
      if (failed === undefined) written += 1;
      wrong ??= failed;
    }
    if (written === 0 && wrong !== undefined) return wrong;
  }
  return undefined;
}

function writeLabel(device: BlockDevice, content: Content, labels: readonly number[]): Errno | undefined {
  let wrong: Errno | undefined;
  for (const label of labels) {
    const one = device.write(bytes(labelOffset(device, label) + CONFIG_OFFSET), content);
    wrong ??= one;
  }
  return wrong;
}

/** Takes a disk's labels away, so that it is no pool's any more (VDEV_LABEL_REMOVE); one that cannot be written keeps them. */
export function eraseLabels(device: BlockDevice): void {
  for (let label = 0; label < LABELS; label++) {
    device.write(bytes(labelOffset(device, label)), Content.zeros(LABEL_BYTES));
  }
}

/** The labels of a device that are whole. */
function labelsOf(device: BlockDevice): LabelRecord[] {
  const found: LabelRecord[] = [];
  for (let label = 0; label < LABELS; label++) {
    const record = firstRecord(device.read(bytes(labelOffset(device, label) + CONFIG_OFFSET), bytes(RECORD_BYTES)));
    if (record?.kind === "zfs.label") found.push(record as LabelRecord);
  }
  return found;
}

/** The newest label of a device. @param upTo - no newer configuration than this group's, unless there is no other */
export function readLabel(device: BlockDevice, upTo: number = Number.POSITIVE_INFINITY): LabelRecord | undefined {
  const all = labelsOf(device).sort((one, other) => other.group - one.group);
  return all.find(({ group }) => group <= upTo) ?? all.at(-1);
}

/** Writes an uberblock into its slot of all labels. @returns an error when a whole top-level device failed. */
export function writeUberblock(tops: readonly TopLevel[], record: UberblockRecord): Errno | undefined {
  for (const top of tops) {
    const slot = slotBytes(top.ashift);
    const content = padded(record, slot);
    const at = RING_OFFSET + (record.group % (RING_BYTES / slot)) * slot;
    const failed = onSides(top, record.group, (device, { errors }) => {
      let wrong: Errno | undefined;
      for (let label = 0; label < LABELS; label++) {
        const one = device.write(bytes(labelOffset(device, label) + at), content);
        if (one !== undefined) errors.write += 1;
        wrong ??= one;
      }
      return wrong;
    });
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** What an uberblock tells beside where the pool is; undefined: nothing, as most. */
export function toldOf(
  tops: readonly TopLevel[],
  scan: ScanResult | undefined,
): Pick<UberblockRecord, "missed" | "scan"> | undefined {
  const isWhole = tops.every(({ sides }) => sides.every((side) => side.missed === undefined));
  if (isWhole && scan === undefined) return undefined;
  const missed = tops.flatMap(({ sides }) =>
    sides.flatMap(({ guid, missed: of }) => (of === undefined ? [] : [[guid, of.after, of.upTo] as const])),
  );
  return { ...(isWhole ? {} : { missed }), ...(scan === undefined ? {} : { scan }) };
}

/** The newest uberblock on a device. O(slots). */
export function newestUberblock(device: BlockDevice, ashift: number, guid: number): UberblockRecord | undefined {
  const slot = slotBytes(ashift);
  let newest: UberblockRecord | undefined;
  for (let label = 0; label < LABELS; label++) {
    const ring = device.read(bytes(labelOffset(device, label) + RING_OFFSET), bytes(RING_BYTES));
    if (isErrno(ring)) continue;
    for (let at = 0; at < RING_BYTES; at += slot) {
      const record = firstRecord(ring.slice(at, at + UBERBLOCK_BYTES)) as UberblockRecord | undefined;
      if (record?.kind !== "zfs.uberblock" || record.guid !== guid) continue;
      if (newest === undefined || record.group > newest.group) newest = record;
    }
  }
  return newest;
}

/** The newest uberblock of a pool on its devices; sides are told what they have missed. O(slots). */
export function readUberblock(tops: readonly TopLevel[], guid: number): UberblockRecord | undefined {
  let newest: UberblockRecord | undefined;
  const groups = new Map<Side, number>();
  for (const { sides, ashift } of tops) {
    for (const side of sides) {
      const found = side.device === undefined ? undefined : newestUberblock(side.device, ashift, guid);
      groups.set(side, found?.group ?? 0);
      if (found !== undefined && found.group > (newest?.group ?? 0)) newest = found;
    }
  }
  const known = new Map(newest?.missed?.map(([side, after, upTo]) => [side, { after, upTo }]));
  for (const { sides } of tops) {
    const upTo = Math.max(...sides.map((side) => groups.get(side) as number));
    for (const side of sides) {
      side.missed = known.get(side.guid);
      const after = groups.get(side) as number;
      if (after < upTo) side.missed = { after: Math.min(after, side.missed?.after ?? after), upTo };
    }
  }
  return newest;
}

/** The sides of a configuration, each with its device where there is one. */
export function topsOf(label: LabelRecord, devices: ReadonlyMap<number, BlockDevice>): TopLevel[] {
  return label.tops.map(({ ashift, size, sides }) => {
    const made: Side[] = [];
    for (const { guid, name, isOffline, replaces } of sides) {
      const device = devices.get(guid);
      made.push({
        guid,
        name: device?.name ?? name,
        device,
        state: isOffline ? "OFFLINE" : device === undefined ? "UNAVAIL" : "ONLINE",
        temporary: false,
        missed: undefined,
        replaces: made.find((side) => side.guid === replaces),
        errors: { read: 0, write: 0, checksum: 0 },
      });
    }
    return { sides: made, ashift, size };
  });
}
