/** Block devices over a disk that tell what is asked of them. */
import type { BlockDevice } from "../../sim/block/device.ts";
import type { Disk } from "../../sim/block/disk.ts";
import type { Content } from "../../sim/core/content.ts";
import type { Errno } from "../../sim/core/errno.ts";
import type { Bytes } from "../../sim/core/units.ts";

/** A command of a device that changes it. */
export interface Command {
  readonly first: number;
  readonly count: number;
  /** Of each sector its first byte: what the workload writes is the same in all bytes of a sector. */
  byteAt(sector: number): number;
}

/** A device that tells of each command once it is done. */
export class Told implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly #disk: Disk;
  readonly #done: (command: Command | "flush") => void;

  constructor(disk: Disk, done: (command: Command | "flush") => void) {
    this.name = disk.name;
    this.size = disk.size;
    this.sectorSize = disk.sectorSize;
    this.#disk = disk;
    this.#done = done;
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    return this.#disk.read(offset, length);
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    const failed = this.#disk.write(offset, content);
    const first = offset / 512;
    this.#done({ first, count: content.length / 512, byteAt: (sector) => content.byteAt((sector - first) * 512) });
    return failed;
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    const failed = this.#disk.discard(offset, length);
    if (length > 0) this.#done({ first: offset / 512, count: length / 512, byteAt: () => 0 });
    return failed;
  }

  flush(): Errno | undefined {
    const failed = this.#disk.flush();
    this.#done("flush");
    return failed;
  }
}

/** A device that notes which sectors were read. */
export class Noting implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes;
  readonly reads: Set<number> = new Set();
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.name = disk.name;
    this.size = disk.size;
    this.sectorSize = disk.sectorSize;
    this.#disk = disk;
  }

  read(offset: Bytes, length: Bytes): Content | Errno {
    for (let sector = offset / 512; sector < (offset + length) / 512; sector++) this.reads.add(sector);
    return this.#disk.read(offset, length);
  }

  write(offset: Bytes, content: Content): Errno | undefined {
    return this.#disk.write(offset, content);
  }

  discard(offset: Bytes, length: Bytes): Errno | undefined {
    return this.#disk.discard(offset, length);
  }

  flush(): Errno | undefined {
    return this.#disk.flush();
  }
}
