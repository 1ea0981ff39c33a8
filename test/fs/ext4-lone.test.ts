/**
 * Small files that are one page in memory and nothing on the disk (sim/fs/ext4/lone-file.ts): whatever is done to them, they behave as any other file.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { seconds } from "../../sim/core/units.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { Ext4Host, ext4Disk } from "./ext4-lab.ts";
import { must } from "./ext4-mounted.ts";

/** Described bytes, given ones, or a part of given ones, by the seed. */
function small(seed: number, length = 100): Content {
  const described = Content.pattern(seed, length);
  if (seed % 3 === 0) return described;
  if (seed % 3 === 1) return Content.copyOf(described.toBytes());
  return Content.literal(Content.pattern(seed, length + 10, -3).toBytes()).slice(3, length + 3);
}

function host(memoryPages = 65_536): Ext4Host {
  return new Ext4Host(ext4Disk(), { memoryPages });
}

/** Makes a file by one write of at most a page. */
function make(on: Ext4Host, path: string, content: Content): void {
  const fd = must(on.task.open(path, O_RDWR | O_CREAT));
  expect(on.task.write(fd, content)).toBe(content.length);
  on.task.close(fd);
}

function bytesOf(on: Ext4Host, path: string): Uint8Array {
  const fd = must(on.task.open(path, O_RDONLY));
  const found = must(on.task.pread(fd, 2 ** 20, 0));
  on.task.close(fd);
  return found.toBytes();
}

describe("a file that was written once", () => {
  it("has a block before it has a place for it", () => {
    const on = host();
    make(on, "/f", small(1));
    expect(must(on.task.stat("/f"))).toMatchObject({ size: 100, blocks: 8 });
    expect(on.cache.dirtyPages).toBe(1);
    on.check();
  });

  it("gives its page and its block back when it goes", () => {
    const on = host();
    const before = must(on.task.statfs("/")).blocksFree;
    make(on, "/f", small(1));
    expect(must(on.task.statfs("/")).blocksFree).toBe(before - 1);
    must(on.task.unlink("/f"));
    expect(must(on.task.statfs("/")).blocksFree).toBe(before);
    expect(on.cache.dirtyPages + on.cache.cachedPages).toBe(0);
    on.check();
    on.clock.advance(seconds(60));
    expect(on.cache.counters.pagesWritten).toBe(0);
  });

  it("is written after thirty seconds, and not before", () => {
    const on = host();
    make(on, "/f", small(1));
    on.clock.advance(seconds(25));
    expect(on.cache.counters.pagesWritten).toBe(0);
    on.clock.advance(seconds(15));
    expect(on.cache.counters.pagesWritten).toBe(1);
    expect(on.cache.dirtyPages).toBe(0);
    expect(bytesOf(on, "/f")).toEqual(small(1).toBytes());
    on.check();
  });

  it("is written among others in the order in which they became dirty", () => {
    const on = host();
    const written: number[] = [];
    on.vfs.events.subscribe(({ event }) => {
      if (event.op === "writeback") written.push(event.inode);
    });
    const inodes: number[] = [];
    for (let index = 0; index < 6; index++) {
      // Every other file is of two pages, which has a mapping of its own.
      make(on, `/f${index}`, small(index, index % 2 === 0 ? 100 : 8192));
      inodes.push(must(on.task.stat(`/f${index}`)).inodeNumber);
    }
    on.clock.advance(seconds(40));
    expect([...new Set(written)]).toEqual(inodes);
  });

  it("has nothing on the disk when the power fails, and all of it after fsync", () => {
    const on = host();
    make(on, "/lost", small(1));
    make(on, "/kept", small(2));
    const fd = must(on.task.open("/kept", O_RDWR));
    expect(on.task.fsync(fd)).toBeUndefined();
    on.disk.powerCut();
    const later = new Ext4Host(on.disk);
    expect(must(later.task.stat("/lost")).size).toBe(0);
    expect(bytesOf(later, "/kept")).toEqual(small(2).toBytes());
    later.fs.check();
  });
});

describe("with memory for few pages", () => {
  const FILES = 12;
  type Step = readonly [file: number, act: "write" | "append" | "unlink" | "truncate" | "read" | "tick" | "sync", size: number];
  const step: fc.Arbitrary<Step> = fc.tuple(
    fc.nat(FILES - 1),
    fc.constantFrom("write", "write", "append", "unlink", "truncate", "read", "tick", "sync"),
    fc.integer({ min: 1, max: 5000 }),
  );

  it("files of a page are what they would be as arrays of bytes, whatever is done to them", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.array(step, { minLength: 20, maxLength: 60 }), (memoryPages, steps) => {
        const on = host(memoryPages);
        const model = new Map<number, Uint8Array>();
        for (const [index, [file, act, size]] of steps.entries()) {
          run(on, model, { file, act, size, seed: index });
          on.check();
        }
        for (const [file, expected] of model) expect(bytesOf(on, `/f${file}`)).toEqual(expected);
        const later = on.remount();
        for (const [file, expected] of model) expect(bytesOf(later, `/f${file}`)).toEqual(expected);
        later.fs.check();
      }),
      { numRuns: 12 },
    );
  });

  function run(
    on: Ext4Host,
    model: Map<number, Uint8Array>,
    { file, act, size, seed }: { file: number; act: Step[1]; size: number; seed: number },
  ): void {
    const path = `/f${file}`;
    const known = model.get(file);
    if (act === "tick") on.clock.advance(seconds(size % 40));
    else if (act === "sync") expect(on.task.syncfs()).toBeUndefined();
    else if (act === "write" && known === undefined) {
      make(on, path, small(seed, size));
      model.set(file, small(seed, size).toBytes());
    } else if (known === undefined) return;
    else if (act === "unlink") {
      expect(on.task.unlink(path)).toBeUndefined();
      model.delete(file);
    } else if (act === "truncate") {
      expect(on.task.truncate(path, size)).toBeUndefined();
      const cut = new Uint8Array(size);
      cut.set(known.subarray(0, size));
      model.set(file, cut);
    } else if (act === "read") expect(bytesOf(on, path)).toEqual(known);
    else {
      const at = act === "append" ? known.length : 0;
      const fd = must(on.task.open(path, O_RDWR));
      expect(on.task.pwrite(fd, small(seed, size), at)).toBe(size);
      on.task.close(fd);
      const longer = new Uint8Array(Math.max(known.length, at + size));
      longer.set(known);
      longer.set(small(seed, size).toBytes(), at);
      model.set(file, longer);
    }
  }
});
