/**
 * What a filesystem makes of much: files of thousands of extents, free space in thousands of pieces, folders of thousands of names. Its trees grow
 * levels and lose them again; a machine that starts anew finds the same, and at the end every block is free that was.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { done, synced } from "./protected.ts";

/** How much makes trees of two levels above the inode, the group or the root. */
const AMOUNTS = [
  { type: "ext4", extents: 1600, files: 300, names: 6500 },
  { type: "xfs", extents: 1200, files: 1400, names: 2000 },
  { type: "btrfs", extents: 600, files: 300, names: 1000 },
  { type: "zfs", extents: 600, files: 300, names: 1000 },
];
const BLOCK = 4096;
const OPTIONS: Readonly<Record<string, string>> = { ext4: "discard", xfs: "discard" };

/** A filesystem that is looked at again and again by a machine that starts anew. */
class Machine {
  host: Host;
  readonly #type: string;

  constructor(type: string) {
    this.#type = type;
    this.host = createHost();
    this.host.addDisk({ name: "vda", size: MIB(512) });
    done(this.host.mkfs(type, "vda"));
    this.#mount();
  }

  #mount(): void {
    this.host.task.mkdir("/m");
    const failed = this.host.mount({ type: this.#type, source: "vda", target: "/m", options: OPTIONS[this.#type] ?? "" });
    if (failed !== undefined) throw new Error(failed.message);
  }

  again(): void {
    done(synced(this.host.task));
    this.host.check();
    this.host.task.exit();
    done(this.host.unmount("/m"));
    const disk = this.host.disks.get("vda");
    if (disk === undefined) throw new Error("no disk");
    this.host = createHost();
    this.host.attachDisk(disk.clone());
    this.#mount();
    this.host.check();
  }

  /** Free blocks when nothing is under way. */
  free(): number {
    done(synced(this.host.task));
    const found = this.host.task.statfs("/m");
    return isErrno(found) ? -1 : found.blocksFree;
  }
}

function block(number: number): Content {
  return Content.repeat(Content.text(String(number % 10)).toBytes(), BLOCK);
}

function byteAt(host: Host, fd: number, at: number): string {
  const found = host.task.pread(fd, 1, at * BLOCK);
  return isErrno(found) ? found.code : found.toText();
}

/** 0 … count - 1, each once, far from the one before. */
function scattered(count: number): number[] {
  return Array.from({ length: count }, (_, at) => (at * 2503) % count);
}

describe.each(AMOUNTS)("$type", ({ type, extents, files, names }) => {
  test(`a file of ${extents} extents reads the same after it was mounted again, with holes in it, filled up, and cut off`, () => {
    const machine = new Machine(type);
    const open = (): number => done(machine.host.task.open("/m/f", O_CREAT | O_RDWR));
    let fd = open();
    // An attribute within the inode leaves less room for extents there.
    done(machine.host.task.setxattr("/m/f", "user.large", new Uint8Array(180)));
    for (const at of scattered(extents)) done(machine.host.task.pwrite(fd, block(at), 2 * at * BLOCK));
    machine.again();
    fd = open();
    const shown = [0, 1, 17, extents - 1].map((at) => byteAt(machine.host, fd, 2 * at));
    expect(shown).toEqual(["0", "1", "7", "9"]);
    for (let at = 0; at < extents; at += 3) {
      done(machine.host.task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * at * BLOCK, BLOCK));
    }
    for (let at = 1; at < extents; at += 3) done(machine.host.task.pwrite(fd, block(at), (2 * at + 1) * BLOCK));
    machine.again();
    fd = open();
    expect([0, 2, 3, 34, 35].map((at) => byteAt(machine.host, fd, at))).toEqual(["\0", "1", "1", "7", "\0"]);
    done(machine.host.task.ftruncate(fd, 9 * BLOCK));
    machine.again();
    done(machine.host.task.truncate("/m/f", 0));
    machine.again();
  });

  test(`free space in ${files / 2} pieces is used up by one file and comes together again when all is removed`, () => {
    const machine = new Machine(type);
    const before = machine.free();
    const { task } = machine.host;
    for (let at = 0; at < files; at++) {
      const fd = done(task.open(`/m/${at}`, O_CREAT | O_RDWR));
      done(task.write(fd, block(at)));
      done(task.close(fd));
      if (at % 500 === 499) done(synced(task));
    }
    for (let at = 0; at < files; at += 2) done(task.unlink(`/m/${at}`));
    machine.again();
    const fd = done(machine.host.task.open("/m/large", O_CREAT | O_RDWR));
    expect(machine.host.task.write(fd, block(1).slice(0, BLOCK))).toBe(BLOCK);
    for (let at = 0; at < 40; at++) expect(machine.host.task.pwrite(fd, Content.zeros(MIB(8)), at * MIB(8))).toBe(MIB(8));
    machine.again();
    for (let at = 1; at < files; at += 2) done(machine.host.task.unlink(`/m/${at}`));
    done(machine.host.task.unlink("/m/large"));
    machine.again();
    // Directories keep their blocks; btrfs and zfs keep some of what their own trees took.
    expect(Math.abs(before - machine.free())).toBeLessThan(before / 100);
  });

  test(`a folder of ${names} long names loses them in another order, and is empty and removed`, () => {
    const machine = new Machine(type);
    const name = (at: number): string => `/m/d/${String(at).padStart(250, "n")}`;
    done(machine.host.task.mkdir("/m/d"));
    for (let at = 0; at < names; at++) done(machine.host.task.symlink("x", name(at)));
    machine.again();
    expect(machine.host.task.readdir("/m/d")).toHaveLength(names);
    const order = scattered(names);
    for (const at of order.slice(0, names / 2)) done(machine.host.task.unlink(name(at)));
    machine.again();
    for (const at of order.slice(names / 2)) expect(machine.host.task.readlink(name(at))).toBe("x");
    for (const at of order.slice(names / 2)) done(machine.host.task.unlink(name(at)));
    machine.again();
    expect(machine.host.task.readdir("/m/d")).toEqual([]);
    done(machine.host.task.rmdir("/m/d"));
  });
});
