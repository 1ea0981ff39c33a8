/**
 * The block device: four calls, and everything below a filesystem is one of them. A disk is a BlockDevice; so is a thin volume,
 * a loop device over a file, and a faulty or counting device around another.
 *
 * Interface:
 * - Offsets and lengths are in bytes, multiples of `sectorSize`, within `size`; anything else gives EINVAL, nothing is done.
 * - What was never written, or was discarded, reads as zeros.
 * - A write is in the device's volatile cache until `flush` returns: a power cut may keep any subset of its sectors.
 */
import { Content } from "../core/content.ts";
import { type Errno, isErrno } from "../core/errno.ts";
import { type Bytes, bytes } from "../core/units.ts";

/** How a device is best written to, as the kernel tells it in /sys/block/…/queue. */
export interface IoLimits {
  /** minimum_io_size in bytes: what can be written without reading something first. */
  readonly minimum: number;
  /** optimal_io_size in bytes. */
  readonly optimal: number;
}

export interface BlockDevice {
  /** What reports and events call it, such as "vda". */
  readonly name: string;
  readonly size: Bytes;
  /** 512 or 4096. */
  readonly sectorSize: Bytes;
  /** Absent where any write is as good as another. */
  readonly io?: IoLimits | undefined;
  /** Whether a head has to move, as /sys/block/…/queue/rotational tells. Absent: so it is said, as of the disks of virtual machines. */
  readonly rotational?: boolean | undefined;
  /** @returns exactly `length` bytes, or EIO. */
  read(offset: Bytes, length: Bytes): Content | Errno;
  /**
   * As many reads of `unit` bytes as `length` has, one behind the other, as one content. They count and fail each for itself. A device without it
   * is asked for them one by one (`readEach`).
   */
  readUnits?(offset: Bytes, length: Bytes, unit: Bytes): Content | Errno;
  /** @returns EIO, or ENOSPC from a thin volume. */
  write(offset: Bytes, content: Content): Errno | undefined;
  /**
   * As many writes of `unit` bytes as `content` has, one behind the other: what a journal sends at once. They count, fail and are lost
   * each for itself. A device without it gets them one by one (`writeEach`).
   */
  writeUnits?(offset: Bytes, content: Content, unit: Bytes): Errno | undefined;
  /** Gives the range up: it reads as zeros from now on. @returns EOPNOTSUPP (ENOTSUP) where the device cannot. */
  discard(offset: Bytes, length: Bytes): Errno | undefined;
  /** When it returns, every write before it is durable. */
  flush(): Errno | undefined;
}

/** Reads `length` bytes by commands of `unit` bytes each. @returns the first error. */
export function readEach(device: BlockDevice, offset: Bytes, length: Bytes, unit: Bytes): Content | Errno {
  if (length === unit) return device.read(offset, length);
  if (device.readUnits !== undefined) return device.readUnits(offset, length, unit);
  const parts: Content[] = [];
  for (let at = 0; at < length; at += unit) {
    const part = device.read(bytes(offset + at), unit);
    if (isErrno(part)) return part;
    parts.push(part);
  }
  return Content.concat(parts);
}

/** Writes `content` as commands of `unit` bytes each. @returns the first error; what comes behind it is not written. */
export function writeEach(device: BlockDevice, offset: Bytes, content: Content, unit: Bytes): Errno | undefined {
  if (device.writeUnits !== undefined) return device.writeUnits(offset, content, unit);
  for (let at = 0; at < content.length; at += unit) {
    const failed = device.write(bytes(offset + at), content.slice(at, at + unit));
    if (failed !== undefined) return failed;
  }
  return undefined;
}
