/**
 * The devices of a pool: a stripe of top-level devices, each one disk or a mirror of several (module/zfs/vdev.c, vdev_mirror.c). What lies on each disk
 * before and behind the pool's space is in labels.ts.
 *
 * Interface: a write goes to all sides of a mirror that are there, a read to the first that has the block and gives it whole; sides that should have
 * given it are written anew then. A side that misses a write misses its group (its dirty time log, DTL_MISSING): it is read for other groups alone,
 * until a resilver has brought it up to date (scan.ts). An error goes upward only when no side is left.
 */
import type { BlockDevice } from "../../block/device.ts";
import { Content } from "../../core/content.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import { alignDown, alignUp, bytes, KIB, MIB } from "../../core/units.ts";
import type { Dva } from "./block-pointer.ts";

export const LABELS = 4;
export const LABEL_BYTES: number = KIB(256);
/** Labels and boot area before the pool's space (VDEV_LABEL_START_SIZE), and the labels behind it. */
const FRONT_BYTES: number = MIB(4);
const BACK_BYTES: number = 2 * LABEL_BYTES;
/** A part of each label that a probe reads and writes (vl_be, VDEV_PAD_SIZE). */
const PAD_OFFSET: number = KIB(8);
const PAD_BYTES: number = KIB(8);
/** The smallest device (SPA_MINDEVSIZE). */
export const DEVICE_BYTES_MIN: number = MIB(64);

/** Guids of the sides that come in one transaction group lie below those of the next. */
export const GUIDS_A_GROUP = 65_536;

/** Blocks born in these transaction groups may not be on a side: after the one, up to the other. */
interface Missed {
  after: number;
  upTo: number;
}

/** A disk of a pool (a leaf vdev). */
export interface Side {
  readonly guid: number;
  /** What commands and zpool status call it. */
  readonly name: string;
  /** Absent: it was not found when the pool was imported. */
  device: BlockDevice | undefined;
  /** As zpool status has it: by an administrator's word, by its errors, by its absence. */
  state: "ONLINE" | "OFFLINE" | "FAULTED" | "UNAVAIL";
  /** Offline until the next import alone (zpool offline -t). */
  temporary: boolean;
  /** Absent: it has everything. */
  missed: Missed | undefined;
  /** The side that goes when this one has everything (they are a "replacing" vdev until then). */
  replaces: Side | undefined;
  readonly errors: { read: number; write: number; checksum: number };
}

export interface TopLevel {
  /** One disk, or the sides of a mirror. Replaced when a side comes or goes. */
  sides: readonly Side[];
  /** log2 of the allocation unit. */
  readonly ashift: number;
  /** Bytes of the pool's space on each side (asize). */
  readonly size: number;
}

/** A side that has everything, or nothing yet: it missed all groups up to one. */
export function newSide(device: BlockDevice, guid: number, missedUpTo = 0, replaces?: Side): Side {
  return {
    guid,
    name: device.name,
    device,
    state: "ONLINE",
    temporary: false,
    missed: missedUpTo === 0 ? undefined : { after: 0, upTo: missedUpTo },
    replaces,
    errors: { read: 0, write: 0, checksum: 0 },
  };
}

/** A top-level device all of whose sides are whole. @param firstGuid - of the first side; each has the next */
export function topLevel(devices: readonly BlockDevice[], ashift: number, firstGuid = 1): TopLevel {
  const sides = devices.map((device, at) => newSide(device, firstGuid + at));
  return { sides, ashift, size: Math.min(...devices.map(usableBytes)) };
}

/** Bytes of a disk that the pool's space can cover. */
export function usableBytes(device: BlockDevice): number {
  return alignDown(device.size, LABEL_BYTES) - FRONT_BYTES - BACK_BYTES;
}

/** Where one of a device's labels begins: two are at its beginning, two at its end. */
export function labelOffset(device: BlockDevice, label: number): number {
  return label < 2 ? label * LABEL_BYTES : alignDown(device.size, LABEL_BYTES) - (LABELS - label) * LABEL_BYTES;
}

