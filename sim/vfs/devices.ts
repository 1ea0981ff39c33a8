/**
 * The character devices that every Linux has and that hold nothing: null, zero and full (drivers/char/mem.c). All others are not there:
 * opening them gives ENXIO.
 */
import { Content } from "../core/content.ts";
import { ENOSPC, type Errno } from "../core/errno.ts";
import { deviceNumber } from "../core/units.ts";
import { S_IFCHR } from "./filesystem.ts";

const NULL: number = deviceNumber(1, 3);
const ZERO: number = deviceNumber(1, 5);
const FULL: number = deviceNumber(1, 7);

/** Whether a device node of this type and number can be opened. */
export function isKnownDevice(type: number, rdev: number): boolean {
  return type === S_IFCHR && (rdev === NULL || rdev === ZERO || rdev === FULL);
}

/** Whether pages can be taken from a device (its splice_read), as sendfile does. */
export function canSplice(rdev: number): boolean {
  return rdev !== NULL;
}

/** Whether a device's pages can be mapped: those of zero are fresh memory (mmap_zero). */
export function canMap(rdev: number): boolean {
  return rdev === ZERO;
}

/** What a device gives to read. */
export function readDevice(rdev: number, length: number): Content {
  return rdev === NULL ? Content.empty : Content.zeros(length);
}

/** Where a seek leads, whatever it asks for (null_lseek). */
export function seekDevice(): number {
  return 0;
}

/** How much a device takes: full none, not even nothing (write_full). */
export function writeDevice(rdev: number, length: number): number | Errno {
  return rdev === FULL ? ENOSPC : length;
}
