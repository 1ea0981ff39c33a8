/**
 * A window onto a device: a partition, or one segment of a dm-linear table (drivers/md/dm-linear.c).
 *
 * Interface: commands that leave the window give EINVAL and never reach the device, even where it goes on.
 */
import { assert } from "../core/assert.ts";
import type { Content } from "../core/content.ts";
import { EINVAL, type Errno } from "../core/errno.ts";
import { type Bytes, bytes } from "../core/units.ts";
import type { BlockDevice } from "./device.ts";

export class LinearDevice implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly rotational: boolean | undefined;
  readonly #device: BlockDevice;
  readonly #start: number;

  /** @param window - in bytes, whole sectors within the device. */
  constructor(device: BlockDevice, window: { readonly name: string; readonly start: number; readonly size: number }) {
    const { name, start, size } = window;
    assert(start >= 0 && size > 0 && start + size <= device.size, `${name}: ${start} + ${size} bytes leave ${device.name}`);
    assert(start % device.sectorSize === 0 && size % device.sectorSize === 0, `${name}: a part of a sector of ${device.name}`);
    this.name = name;
    this.size = bytes(size);
    this.sectorSize = device.sectorSize;
    this.rotational = device.rotational;
    this.#device = device;
    this.#start = start;
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    return this.#within(offset, length) ? this.#device.read(this.#below(offset), length) : EINVAL;
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    return this.#within(offset, content.length) ? this.#device.write(this.#below(offset), content) : EINVAL;
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    return this.#within(offset, length) ? this.#device.discard(this.#below(offset), length) : EINVAL;
  }

  /** Flushes the whole device: a cache knows no partitions. */
  flush(): Errno | undefined {
    return this.#device.flush();
  }

  #within(offset: number, length: number): boolean {
    return offset >= 0 && offset + length <= this.size;
  }

  #below(offset: number): Bytes {
    return bytes(this.#start + offset);
  }
}