/** The device of a side that can be read and written now. */
export function openDevice({ state, device }: Side): BlockDevice | undefined {
  return state === "ONLINE" ? device : undefined;
}

/** Whether some side that is there has missed anything. */
export function isBehind(tops: readonly TopLevel[]): boolean {
  return tops.some(({ sides }) => sides.some((side) => side.missed !== undefined && openDevice(side) !== undefined));
}

/** Whether a side may not have what was born in a group. */
function misses({ missed }: Side, birth: number): boolean {
  return missed !== undefined && birth > missed.after && birth <= missed.upTo;
}

/** A side has not got what was written in a group (vdev_dtl_dirty). */
function missGroup(side: Side, group: number): void {
  const { missed } = side;
  if (missed === undefined) side.missed = { after: group - 1, upTo: group };
  else {
    missed.after = Math.min(missed.after, group - 1);
    missed.upTo = Math.max(missed.upTo, group);
  }
}

/**
 * Whether some group's blocks would be nowhere without a side: none of the others that are there, or one group that they all have missed
 * (vdev_dtl_required).
 */
export function isRequired(top: TopLevel, side: Side): boolean {
  const others = top.sides.filter((one) => one !== side && openDevice(one) !== undefined);
  const after = Math.max(...others.map(({ missed }) => missed?.after ?? 0));
  const upTo = Math.min(...others.map(({ missed }) => missed?.upTo ?? 0));
  return others.length === 0 || after < upTo;
}

/**
 * A disk that gave an error is tried: one on which no label can be read and written is taken out (vdev_probe, spa_async_probe). One that the pool
 * cannot do without stays: whatever needs it fails, and works again when it does.
 */
function probe(top: TopLevel, side: Side): void {
  const device = openDevice(side);
  if (device === undefined || isRequired(top, side)) return;
  for (let label = 1; label < LABELS; label++) {
    const at = bytes(labelOffset(device, label) + PAD_OFFSET);
    const found = device.read(at, bytes(PAD_BYTES));
    if (!isErrno(found) && device.write(at, found) === undefined) return;
  }
  side.state = "FAULTED";
}

const NO_SIDES: readonly Side[] = [];

/**
 * Does something on the sides of a top-level device; those on which it fails, or that are not there, miss the group.
 * @returns an error when it worked on none.
 */
export function onSides(
  top: TopLevel,
  group: number,
  work: (device: BlockDevice, side: Side) => Errno | undefined,
): Errno | undefined {
  const { sides } = top;
  const [only] = sides;
  if (sides.length === 1 && only !== undefined) {
    // One that is alone has none to fall behind.
    const device = openDevice(only);
    return device === undefined ? EIO : work(device, only);
  }
  let error: Errno = EIO;
  let failed = NO_SIDES;
  for (const side of sides) {
    const device = openDevice(side);
    const wrong = device === undefined ? EIO : work(device, side);
    if (wrong === undefined) continue;
    error = wrong;
    failed = [...failed, side];
  }
  // Where none has it, none is better than another: the pool waits.
  if (failed.length === sides.length) return error;
  for (const side of failed) {
    missGroup(side, group);
    probe(top, side);
  }
  return undefined;
}

/** Writes a block's content, filled up with zeros to whole sectors, to one of its places, in a transaction group. */
export function writeAt(tops: readonly TopLevel[], dva: Dva, content: Content, group: number): Errno | undefined {
  return onSides(tops[dva.vdev] as TopLevel, group, (device, side) => writeSide(side, device, dva, content));
}

function writeSide({ errors }: Side, device: BlockDevice, dva: Dva, content: Content): Errno | undefined {
  const whole = alignUp(content.length, device.sectorSize);
  const given = whole === content.length ? content : Content.concat([content, Content.zeros(whole - content.length)]);
  const failed = device.write(bytes(dva.offset + FRONT_BYTES), given);
  if (failed !== undefined) errors.write += 1;
  return failed;
}

