/**
 * Inodes with the same attributes share a block (ext4_xattr_block_set): Linux 6.18 on 512 MiB with blocks of 4 KiB. Each row is what was done, the
 * blocks that were used since the beginning (statfs), and st_blocks of files.
 */
import { expect, test } from "vitest";
import { type Disk, keepNone } from "../../sim/block/disk.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { must } from "./disk-helpers.ts";

const X = new Uint8Array(200).fill(0x78);
const Y = new Uint8Array(200).fill(0x79);
const ONE = new Uint8Array(150).fill(0x31);
const TWO = new Uint8Array(150).fill(0x32);

class Asked {
  readonly host = createHost();
  readonly task: Task = this.host.task;
  readonly disk: Disk;
  readonly #before: number;

  /** @param disk - what a power cut left; default: a new one. */
  constructor(disk?: Disk) {
    if (disk === undefined) {
      this.disk = this.host.addDisk({ size: MIB(512) });
      this.ok(this.host.mkfs("ext4", "vda"));
    } else {
      this.disk = disk;
      this.host.attachDisk(disk.clone());
    }
    this.ok(this.task.mkdir("/m"));
    this.mount();
    this.#before = must(this.task.statfs("/m")).blocksFree;
  }
  ok(answer: unknown): void {
    if (isErrno(answer)) throw new Error((answer as Errno).code);
  }
  mount(): void {
    this.ok(this.host.mount({ type: "ext4", source: "vda", target: "/m" }));
  }
  umount(): void {
    this.ok(this.host.unmount("/m"));
  }
  make(...names: string[]): void {
    for (const name of names) this.ok(this.task.close(must(this.task.open(`/m/${name}`, 0o101, 0o644))));
  }
  set(file: string, name: string, value: Uint8Array): void {
    this.ok(this.task.setxattr(`/m/${file}`, name, value));
  }
  remove(file: string, name: string): void {
    this.ok(this.task.removexattr(`/m/${file}`, name));
  }
  unlink(...names: string[]): void {
    for (const name of names) this.ok(this.task.unlink(`/m/${name}`));
  }
  shows(used: number, files: Record<string, number>): void {
    this.host.check();
    expect(this.#before - must(this.task.statfs("/m")).blocksFree).toBe(used);
    for (const [name, blocks] of Object.entries(files))
      expect([name, must(this.task.stat(`/m/${name}`)).blocks]).toEqual([name, blocks]);
  }
}

test("a block is shared by whoever has the same attributes, copied when one of them changes, and freed with the last", () => {
  const on = new Asked();
  on.make(..."abcdef");
  on.set("a", "user.k", X);
  on.shows(1, { a: 8 });
  on.set("b", "user.k", X);
  on.set("c", "user.k", X);
  on.shows(1, { a: 8, b: 8, c: 8 });
  on.set("b", "user.k", Y);
  on.shows(2, { a: 8, b: 8 });
  expect(on.task.getxattr("/m/a", "user.k")).toEqual(X);
  on.set("b", "user.k", X);
  on.shows(1, { a: 8, b: 8 });
  on.set("d", "user.one", ONE);
  on.set("d", "user.two", TWO);
  on.shows(2, { d: 8 });
  on.set("e", "user.two", TWO);
  on.shows(3, { e: 8 });
  on.set("e", "user.one", ONE);
  on.shows(2, { d: 8, e: 8 });
  on.remove("e", "user.one");
  on.shows(3, { d: 8, e: 8 });
  on.remove("e", "user.two");
  on.shows(2, { d: 8, e: 0 });
  on.set("f", "trusted.k", X);
  on.shows(3, { f: 8 });
  on.unlink("a");
  on.shows(3, { b: 8 });
  on.unlink("b", "c");
  on.shows(2, { d: 8 });
  on.set("e", "user.k", X);
  on.shows(3, { e: 8 });
});

test("a block has 1,024 inodes at most, then the next begins", () => {
  const on = new Asked();
  const files = Array.from({ length: 1025 }, (_, n) => `many${n}`);
  on.make(...files);
  const before = must(on.task.statfs("/m")).blocksFree;
  const used = (): number => before - must(on.task.statfs("/m")).blocksFree;
  for (const file of files.slice(0, 1024)) on.set(file, "user.k", X);
  expect(used()).toBe(1);
  on.set(files[1024] as string, "user.k", X);
  expect(used()).toBe(2);
  on.unlink(files[0] as string);
  on.set(files[1024] as string, "user.k", Y);
  on.set(files[1024] as string, "user.k", X);
  expect(used()).toBe(1);
  on.host.check();
});

test("behind a mount a block is found once it was read: asked for an attribute, or listed", () => {
  const on = new Asked();
  on.make(..."def");
  on.set("d", "user.one", ONE);
  on.set("d", "user.two", TWO);
  on.set("e", "user.k", X);
  on.set("f", "trusted.k", X);
  on.umount();
  on.mount();
  on.make(..."no");
  on.set("n", "user.k", X);
  on.shows(4, { n: 8 });
  must(on.task.getxattr("/m/d", "user.one"));
  on.set("o", "user.one", ONE);
  on.set("o", "user.two", TWO);
  on.shows(4, { o: 8, d: 8 });
  must(on.task.listxattr("/m/f"));
  on.remove("n", "user.k");
  on.set("n", "trusted.k", X);
  on.shows(3, { n: 8, f: 8 });
});

test("who shares a block is known behind a power cut", () => {
  const on = new Asked();
  on.make(..."abc");
  for (const file of "abc") on.set(file, "user.k", X);
  on.ok(must(on.task.resolve("/m")).mount.fs.sync());
  on.disk.powerCut(keepNone);
  const again = new Asked(on.disk);
  again.unlink("a");
  again.shows(0, { b: 8, c: 8 });
  again.set("b", "user.k", Y);
  again.shows(1, { b: 8, c: 8 });
  again.unlink("b", "c");
  again.shows(-1, {});
});
