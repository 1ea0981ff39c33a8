/**
 * What a device's commands cost in virtual time.
 *
 * The figures are round figures of each class of device, as data sheets of many makers give them, not measurements of one: time that comes
 * out of them is modelled time, good for comparing access patterns, never for predicting seconds.
 *
 * A command costs positioning + latency + length / bandwidth. Positioning is 0 where a command begins at the byte where the one before
 * ended (and on devices without a head); else half a turn of the platter plus a seek that grows with the square root of the distance.
 */

export interface DeviceProfile {
  readonly name: string;
  /** Whether the kernel takes it for a disk that turns. */
  readonly rotational: boolean;
  /** Nanoseconds from a read's issue to its first byte. */
  readonly readLatency: number;
  /** Nanoseconds until a write is in the device's cache. */
  readonly writeLatency: number;
  /** Bytes a second. */
  readonly readBandwidth: number;
  /** Bytes a second. */
  readonly writeBandwidth: number;
  /** Nanoseconds of a flush that has something to flush; one that has nothing costs `writeLatency`. */
  readonly flush: number;
  /** Nanoseconds of a discard, whatever its length. */
  readonly discard: number;
  /** Nanoseconds of the shortest and of the longest seek, and of half a turn; 0 where nothing turns. */
  readonly shortSeek: number;
  readonly longSeek: number;
  readonly halfTurn: number;
}

/** Costs nothing: virtual time stands still. The default; the kernel takes it for a disk that turns, as it does a virtual machine's. */
export const FREE: DeviceProfile = {
  name: "none",
  rotational: true,
  readLatency: 0,
  writeLatency: 0,
  readBandwidth: Number.POSITIVE_INFINITY,
  writeBandwidth: Number.POSITIVE_INFINITY,
  flush: 0,
  discard: 0,
  shortSeek: 0,
  longSeek: 0,
  halfTurn: 0,
};

/** A disk of 7,200 turns a minute: half a turn takes 60 s / 7,200 / 2. */
export const HDD: DeviceProfile = {
  name: "hdd",
  rotational: true,
  readLatency: 100_000,
  writeLatency: 100_000,
  readBandwidth: 160e6,
  writeBandwidth: 160e6,
  flush: 8_000_000,
  discard: 100_000,
  shortSeek: 1_000_000,
  longSeek: 16_000_000,
  halfTurn: 4_166_667,
};

/** A flash drive behind SATA at 6 Gbit/s. */
const SATA_SSD: DeviceProfile = {
  ...FREE,
  name: "sata-ssd",
  rotational: false,
  readLatency: 100_000,
  writeLatency: 50_000,
  readBandwidth: 550e6,
  writeBandwidth: 500e6,
  flush: 1_000_000,
  discard: 100_000,
};

/** A flash drive behind four PCIe 3.0 lanes. */
export const NVME: DeviceProfile = {
  ...FREE,
  name: "nvme",
  rotational: false,
  readLatency: 80_000,
  writeLatency: 15_000,
  readBandwidth: 3_200e6,
  writeBandwidth: 2_500e6,
  flush: 300_000,
  discard: 20_000,
};

/** Every profile by its name, for scenario files and options. */
export const DEVICE_PROFILES: Readonly<Record<string, DeviceProfile>> = {
  none: FREE,
  hdd: HDD,
  "sata-ssd": SATA_SSD,
  nvme: NVME,
};

/**
 * Nanoseconds to bring the head from one byte to another on a device of `size` bytes.
 * @param distance - bytes between where the last command ended and where this one begins; never negative.
 */
export function positioning(profile: DeviceProfile, distance: number, size: number): number {
  if (distance === 0 || profile.longSeek === 0) return 0;
  return profile.shortSeek + (profile.longSeek - profile.shortSeek) * Math.sqrt(distance / size) + profile.halfTurn;
}
