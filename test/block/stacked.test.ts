import { describe, expect, it } from "vitest";
import { CountingDevice } from "../../sim/block/counting.ts";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { LinearDevice } from "../../sim/block/linear.ts";
import { LoopDevice, type LoopFile } from "../../sim/block/loop.ts";
import { Content } from "../../sim/core/content.ts";
import { EDQUOT, EINVAL, EIO, ENOSPC, ENOTSUP, type Errno } from "../../sim/core/errno.ts";
import { bytes, KIB, MIB } from "../../sim/core/units.ts";

const ONE = Content.pattern(1, 4096);

function newDisk(): Disk {
  return new Disk({ size: MIB(1) });
}

describe("FaultyDevice", () => {
  it("fails the n-th write with EIO once, without writing, and lets the others pass", () => {
    const disk = newDisk();
    const device = new FaultyDevice(disk, [{ on: "write", at: 3 }]);
    const answers = [0, 1, 2, 3].map((n) => device.write(KIB(4 * n), ONE));
    expect(answers).toEqual([undefined, undefined, EIO, undefined]);
    expect(disk.allocatedBytes).toBe(3 * 4096);
    expect(disk.read(KIB(8), KIB(4))).toEqual(Content.zeros(4096));
    expect(device.failed).toBe(1);
  });

  it("fails for ever until it is healed", () => {
    const device = new FaultyDevice(newDisk(), [{ on: "flush", at: 2, times: Number.POSITIVE_INFINITY }]);
    expect([device.flush(), device.flush(), device.flush()]).toEqual([undefined, EIO, EIO]);
    device.heal();
    expect(device.flush()).toBeUndefined();
  });

  it("gives the errno of the fault, and counts from when it was injected", () => {
    const device = new FaultyDevice(newDisk());
    device.write(bytes(0), ONE);
    device.inject({ on: "write", at: 2, error: ENOSPC });
    expect([device.write(bytes(0), ONE), device.write(bytes(0), ONE)]).toEqual([undefined, ENOSPC]);
  });

  it("has bad spots: only commands that touch them fail", () => {
    const range = { start: 8192, end: 8704 };
    const device = new FaultyDevice(newDisk(), [{ on: "read", times: Number.POSITIVE_INFINITY, range }]);
    expect(device.read(KIB(4), KIB(4))).toEqual(Content.zeros(4096));
    expect(device.read(KIB(4), bytes(4608))).toBe(EIO);
    expect(device.read(bytes(8704), KIB(4))).toEqual(Content.zeros(4096));
    expect(device.write(KIB(8), ONE)).toBeUndefined();
    expect(device.discard(KIB(8), KIB(4))).toBeUndefined();
  });
});

describe("CountingDevice", () => {
  it("counts commands and bytes, and passes them on", () => {
    const disk = newDisk();
    const device = new CountingDevice(disk);
    device.write(KIB(4), ONE);
    expect(device.read(KIB(4), KIB(4))).toEqual(ONE);
    device.discard(KIB(4), bytes(512));
    device.flush();
    expect(device.counters).toEqual({
      reads: 1,
      readBytes: 4096,
      writes: 1,
      writtenBytes: 4096,
      discards: 1,
      discardedBytes: 512,
      flushes: 1,
    });
    expect(device.counters).toEqual(disk.counters);
  });
});

describe("LinearDevice", () => {
  it("shows its window of the device, and nothing outside", () => {
    const disk = newDisk();
    const part = new LinearDevice(disk, { name: "vda1", start: KIB(64), size: KIB(8) });
    expect(part.write(KIB(4), ONE)).toBeUndefined();
    expect(disk.read(KIB(68), KIB(4))).toEqual(ONE);
    expect(part.read(KIB(4), KIB(4))).toEqual(ONE);
    expect(part.write(KIB(8), ONE)).toBe(EINVAL);
    expect(part.read(KIB(4), KIB(8))).toBe(EINVAL);
    expect(part.discard(KIB(4), KIB(8))).toBe(EINVAL);
    expect(part.discard(KIB(4), KIB(4))).toBeUndefined();
    expect(disk.allocatedBytes).toBe(0);
    expect(part.flush()).toBeUndefined();
    expect(disk.unflushedWrites).toBe(0);
  });

  it("cannot be larger than its device", () => {
    expect(() => new LinearDevice(newDisk(), { name: "vda1", start: 512, size: MIB(1) })).toThrow("leave vda");
  });
});

