/**
 * Quantities that must not be mixed, as branded numbers. This file is the only place that casts to them and the only one
 * that divides by a block size. All are whole numbers ≥ 0 below 2^53: the largest device is 16 TiB = 2^44 bytes.
 */
import { assert, InvariantError } from "./assert.ts";

declare const unit: unique symbol;
type Branded<Name extends string> = number & { readonly [unit]: Name };

/** A length or an offset in bytes. */
export type Bytes = Branded<"Bytes">;
/** The index of a block on a device or in a file, in blocks of the size at hand. */
export type BlockNumber = Branded<"BlockNumber">;
/** The index of a page in a file. */
export type PageNumber = Branded<"PageNumber">;
/** What stat(2) shows as st_ino. */
export type InodeNumber = Branded<"InodeNumber">;
/** What stat(2) shows as st_dev: major << 20 | minor, as in the kernel (include/linux/kdev_t.h). */
export type DeviceNumber = Branded<"DeviceNumber">;
/** A span of virtual time in nanoseconds. */
export type Nanoseconds = Branded<"Nanoseconds">;

function whole(value: number, what: string): number {
  // Not by assert: the message would be built on every call, and this is the hottest function of all.
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvariantError(`${what} must be a whole number from 0 to 2^53 - 1, not ${value}`);
}

/** `count` bytes; throws for a fraction, a negative number or one above 2^53 - 1. */
export function bytes(count: number): Bytes {
  return whole(count, "a number of bytes") as Bytes;
}
/** `count` × 2^10 bytes; fractions are allowed where the product is whole. */
export function KIB(count: number): Bytes {
  return bytes(count * 2 ** 10);
}
/** `count` × 2^20 bytes. */
export function MIB(count: number): Bytes {
  return bytes(count * 2 ** 20);
}
/** `count` × 2^30 bytes. */
export function GIB(count: number): Bytes {
  return bytes(count * 2 ** 30);
}
/** `count` × 2^40 bytes. */
export function TIB(count: number): Bytes {
  return bytes(count * 2 ** 40);
}

/** A block's index, checked to be whole and not negative. */
export function blockNumber(index: number): BlockNumber {
  return whole(index, "a block number") as BlockNumber;
}
/** A page's index, checked to be whole and not negative. */
export function pageNumber(index: number): PageNumber {
  return whole(index, "a page number") as PageNumber;
}
/** An inode's number as st_ino shows it. */
export function inodeNumber(value: number): InodeNumber {
  return whole(value, "an inode number") as InodeNumber;
}
/** A span of virtual time; fractions of a nanosecond are cut off. */
export function nanoseconds(count: number): Nanoseconds {
  return whole(Math.floor(count), "a number of nanoseconds") as Nanoseconds;
}
/** `count` thousandths of a second as virtual time. */
export function milliseconds(count: number): Nanoseconds {
  return nanoseconds(count * 1e6);
}
/** `count` seconds as virtual time. */
export function seconds(count: number): Nanoseconds {
  return nanoseconds(count * 1e9);
}

/** st_dev or st_rdev from its two parts; both fit 32 bits in the kernel's encoding (12 bits of major, 20 of minor). */
export function deviceNumber(major: number, minor: number): DeviceNumber {
  assert(major >= 0 && major < 2 ** 12 && minor >= 0 && minor < 2 ** 20, `no device number ${major}:${minor}`);
  return (major * 2 ** 20 + minor) as DeviceNumber;
}
/** The major part of a device number. */
export function majorOf(device: number): number {
  return Math.floor(device / 2 ** 20);
}
/** The minor part of a device number. */
export function minorOf(device: number): number {
  return device % 2 ** 20;
}

/** The block that holds the byte at `offset`. */
export function blockOf(offset: number, blockSize: number): BlockNumber {
  return Math.floor(offset / blockSize) as BlockNumber;
}
/** How many blocks hold `length` bytes, the last one perhaps in part. */
export function blocksFor(length: number, blockSize: number): number {
  return Math.ceil(length / blockSize);
}
/** Where in its block the byte at `offset` lies. */
export function offsetIn(offset: number, blockSize: number): Bytes {
  // Not by `%`: of numbers above 2^31 that is a call of fmod.
  return (offset - Math.floor(offset / blockSize) * blockSize) as Bytes;
}
/** The byte at which a block begins. */
export function startOf(block: number, blockSize: number): Bytes {
  return (block * blockSize) as Bytes;
}
/** `offset` rounded down to a multiple of `unitSize`. */
export function alignDown(offset: number, unitSize: number): Bytes {
  return (offset - offsetIn(offset, unitSize)) as Bytes;
}
/** `offset` rounded up to a multiple of `unitSize`. */
export function alignUp(offset: number, unitSize: number): Bytes {
  return alignDown(offset + unitSize - 1, unitSize);
}