export interface WantedBlock {
  readonly dva: Dva;
  readonly birth: number;
  readonly length: number;
  /** Whether content is the block's. */
  readonly good: (content: Content) => boolean;
  /** The block may well not be there, which is no side's fault then: the next one of a log (ZIO_FLAG_SPECULATIVE). */
  readonly isSpeculative?: boolean;
}

/** A side's copy of a block; undefined when it cannot be read, or is no such block's: the side is told of either. */
function readSide(top: TopLevel, side: Side, { dva, length, good, isSpeculative }: WantedBlock): Content | undefined {
  const device = side.device as BlockDevice;
  const found = device.read(bytes(dva.offset + FRONT_BYTES), bytes(alignUp(length, device.sectorSize)));
  if (isErrno(found)) {
    side.errors.read += 1;
    probe(top, side);
    return undefined;
  }
  const content = found.slice(0, length);
  if (good(content)) return content;
  if (isSpeculative !== true) side.errors.checksum += 1;
  return undefined;
}

/** Writes a block anew where it was not whole. @returns how many sides have it now. */
function repair(top: TopLevel, sides: readonly Side[], { dva, birth }: WantedBlock, content: Content): number {
  let count = 0;
  for (const side of sides) {
    const device = openDevice(side);
    if (device === undefined) continue;
    const failed = writeSide(side, device, dva, content);
    if (failed === undefined) count += 1;
    else {
      missGroup(side, birth);
      probe(top, side);
    }
  }
  return count;
}

/** Reads one place of a block, asking each side of a mirror that has it until one gives it whole; those that did not are repaired. */
export function readAt(tops: readonly TopLevel[], wanted: WantedBlock): Content | Errno {
  const top = tops[wanted.dva.vdev] as TopLevel;
  let bad = NO_SIDES;
  for (const side of top.sides) {
    if (openDevice(side) === undefined || misses(side, wanted.birth)) continue;
    const content = readSide(top, side, wanted);
    if (content === undefined) {
      bad = [...bad, side];
      continue;
    }
    if (bad.length > 0 && wanted.isSpeculative !== true) repair(top, bad, wanted, content);
    return content;
  }
  return EIO;
}

/** Brings one place of a block up to date on every side of its device that misses it. @returns how many were written. */
export function resilverAt(tops: readonly TopLevel[], wanted: WantedBlock, content: Content): number {
  const top = tops[wanted.dva.vdev] as TopLevel;
  const behind = top.sides.filter((side) => misses(side, wanted.birth));
  return behind.length === 0 ? 0 : repair(top, behind, wanted, content);
}

/** Copies a place of which nobody knows when it was written, from a side that has missed nothing to all that have missed anything. */
export function copyAt(tops: readonly TopLevel[], wanted: WantedBlock): void {
  const top = tops[wanted.dva.vdev] as TopLevel;
  const whole = top.sides.find((side) => side.missed === undefined && openDevice(side) !== undefined);
  const content = whole === undefined ? undefined : readSide(top, whole, wanted);
  if (content !== undefined)
    repair(
      top,
      top.sides.filter(({ missed }) => missed !== undefined),
      wanted,
      content,
    );
}

/** Reads one place of a block from every side that has it, and repairs those that do not give it whole. @returns how many were; EIO when none is. */
export function scrubAt(tops: readonly TopLevel[], wanted: WantedBlock): number | Errno {
  const top = tops[wanted.dva.vdev] as TopLevel;
  const bad: Side[] = [];
  let whole: Content | undefined;
  for (const side of top.sides) {
    if (openDevice(side) === undefined) continue;
    const content = misses(side, wanted.birth) ? undefined : readSide(top, side, wanted);
    if (content === undefined) bad.push(side);
    whole ??= content;
  }
  return whole === undefined ? EIO : repair(top, bad, wanted, whole);
}

/** Makes everything durable on every device. @returns an error when a whole top-level device failed. */
export function flushAll(tops: readonly TopLevel[], group: number): Errno | undefined {
  for (const top of tops) {
    const failed = onSides(top, group, (device) => device.flush());
    if (failed !== undefined) return failed;
  }
  return undefined;
}
