/**
 * The devices of a pool: a stripe of top-level devices, each one disk or a mirror of several (module/zfs/vdev.c, vdev_label.c).
 *
 * On each disk: two labels of 256 KiB, 3.5 MiB for a boot loader, the space of the pool, and two labels again. The second half of a label is a
 * ring of uberblocks, written in turn; the one of the highest transaction group that is whole is the pool.
 *
 * Interface: a write goes to all disks of a mirror, a read to the first that answers. A disk that fails takes the error upward only when no
 * other holds the block. A side that has missed a write is behind: it is read for what it had before alone, and gets no uberblock, so that an
 * import knows it too, and brings it up to date (its dirty time log, vdev_dtl_*, and dsl_scan.c's resilver).
 */
import type { BlockDevice } from "../../block/device.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import { alignDown, alignUp, bytes, KIB, MIB } from "../../core/units.ts";
import type { Dva } from "./block-pointer.ts";

const LABELS = 4;
const LABEL_BYTES: number = KIB(256);
const RING_OFFSET: number = KIB(128);
const RING_BYTES: number = KIB(128);
/** Labels and boot area before the pool's space (VDEV_LABEL_START_SIZE), and the labels behind it. */
const FRONT_BYTES: number = MIB(4);
const BACK_BYTES: number = 2 * LABEL_BYTES;
/** Where a label's configuration lies in it. */
const CONFIG_OFFSET: number = KIB(16);
const CONFIG_BYTES: number = KIB(112);
const UBERBLOCK_BYTES = 1024;
/** The smallest device (SPA_MINDEVSIZE). */
export const DEVICE_BYTES_MIN: number = MIB(64);

export interface TopLevel {
  /** One disk, or the sides of a mirror. */
  readonly children: readonly BlockDevice[];
  /** log2 of the allocation unit. */
  readonly ashift: number;
  /** Sides that have missed a write → the last transaction group of which they have everything. */
  readonly behind: Map<BlockDevice, number>;
}

/** A top-level device all of whose sides are whole. */
export function topLevel(children: readonly BlockDevice[], ashift: number): TopLevel {
  return { children, ashift, behind: new Map() };
}

function noteMissed({ behind }: TopLevel, devices: readonly BlockDevice[], group: number): void {
  for (const device of devices) behind.set(device, Math.min(group - 1, behind.get(device) ?? group));
}

/** What a label says of the pool, as far as an import asks for it. */
export interface LabelRecord {
  readonly kind: "zfs.label";
  readonly length: number;
  readonly pool: string;
  readonly guid: number;
  readonly profile: string;
  /** This disk's place: its top-level device, and its side of the mirror. */
  readonly top: number;
  readonly child: number;
  /** Sides of each top-level device. */
  readonly shape: readonly number[];
  readonly ashift: number;
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
}

/** Bytes of a disk that the pool's space covers. */
export function usableBytes(device: BlockDevice): number {
  return alignDown(device.size, LABEL_BYTES) - FRONT_BYTES - BACK_BYTES;
}

/** Where one of a device's labels begins: two are at its beginning, two at its end. */
function labelOffset(device: BlockDevice, label: number): number {
  return label < 2 ? label * LABEL_BYTES : alignDown(device.size, LABEL_BYTES) - (LABELS - label) * LABEL_BYTES;
}