/** A file of a few bytes; `answer` is what every call that changes it gives. */
class TinyFile implements LoopFile {
  data: Content;
  answer: Errno | undefined;
  /** At most this many bytes are written by one call. */
  step: number = Number.POSITIVE_INFINITY;
  synced = 0;

  constructor(size: number) {
    this.data = Content.zeros(size);
  }
  size(): number {
    return this.data.length;
  }
  read(offset: number, length: number): Content {
    return this.data.slice(offset, offset + length);
  }
  write(offset: number, content: Content): number | Errno {
    if (this.answer !== undefined) return this.answer;
    const part = content.slice(0, this.step);
    const gap = Content.zeros(Math.max(0, offset - this.size()));
    this.data = Content.concat([this.data.slice(0, offset), gap, part, this.data.slice(offset + part.length)]);
    return part.length;
  }
  punch(offset: number, length: number): Errno | undefined {
    if (this.answer !== undefined) return this.answer;
    this.write(offset, Content.zeros(Math.min(length, this.size() - offset)));
    return undefined;
  }
  fsync(): Errno | undefined {
    this.synced += 1;
    return this.answer;
  }
}

describe("LoopDevice", () => {
  it("reads and writes the file, in as many calls as the file needs", () => {
    const file = new TinyFile(KIB(64));
    const loop = new LoopDevice("loop0", file);
    file.step = 1000;
    expect(loop.write(KIB(4), ONE)).toBeUndefined();
    expect(file.data.slice(KIB(4), KIB(8)).equals(ONE)).toBe(true);
    expect(loop.read(KIB(4), KIB(4))).toEqual(ONE);
    expect(loop.flush()).toBeUndefined();
    expect(file.synced).toBe(1);
  });

  it("is as large as the whole sectors of the file", () => {
    expect(new LoopDevice("loop0", new TinyFile(1700)).size).toBe(1536);
    expect(new LoopDevice("loop0", new TinyFile(9000), { sectorSize: 4096 }).size).toBe(8192);
  });

  it("gives EIO for reads of a file that was cut, and makes it longer by writes, as the kernel's", () => {
    const file = new TinyFile(KIB(64));
    const loop = new LoopDevice("loop0", file);
    file.data = file.data.slice(0, 4608);
    expect(loop.read(bytes(0), KIB(8))).toBe(EIO);
    expect(loop.read(KIB(32), KIB(4))).toBe(EIO);
    expect(loop.write(KIB(32), ONE)).toBeUndefined();
    expect(file.size()).toBe(KIB(36));
  });

  it("punches a hole for a discard", () => {
    const file = new TinyFile(KIB(8));
    const loop = new LoopDevice("loop0", file);
    loop.write(bytes(0), Content.concat([ONE, ONE]));
    expect(loop.discard(bytes(0), KIB(4))).toBeUndefined();
    expect(loop.read(bytes(0), KIB(8))).toEqual(Content.concat([Content.zeros(4096), ONE]));
    expect(loop.discard(bytes(100), KIB(4))).toBe(EINVAL);
  });

  it("passes ENOSPC and ENOTSUP of the file on and makes EIO of other errors", () => {
    const file = new TinyFile(KIB(8));
    const loop = new LoopDevice("loop0", file);
    for (const [error, seen] of [
      [ENOSPC, ENOSPC],
      [ENOTSUP, ENOTSUP],
      [EDQUOT, EIO],
    ] as const) {
      file.answer = error;
      expect([loop.write(bytes(0), ONE), loop.discard(bytes(0), KIB(4)), loop.flush()]).toEqual([seen, seen, seen]);
    }
  });
});
