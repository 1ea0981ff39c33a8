/** dnodesize: what a large dnode has room for, where the next one lies, and what a power cut leaves of it (test/data/zfs/histories.ndjson has what a real pool tells). */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { MIB } from "../../sim/core/units.ts";
import { zfsCreate, zfsSet } from "../../sim/cow/zfs/commands.ts";
import { ObjectNumbers } from "../../sim/cow/zfs/object-numbers.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import { againAfterCut, Files, must, ZfsLab } from "./zfs-lab.ts";

/** Numbers that are given for dnodes of so many places, with those of the system taken. */
function numbersOf(...sizes: number[]): number[] {
  const used = new Set<number>();
  const taken = new Set([0, 1, 32, 33, 34, 35, 36]);
  const numbers = new ObjectNumbers({ region: 32_768, rescanAfter: 131_072 }, undefined, taken, (object) => !used.has(object));
  return sizes.map((slots) => {
    const object = numbers.take(0, slots);
    for (let at = object; at < object + slots; at++) used.add(at);
    return object;
  });
}

test("a large dnode lies within one block, and small ones behind it", () => {
  expect(numbersOf(2, 2, 1, 2)).toEqual([2, 4, 6, 7]);
  expect(numbersOf(16, 16, 1, 32, 1)).toEqual([2, 37, 53, 64, 96]);
  expect(numbersOf(32, 32, 32, 32)).toEqual([64, 96, 128, 160]);
});

test("what fsync promised of a filesystem with large dnodes is there after a power cut, attributes and all", () => {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(256) });
  const pool = lab.create({ tops: [[disk]] });
  expect(zfsCreate(pool, "tank/a", { dnodesize: "1k", xattr: "sa" })).toBeUndefined();
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  const value = new Uint8Array(400).fill(7);
  for (const name of ["/f", "/g"]) {
    must(files.write(name, Content.pattern(1, 1000)));
    must(files.fs.setxattr(must(files.find(name)), "user.k", value, 0));
  }
  files.fsync("/g");
  const again = againAfterCut(disk);
  const [one, other] = [must(again.find("/f")), must(again.find("/g"))];
  expect(other - one).toBe(2);
  expect(must(again.fs.getxattr(other, "user.k"))).toEqual(value);
  const into = newAttributes();
  again.fs.getattr(other, into);
  expect(into.blocks).toBe(4);
});

test("dnodes keep the size that they were made with", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  expect(zfsCreate(pool, "tank/a", { dnodesize: "2k" })).toBeUndefined();
  const of = new Files(lab, lab.mount(pool, "tank/a"));

  const large = of.make("/large");
  expect(zfsSet(pool, "dnodesize", "legacy", "tank/a")).toBeUndefined();
  const small = of.make("/small");
  const blocksOf = (inode: typeof large): number => {
    const into = newAttributes();
    of.fs.getattr(inode, into);
    return into.blocks;
  };
  expect([blocksOf(large), blocksOf(small)]).toEqual([4, 1]);
});