function slotBytes(ashift: number): number {
  return Math.max(UBERBLOCK_BYTES, 1 << ashift);
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

/** Writes the labels' configuration. */
export function writeLabels(tops: readonly TopLevel[], of: Pick<LabelRecord, "pool" | "guid" | "profile">): Errno | undefined {
  const shape = tops.map(({ children }) => children.length);
  for (const [top, { children, ashift }] of tops.entries()) {
    for (const [child, device] of children.entries()) {
      const record: LabelRecord = { kind: "zfs.label", length: 4096, ...of, top, child, shape, ashift };
      for (let label = 0; label < LABELS; label++) {
        const failed = device.write(bytes(labelOffset(device, label) + CONFIG_OFFSET), padded(record, CONFIG_BYTES));
        if (failed !== undefined) return failed;
      }
    }
  }
  return undefined;
}

/** The label of a device: of the first of its four that is whole. */
export function readLabel(device: BlockDevice): LabelRecord | undefined {
  for (let label = 0; label < LABELS; label++) {
    const record = firstRecord(device.read(bytes(labelOffset(device, label) + CONFIG_OFFSET), bytes(4096)));
    if (record?.kind === "zfs.label") return record as LabelRecord;
  }
  return undefined;
}

const NO_DEVICES: readonly BlockDevice[] = [];

/** Does something on sides of a top-level device; those that fail are behind from then on. @returns an error when every one did. */
function onSides(
  top: TopLevel,
  devices: readonly BlockDevice[],
  group: number,
  work: (device: BlockDevice) => Errno | undefined,
): Errno | undefined {
  // A side that is alone has none to fall behind.
  if (devices.length === 1) return work(devices[0] as BlockDevice);
  let error: Errno = EIO;
  let failed = NO_DEVICES;
  for (const device of devices) {
    const wrong = work(device);
    if (wrong === undefined) continue;
    error = wrong;
    failed = [...failed, device];
  }
  if (failed.length === devices.length) return error;
  noteMissed(top, failed, group);
  return undefined;
}

/** Writes an uberblock into its slot of all labels. @returns an error when a whole top-level device failed. */
export function writeUberblock(tops: readonly TopLevel[], record: UberblockRecord): Errno | undefined {
  for (const top of tops) {
    const slot = slotBytes(top.ashift);
    const content = padded(record, slot);
    const at = RING_OFFSET + (record.group % (RING_BYTES / slot)) * slot;
    const whole = top.behind.size === 0 ? top.children : top.children.filter((device) => !top.behind.has(device));
    const failed = onSides(top, whole, record.group, (device) => {
      let wrong: Errno | undefined;
      for (let label = 0; label < LABELS; label++) {
        const one = device.write(bytes(labelOffset(device, label) + at), content);
        wrong ??= one;
      }
      return wrong;
    });
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** The newest uberblock of a pool on its devices; sides that are behind others of their mirror are noted. O(slots). */
export function readUberblock(tops: readonly TopLevel[], guid: number): UberblockRecord | undefined {
  let newest: UberblockRecord | undefined;
  for (const { children, ashift, behind } of tops) {
    const found = children.map((device) => newestOn(device, slotBytes(ashift), guid));
    const groups = found.map((one) => one?.group ?? 0);
    for (const [child, device] of children.entries()) {
      const group = groups[child] as number;
      if (group < Math.max(...groups)) behind.set(device, group);
    }
    for (const one of found) if (one !== undefined && one.group > (newest?.group ?? 0)) newest = one;
  }
  return newest;
}

function newestOn(device: BlockDevice, slot: number, guid: number): UberblockRecord | undefined {
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

/** Writes a block's content, filled up with zeros to whole sectors, to one of its places, in a transaction group. */
export function writeAt(tops: readonly TopLevel[], dva: Dva, content: Content, group: number): Errno | undefined {
  const top = tops[dva.vdev] as TopLevel;
  return onSides(top, top.children, group, (device) => writeSide(device, dva, content));
}

function writeSide(device: BlockDevice, dva: Dva, content: Content): Errno | undefined {
  const whole = alignUp(content.length, device.sectorSize);
  const given = whole === content.length ? content : Content.concat([content, Content.zeros(whole - content.length)]);
  return device.write(bytes(dva.offset + FRONT_BYTES), given);
}

/** Brings sides that are behind up to date in one place of a block. @returns whether that worked. */
export function resilverAt(tops: readonly TopLevel[], dva: Dva, birth: number, content: Content): boolean {
  const { behind } = tops[dva.vdev] as TopLevel;
  return [...behind].every(([device, group]) => birth <= group || writeSide(device, dva, content) === undefined);
}

/** Reads `length` bytes from one place of a block that was born in `birth`, asking each side of a mirror that has it until `good` is content. */
export function readAt(
  tops: readonly TopLevel[],
  { dva, birth }: { readonly dva: Dva; readonly birth: number },
  length: number,
  good: (content: Content) => boolean,
): Content | Errno {
  const { children, behind } = tops[dva.vdev] as TopLevel;
  for (const device of children) {
    if (birth > (behind.get(device) ?? birth)) continue;
    const found = device.read(bytes(dva.offset + FRONT_BYTES), bytes(alignUp(length, device.sectorSize)));
    if (isErrno(found)) continue;
    const content = found.slice(0, length);
    if (good(content)) return content;
  }
  return EIO;
}

/** Makes everything durable on every device. @returns an error when a whole top-level device failed. */
export function flushAll(tops: readonly TopLevel[], group: number): Errno | undefined {
  for (const top of tops) {
    const failed = onSides(top, top.children, group, (device) => device.flush());
    if (failed !== undefined) return failed;
  }
  return undefined;
}
