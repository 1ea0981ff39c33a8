/** A zfs file against plain bytes and a list of which of its blocks are data: reads, SEEK_DATA and SEEK_HOLE, block sizes, also after an import (zfs_vnops.c, dnode.c, OpenZFS 2.1). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { ENXIO, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsCreate } from "../../sim/cow/zfs/commands.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { BLOCK_SIZE, BLOCKS } from "../../sim/cow/zfs/records.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  fileHandle,
  type Inode,
} from "../../sim/vfs/filesystem.ts";
import { runs } from "../runs.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

const RECORD = 1024;
const MODES = {
  allocate: 0,
  keep: FALLOC_FL_KEEP_SIZE,
  punch: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  zero: FALLOC_FL_ZERO_RANGE,
  zeroKeep: FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
} as const;

class PlainFile {
  bytes: Uint8Array = new Uint8Array();
  blockSize = 0;
  blocks = 0;
  readonly data = new Set<number>();

  #grow(end: number): void {
    if (this.blocks <= 1 && end > this.blockSize && this.blockSize < RECORD)
      this.blockSize = Math.min(RECORD, Math.ceil(end / 512) * 512);
  }
  #resize(size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, size));
    this.bytes = bytes;
  }

  write(offset: number, content: Uint8Array): void {
    const end = offset + content.length;
    this.#grow(end);
    if (end > this.bytes.length) this.#resize(end);
    this.bytes.set(content, offset);
    for (let block = Math.floor(offset / this.blockSize); block * this.blockSize < end; block++) {
      this.data.add(block);
      this.blocks = Math.max(this.blocks, block + 1);
    }
  }

  /** Takes whole blocks of the range out. */
  clear(from: number, to: number): void {
    this.bytes.fill(0, from, to);
    if (this.blockSize === 0) return;
    for (const block of this.data)
      if (block * this.blockSize >= from && (block + 1) * this.blockSize <= to) this.data.delete(block);
  }

  truncate(size: number): void {
    if (size > this.bytes.length) this.#grow(size);
    if (size < this.bytes.length) {
      if (this.blocks > 0) this.clear(size, Number.POSITIVE_INFINITY);
      this.blocks = Math.min(this.blocks, this.blockSize === 0 ? 0 : Math.max(1, Math.ceil(size / this.blockSize)));
    }
    this.#resize(size);
  }

  seek(offset: number, hole: boolean): number | undefined {
    const size = this.bytes.length;
    if (offset >= size) return undefined;
    for (let at = offset; at < size; at++) {
      const block = this.blockSize === 0 ? this.blocks : Math.floor(at / this.blockSize);
      if (block >= this.blocks) return hole ? at : undefined;
      if (this.data.has(block) !== hole) return at;
    }
    return hole ? size : undefined;
  }
}

const CALL = fc.record({
  call: fc.constantFrom("write", "write", "write", "truncate", "punch", "zero", "zeroKeep", "allocate", "keep", "sync", "import"),
  offset: fc.oneof(
    fc.integer({ min: 0, max: 6000 }),
    fc.integer({ min: 0, max: 12 }).map((n) => n * 512),
  ),
  length: fc.oneof(
    fc.integer({ min: 1, max: 2500 }),
    fc.integer({ min: 1, max: 5 }).map((n) => n * 512),
  ),
});

test("a file has the bytes, the holes and the blocks of a plain one", () => {
  fc.assert(
    fc.property(fc.array(CALL, { maxLength: 30, size: "max" }), (calls) => {
      const disks = [new Disk({ size: MIB(96) })];
      let lab = new ZfsLab();
      let pool: Pool = lab.create({ tops: [disks] });
      zfsCreate(pool, "tank/a", { recordsize: String(RECORD) });
      let files = new Files(lab, lab.mount(pool, "tank/a"));
      let inode: Inode = files.make("/f");
      const plain = new PlainFile();
      for (const [index, { call, offset, length }] of calls.entries()) {
        const { fs } = files;
        if (call === "write") {
          const content = Uint8Array.from({ length }, (_, at) => 1 + ((index * 7 + at) % 255));
          expect(files.write("/f", Content.literal(content), offset)).toBe(length);
          plain.write(offset, content);
        } else if (call === "truncate") {
          expect(fs.setattr(inode, { size: offset })).toBeUndefined();
          plain.truncate(offset);
        } else if (call === "sync") pool.syncGroup();
        else if (call === "import") {
          fs.unmount();
          pool.export();
          lab = new ZfsLab();
          pool = must(lab.import(disks));
          files = new Files(lab, lab.mount(pool, "tank/a"));
          inode = must(files.find("/f"));
        } else {
          expect(fs.fallocate(fileHandle(inode), MODES[call], offset, length)).toBeUndefined();
          const grows = (MODES[call] & FALLOC_FL_KEEP_SIZE) === 0 && offset + length > plain.bytes.length;
          if (call !== "allocate" && call !== "keep") plain.clear(offset, Math.min(offset + length, plain.bytes.length));
          if (grows) plain.truncate(offset + length);
        }
        const read = files.read("/f").toBytes();
        expect(read.length).toBe(plain.bytes.length);
        expect(plain.bytes.findIndex((byte, at) => byte !== read[at])).toBe(-1);
        const { set } = files.fs.state;
        expect([set.word(inode, BLOCK_SIZE), set.word(inode, BLOCKS)], `${index} ${call}`).toEqual([
          plain.blockSize,
          plain.blocks,
        ]);
        for (let at = 0; at < plain.bytes.length + 512; at += 250) {
          for (const hole of [false, true]) {
            const found = files.fs.seek(fileHandle(inode), at, hole);
            if (isErrno(found)) expect([found, plain.seek(at, hole)]).toEqual([ENXIO, undefined]);
            else if (found !== plain.seek(at, hole)) expect(found, `${at} ${hole}`).toBe(plain.seek(at, hole));
          }
        }
      }
      files.fs.check();
      pool.syncGroup();
      checkPool(pool);
    }),
    runs(15),
  );
});
