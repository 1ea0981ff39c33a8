/**
 * Counts what passes on its way to another device: the same counters a Disk keeps, for any place in a stack.
 */
import type { Content } from "../core/content.ts";
import type { Errno } from "../core/errno.ts";
import type { Bytes } from "../core/units.ts";
import type { BlockDevice, IoLimits } from "./device.ts";

/** Commands that were asked for, and their bytes; each only grows. */
export interface DeviceCounters {
  reads: number;
  readBytes: number;
  writes: number;
  writtenBytes: number;
  discards: number;
  discardedBytes: number;
  flushes: number;
}

/** Counters at 0. */
export function newDeviceCounters(): DeviceCounters {
  return { reads: 0, readBytes: 0, writes: 0, writtenBytes: 0, discards: 0, discardedBytes: 0, flushes: 0 };
}

export class CountingDevice implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly io: IoLimits | undefined;
  readonly rotational: boolean | undefined;
  /** Commands that failed below are counted, too. */
  readonly counters: DeviceCounters = newDeviceCounters();
  readonly #device: BlockDevice;

  constructor(device: BlockDevice) {
    this.name = device.name;
    this.size = device.size;
    this.sectorSize = device.sectorSize;
    this.io = device.io;
    this.rotational = device.rotational;
    this.#device = device;
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    this.counters.reads += 1;
    this.counters.readBytes += length;
    return this.#device.read(offset, length);
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    this.counters.writes += 1;
    this.counters.writtenBytes += content.length;
    return this.#device.write(offset, content);
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    this.counters.discards += 1;
    this.counters.discardedBytes += length;
    return this.#device.discard(offset, length);
  }

  flush(): Errno | undefined {
    this.counters.flushes += 1;
    return this.#device.flush();
  }
}
