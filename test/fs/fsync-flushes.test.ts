/**
 * What fsync commits, and how often it flushes the device: Linux 6.18 (flushes that /sys/block/DEVICE/stat counts), each step behind two syncfs.
 */
import { describe, expect, test } from "vitest";
import { type CutChoice, keepNone } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB, nanoseconds } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { must } from "./disk-helpers.ts";

const O_CREAT = 0o100;
const O_RDWR = 2;
const O_APPEND = 0o2000;
const O_SYNC = 0o4010000;

type Filesystem = "ext4" | "xfs" | "btrfs";

class Machine {
  readonly host = createHost();
  readonly task = this.host.task;
  readonly disk = this.host.addDisk({ size: GIB(1) });
  readonly fs;

  constructor(filesystem: Filesystem) {
    must(this.host.mkfs(filesystem, "vda"));
    must(this.task.mkdir("/m", 0o755));
    must(this.host.mount({ type: filesystem, source: "vda", target: "/m" }));
    this.fs = must(this.task.resolve("/m")).mount.fs;
  }
  sync(): void {
    must(this.fs.sync());
  }
  /** Opens a file, and does something with it. */
  with(name: string, flags: number, act: (fd: number) => unknown): void {
    const fd = must(this.task.open(`/m/${name}`, flags, 0o644));
    const answer = act(fd);
    if (isErrno(answer)) throw new Error(answer.code);
    must(this.task.close(fd));
  }
  write(flags: number, length: number, ends: "fsync" | "fdatasync"): void {
    this.with("a", flags, (fd) => {
      const content = Content.pattern(length, length);
      must((flags & O_APPEND) === 0 ? this.task.pwrite(fd, content, 0) : this.task.write(fd, content));
      return this.task[ends](fd);
    });
  }
  /** How often a step flushes the device. */
  flushes(step: () => void): number {
    for (let n = 0; n < 2; n++) {
      this.sync();
      this.host.clock.advance(nanoseconds(1e8));
    }
    const before = this.disk.counters.flushes;
    step();
    return this.disk.counters.flushes - before;
  }
}

type Step = readonly [what: string, flushes: Readonly<Record<Filesystem, number>>, step: (on: Machine) => void];
const STEPS: readonly Step[] = [
  ["a new file and fsync", { ext4: 2, xfs: 2, btrfs: 2 }, (on) => on.write(O_CREAT | O_RDWR, 5000, "fsync")],
  ["an overwrite and fsync", { ext4: 2, xfs: 2, btrfs: 2 }, (on) => on.write(O_RDWR, 100, "fsync")],
  ["an overwrite and fdatasync", { ext4: 1, xfs: 1, btrfs: 2 }, (on) => on.write(O_RDWR, 100, "fdatasync")],
  ["fsync of what did not change", { ext4: 1, xfs: 1, btrfs: 0 }, (on) => on.with("a", O_RDWR, (fd) => on.task.fsync(fd))],
  ["an append and fdatasync", { ext4: 2, xfs: 2, btrfs: 2 }, (on) => on.write(O_RDWR | O_APPEND, 100, "fdatasync")],
  ["a long append and fdatasync", { ext4: 2, xfs: 2, btrfs: 2 }, (on) => on.write(O_RDWR | O_APPEND, 100_000, "fdatasync")],
  [
    "chmod and fsync",
    { ext4: 2, xfs: 2, btrfs: 2 },
    (on) => {
      must(on.task.chmod("/m/a", 0o600));
      on.with("a", O_RDWR, (fd) => on.task.fsync(fd));
    },
  ],
  [
    "a new file and syncfs",
    { ext4: 2, xfs: 2, btrfs: 2 },
    (on) => {
      on.with("b", O_CREAT, () => undefined);
      on.sync();
    },
  ],
  ["syncfs of what did not change", { ext4: 1, xfs: 0, btrfs: 0 }, (on) => on.sync()],
  [
    "two writes with O_SYNC",
    { ext4: 4, xfs: 4, btrfs: 4 },
    (on) =>
      on.with("a", O_RDWR | O_SYNC, (fd) => {
        must(on.task.pwrite(fd, Content.pattern(1, 10), 0));
        return on.task.pwrite(fd, Content.pattern(2, 10), 4096);
      }),
  ],
  [
    "a rename and fsync of the folder",
    { ext4: 2, xfs: 2, btrfs: 2 },
    (on) => {
      must(on.task.rename("/m/b", "/m/c"));
      on.with("", 0, (fd) => on.task.fsync(fd));
    },
  ],
];

describe.each(["ext4", "xfs", "btrfs"] as const)("%s", (filesystem) => {
  test("flushes the device for each sync as often as the kernel does", () => {
    const on = new Machine(filesystem);
    const here = STEPS.map(([what, , step]) => [what, on.flushes(() => step(on))]);
    expect(here).toEqual(STEPS.map(([what, flushes]) => [what, flushes[filesystem]]));
  });
});

/** Which of two files are there when the power was cut. */
function namesAfterCut(on: Machine, filesystem: Filesystem, choice: CutChoice): string[] {
  on.disk.powerCut(choice);
  const again = createHost();
  again.attachDisk(on.disk.clone());
  must(again.task.mkdir("/m", 0o755));
  must(again.mount({ type: filesystem, source: "vda", target: "/m" }));
  again.check();
  return must(again.task.readdir("/m"))
    .map(({ name }) => name)
    .filter((name) => name.length === 1 && name !== ".")
    .sort();
}

describe.each(["ext4", "xfs"] as const)("on %s", (filesystem) => {
  test("fsync of a file of which nothing waits commits nothing of others", () => {
    const on = new Machine(filesystem);
    on.write(O_CREAT | O_RDWR, 100, "fsync");
    on.with("b", O_CREAT, () => undefined);
    on.with("a", O_RDWR, (fd) => on.task.fsync(fd));
    expect(namesAfterCut(on, filesystem, keepNone)).toEqual(["a"]);
  });

  test("fsync of a file that changed commits what others changed before, too", () => {
    const on = new Machine(filesystem);
    on.write(O_CREAT | O_RDWR, 100, "fsync");
    on.with("b", O_CREAT, () => undefined);
    on.write(O_RDWR, 100, "fsync");
    expect(namesAfterCut(on, filesystem, keepNone)).toEqual(["a", "b"]);
  });
});
