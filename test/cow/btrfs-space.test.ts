/** The figures of Linux 6.18 on loop devices: space and quota groups after each operation (spec/block-cow.md 2.3, 2.5, 2.6). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EDQUOT, ENOSPC } from "../../sim/core/errno.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { NODE_SIZE } from "../../sim/cow/btrfs/layout.ts";
import { limitQgroup } from "../../sim/cow/btrfs/quota-ioctl.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

const bytesOf = (length: number, seed = 1): Content => Content.pattern(seed, length);

function reflink(lab: BtrfsLab, source: string, target: string): void {
  const { task } = lab.host;
  const from = must(task.open(source, O_RDONLY));
  const to = must(task.open(target, O_RDWR | O_CREAT, 0o644));
  must(task.clone(from, to));
  task.close(from);
  task.close(to);
}

describe("a fresh filesystem", () => {
  // Size, metadata chunk, f_bfree, f_bavail.
  test.each([
    [MIB(128), 33_554_432, 31_288, 12_032],
    [MIB(300), 33_554_432, 75_320, 56_064],
    [GIB(1), 53_673_984, 260_664, 231_584],
    [GIB(4), 268_435_456, 1_047_096, 913_152],
    [GIB(10), 268_435_456, 2_619_960, 2_486_016],
    [GIB(100), 1_073_741_824, 26_212_920, 25_685_760],
  ])("of %i bytes has the chunks and the statfs that mkfs.btrfs leaves", (size, metadata, free, available) => {
    const { fs } = new BtrfsLab({ size });
    const told = usage(fs.state);
    expect(told.data).toEqual({ total: 8_388_608, used: 0 });
    expect(told.system).toEqual({ total: 8_388_608, used: 16_384 });
    expect(told.metadata).toEqual({ total: metadata, used: 131_072 });
    expect(told.globalReserve).toBe(5_767_168);
    const statfs = fs.statfs();
    expect([statfs.blocks, statfs.blocksFree, statfs.blocksAvailable]).toEqual([size / 4096, free, available]);
    fs.check();
  });

  test("of 4 GiB tells what btrfs filesystem usage tells", () => {
    const told = usage(new BtrfsLab({ size: GIB(4) }).fs.state);
    expect(told).toMatchObject({ allocated: 562_036_736, unallocated: 3_732_930_560, used: 294_912, free: 3_741_319_168 });
    expect(told.freeMin).toBe(1_874_853_888);
  });
});

test("files, a snapshot, overwrites and removals take and give the measured space", () => {
  const lab = new BtrfsLab({ size: GIB(4) });
  const { task } = lab.host;
  const at = (data: number, metadata: number, free: number, groups: string): void =>
    expect(lab.settle()).toEqual({ data, metadata, free, groups });
  lab.quota();
  at(0, 147_456, 1_047_088, "5:16384/16384");
  must(lab.subvolume("/m/A"));
  at(0, 163_840, 1_047_080, "5:16384/16384 256:16384/16384");
  for (const length of [0, 1, 2048]) must(lab.write(`/m/A/f${length}`, bytesOf(length)));
  at(0, 163_840, 1_047_080, "5:16384/16384 256:16384/16384");
  must(lab.write("/m/A/f2049", bytesOf(2049)));
  at(4096, 163_840, 1_047_079, "5:16384/16384 256:20480/20480");
  must(lab.write("/m/A/f4k", bytesOf(4096)));
  must(lab.write("/m/A/f64k", bytesOf(65_536)));
  at(73_728, 163_840, 1_047_062, "5:16384/16384 256:90112/90112");
  must(lab.write("/m/A/f1m1", bytesOf(1_048_577)));
  at(1_126_400, 163_840, 1_046_805, "5:16384/16384 256:1142784/1142784");
  must(task.mkdir("/m/A/d", 0o755));
  must(task.symlink("target", "/m/A/sl"));
  must(lab.write("/m/A/sparse", ""));
  must(task.truncate("/m/A/sparse", GIB(1)));
  must(task.truncate("/m/A/f1m1", 524_288));
  at(1_126_400, 163_840, 1_046_805, "5:16384/16384 256:1142784/1142784");
  must(task.unlink("/m/A/f1m1"));
  at(73_728, 163_840, 1_047_062, "5:16384/16384 256:90112/90112");
  must(lab.write("/m/A/big", bytesOf(GIB(1))));
  at(1_073_815_552, 1_277_952, 784_374, "5:16384/16384 256:1073831936/1073831936");
  expect(usage(lab.fs.state).data.total).toBe(1_317_011_456);
  must(lab.snapshot("/m/A", "/m/S"));
  at(1_073_815_552, 1_294_336, 784_366, "5:16384/16384 256:1073831936/16384 257:1073831936/16384");
  must(lab.write("/m/A/big", bytesOf(1, 2), 499_998_720));
  at(1_073_819_648, 1_294_336, 784_365, "5:16384/16384 256:1073836032/20480 257:1073831936/16384");
  must(lab.write("/m/A/big", bytesOf(1, 3), 499_998_720));
  at(1_073_819_648, 1_294_336, 784_365, "5:16384/16384 256:1073836032/20480 257:1073831936/16384");
  must(lab.write("/m/A/big", bytesOf(1, 3), 499_998_720 + 4096));
  must(lab.write("/m/A/big", bytesOf(MIB(1), 4), MIB(100)));
  at(1_074_872_320, 1_294_336, 784_108, "5:16384/16384 256:1074888704/1073152 257:1073831936/16384");
  must(lab.write("/m/S/empty", ""));
  must(task.unlink("/m/S/big"));
  at(1_074_872_320, 1_294_336, 784_108, "5:16384/16384 256:1074888704/1074814976 257:90112/16384");
  must(task.unlink("/m/A/big"));
  const last = lab.settle();
  expect([last.data, last.groups]).toEqual([73_728, "5:16384/16384 256:90112/16384 257:90112/16384"]);
  // The kernel's checksum tree keeps one leaf more.
  expect(Math.abs(last.metadata - 196_608)).toBeLessThanOrEqual(2 * 16_384);
  lab.fs.check();
});

test("an overwritten extent stays whole while a byte of it is used, and reflinks share it", () => {
  const lab = new BtrfsLab({ size: GIB(4) });
  lab.quota();
  must(lab.subvolume("/m/A"));
  must(lab.subvolume("/m/B"));
  const groups = (): string => lab.settle().groups.replace("5:16384/16384 ", "");
  must(lab.write("/m/B/x", bytesOf(MIB(1))));
  expect(groups()).toBe("256:16384/16384 257:1064960/1064960");
  must(lab.write("/m/B/x", bytesOf(KIB(512), 2)));
  expect(groups()).toBe("256:16384/16384 257:1589248/1589248");
  must(lab.write("/m/B/x", bytesOf(KIB(508), 3), KIB(512)));
  expect(groups()).toBe("256:16384/16384 257:2109440/2109440");
  must(lab.write("/m/B/x", bytesOf(KIB(4), 4), KIB(1020)));
  expect(groups()).toBe("256:16384/16384 257:1064960/1064960");
  reflink(lab, "/m/B/x", "/m/A/xr");
  expect(groups()).toBe("256:1064960/16384 257:1064960/16384");
  reflink(lab, "/m/B/x", "/m/B/y");
  expect(groups()).toBe("256:1064960/16384 257:1064960/16384");
  must(lab.host.task.unlink("/m/A/xr"));
  expect(groups()).toBe("256:16384/16384 257:1064960/1064960");
  lab.fs.check();
});

test("a device of 1 GiB fills to the last sector, and then takes empty files and snapshots only", () => {
  const lab = new BtrfsLab({ size: GIB(1) });
  expect(must(lab.write("/m/fill", bytesOf(GIB(2))))).toBe(948_568_064);
  lab.settle();
  const { data } = usage(lab.fs.state);
  expect(data).toEqual({ total: 948_568_064, used: 948_568_064 });
  expect(lab.fs.statfs().blocksAvailable).toBe(0);
  expect(must(lab.write("/m/empty", ""))).toBe(0);
  expect(lab.write("/m/inline", bytesOf(2000))).toBe(ENOSPC);
  expect(lab.write("/m/fill", bytesOf(1))).toBe(ENOSPC);
  must(lab.snapshot("/m", "/m/snap"));
  must(lab.host.task.unlink("/m/fill"));
  expect(lab.settle().data).toBe(948_568_064);
  must(lab.remove("/m/snap"));
  expect(lab.settle().data).toBe(0);
  lab.fs.check();
});

test("a limit stops writes, and counts what a snapshot shares", () => {
  const lab = new BtrfsLab({ size: GIB(1) });
  lab.quota();
  must(lab.subvolume("/m/L"));
  must(limitQgroup(lab.fs, lab.id("/m/L"), { referencedMax: MIB(1) }));
  let written = 0;
  for (;;) {
    const done = lab.write("/m/L/x", bytesOf(4096, written), written);
    if (done === EDQUOT) break;
    written += must(done);
  }
  // With the root's leaf 1,032,192: the next sector and the node that it may take would go beyond.
  expect(written).toBe(1_015_808);
  must(lab.write("/m/base", bytesOf(MIB(30))));
  must(lab.snapshot("/m", "/m/S"));
  must(limitQgroup(lab.fs, lab.id("/m/S"), { referencedMax: MIB(20) }));
  expect(lab.write("/m/S/new", "")).toBe(EDQUOT);
  must(lab.host.task.unlink("/m/S/base"));
  expect(lab.write("/m/S/new", "")).toBe(0);
  lab.fs.check();
});

describe("the transaction of a snapshot within what it is of", () => {
  const newLab = (): BtrfsLab => {
    const lab = new BtrfsLab({ size: MIB(300) });
    must(lab.subvolume("/m/v0"));
    lab.settle();
    return lab;
  };
  const usedBy = ({ fs }: BtrfsLab): number => fs.state.space.totals("metadata").used;

  // Counted with block_bio_queue: 12 and 6 nodes, both copies of each.
  test("writes nodes before the name and behind it where quota groups count, else once", () => {
    const lab = newLab();
    const { counters } = lab.fs.state;
    const written = (act: () => void): number => {
      const before = counters.nodesWritten;
      act();
      return counters.nodesWritten - before;
    };
    const plain = written(() => must(lab.snapshot("/m/v0", "/m/v0/s")));
    lab.quota();
    lab.settle();
    expect([plain, written(() => must(lab.snapshot("/m/v0", "/m/v0/t")))]).toEqual([6, 12]);
  });

  test("frees at once the nodes that it has copied again before they were written", () => {
    const lab = newLab();
    const { counters, space } = lab.fs.state;
    const [used, nodes] = [usedBy(lab), counters.nodesWritten];
    let pinned = 0;
    const disk = lab.host.disks.get("vda");
    if (disk === undefined) throw new Error("there is no disk");
    disk.watcher = () => {
      pinned = space.pinned("metadata");
    };
    must(lab.snapshot("/m/v0", "/m/v0/s"));
    disk.watcher = undefined;
    // What is pinned was written by earlier transactions.
    expect(pinned).toBe(used + (counters.nodesWritten - nodes) * NODE_SIZE - usedBy(lab));
  });
});
