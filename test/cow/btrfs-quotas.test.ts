/** Quota groups above level 0 over mounts, and what their tools refuse (fs/btrfs/qgroup.c; recorded scripts are in test/data/btrfs/random/qgroups-*). */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EBUSY, EDQUOT, EEXIST, EINVAL, ENOENT, ENOTCONN } from "../../sim/core/errno.ts";
import { KIB } from "../../sim/core/units.ts";
import {
  assignQgroup,
  createQgroup,
  destroyQgroup,
  limitQgroup,
  rescanQuota,
  unassignQgroup,
} from "../../sim/cow/btrfs/quota-ioctl.ts";
import { qgroupId } from "../../sim/cow/btrfs/quotas.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";
import { qgroupsOf } from "./btrfs-script.ts";

const UPPER = qgroupId(1, 0);
const TOP = qgroupId(2, 0);

/** Two subvolumes with a file each, both in 1/0, which is in 2/0. */
function labWithGroups(): { lab: BtrfsLab; a: number; b: number } {
  const lab = new BtrfsLab();
  lab.quota();
  const a = must(lab.subvolume("/m/a"));
  const b = must(lab.subvolume("/m/b"));
  lab.write("/m/a/f", Content.pattern(1, KIB(64)));
  lab.write("/m/b/f", Content.pattern(2, KIB(128)));
  lab.settle();
  for (const id of [UPPER, TOP]) expect(createQgroup(lab.fs, id)).toBeUndefined();
  for (const id of [a, b]) expect(assignQgroup(lab.fs, id, UPPER)).toBeUndefined();
  expect(assignQgroup(lab.fs, UPPER, TOP)).toBeUndefined();
  lab.settle();
  return { lab, a, b };
}

function remount(lab: BtrfsLab): void {
  lab.host.unmount("/m");
  lab.mount();
}

test("memberships are there after a mount, and count on", () => {
  const { lab } = labWithGroups();
  const before = qgroupsOf(lab);
  expect(before.slice(-2)).toEqual([
    ["1/0", KIB(64 + 128 + 32), KIB(64 + 128 + 32)],
    ["2/0", KIB(64 + 128 + 32), KIB(64 + 128 + 32)],
  ]);
  remount(lab);
  expect(qgroupsOf(lab)).toEqual(before);
  lab.write("/m/a/g", Content.pattern(3, KIB(8)));
  lab.settle();
  expect(qgroupsOf(lab).at(-1)).toEqual(["2/0", KIB(64 + 128 + 32 + 8), KIB(64 + 128 + 32 + 8)]);
  lab.fs.check();
});

// qgroup_mark_inconsistent sets a flag on the device, and one in memory that a mount does not find.
test("groups that stand still count again after a mount, wrong as they are, until a rescan", () => {
  const { lab, a } = labWithGroups();
  must(lab.snapshot("/m/a", "/m/s"));
  lab.write("/m/a/g", Content.pattern(3, KIB(8)));
  lab.settle();
  const groupOfA = (): readonly unknown[] | undefined => qgroupsOf(lab).find(([id]) => id === a);
  expect(groupOfA()).toEqual([a, KIB(80), KIB(16)]);
  remount(lab);
  lab.write("/m/a/h", Content.pattern(3, KIB(8)));
  lab.settle();
  expect(groupOfA()).toEqual([a, KIB(88), KIB(24)]);
  lab.fs.check();
  expect(rescanQuota(lab.fs)).toBeUndefined();
  expect(groupOfA()).toEqual([a, KIB(96), KIB(32)]);
  lab.fs.check();
});

test("groups that are not there, have members or would be below themselves are refused", () => {
  const { lab, a } = labWithGroups();
  const { fs } = lab;
  expect(createQgroup(fs, UPPER)).toBe(EEXIST);
  expect(createQgroup(fs, 300)).toBe(EINVAL);
  expect(assignQgroup(fs, a, UPPER)).toBe(EEXIST);
  expect(assignQgroup(fs, TOP, UPPER)).toBe(EINVAL);
  expect(assignQgroup(fs, a, qgroupId(1, 9))).toBe(EINVAL);
  expect(unassignQgroup(fs, a, TOP)).toBe(ENOENT);
  expect(unassignQgroup(fs, a, qgroupId(1, 9))).toBe(ENOENT);
  expect(destroyQgroup(fs, qgroupId(1, 9))).toBe(ENOENT);
  expect(destroyQgroup(fs, UPPER)).toBe(EBUSY);
  expect(destroyQgroup(fs, a)).toBe(EBUSY);
  expect(lab.subvolume("/m/n", [qgroupId(1, 9)])).toBe(ENOENT);
  expect(lab.subvolume("/m/n", [a])).toBe(EINVAL);
  expect(lab.snapshot("/m/a", "/m/n", false, [a])).toBe(EINVAL);
  expect(unassignQgroup(fs, UPPER, TOP)).toBeUndefined();
  expect(destroyQgroup(fs, TOP)).toBeUndefined();
  lab.settle();
  fs.check();
});

test("without quotas there are no groups to change, and new subvolumes go without those that are asked for", () => {
  const lab = new BtrfsLab();
  const { fs } = lab;
  expect([createQgroup(fs, UPPER), destroyQgroup(fs, UPPER), limitQgroup(fs, 5, {}), rescanQuota(fs)]).toEqual([
    ENOTCONN,
    ENOTCONN,
    ENOTCONN,
    ENOTCONN,
  ]);
  expect([assignQgroup(fs, 5, UPPER), unassignQgroup(fs, 5, UPPER)]).toEqual([ENOTCONN, ENOTCONN]);
  expect(lab.subvolume("/m/n", [UPPER])).toBe(256);
  expect(lab.snapshot("/m/n", "/m/s", false, [UPPER])).toBe(257);
  fs.check();
});

test("a limit of what is a subvolume's own stops it, until a snapshot has that too", () => {
  const lab = new BtrfsLab();
  lab.quota();
  const ex = must(lab.subvolume("/m/ex"));
  must(limitQgroup(lab.fs, ex, { exclusiveMax: KIB(2048) }));
  const fill = (path: string): number => {
    for (let written = 0; ; written += 4096) if (lab.write(path, Content.pattern(1, 4096), written) === EDQUOT) return written;
  };
  // As on Linux 6.18: the root's leaf and room for one node more are counted.
  expect(fill("/m/ex/f")).toBe(2_064_384);
  must(lab.fs.sync());
  expect(lab.write("/m/ex/f", Content.pattern(1, 4096), 2_064_384)).toBe(EDQUOT);
  must(lab.snapshot("/m/ex", "/m/ex2"));
  expect(fill("/m/ex/f2")).toBe(2_064_384);
  lab.settle();
  expect(qgroupsOf(lab).slice(1)).toEqual([
    [ex, 4_145_152, 2_080_768],
    [ex + 1, 2_080_768, 16_384],
  ]);
  lab.fs.check();
});

test("a rescan counts what snapshots of many nodes share, and a subvolume that goes leaves it to them", () => {
  const lab = new BtrfsLab();
  must(lab.subvolume("/m/a"));
  must(lab.write("/m/a/first", Content.pattern(7, KIB(64))));
  for (let n = 0; n < 250; n++) must(lab.write(`/m/a/${n}`, Content.pattern(n, 1800)));
  for (let n = 0; n < 4; n++) must(lab.write(`/m/a/data-${n}`, Content.pattern(n, KIB(64))));
  must(lab.snapshot("/m/a", "/m/s"));
  lab.quota();
  lab.settle();
  lab.fs.check();
  const [, a, s] = qgroupsOf(lab);
  // Only their roots are their own.
  expect([a?.[2], s?.[2], a?.[1] === s?.[1], Number(a?.[1]) > KIB(256 + 500)]).toEqual([KIB(16), KIB(16), true, true]);
  must(lab.write("/m/s/7", "changed"));
  must(lab.host.task.unlink("/m/s/data-1"));
  lab.settle();
  lab.fs.check();
  must(lab.remove("/m/a"));
  lab.settle();
  lab.fs.check();
  const [, left] = qgroupsOf(lab);
  expect([left?.[0], left?.[1]]).toEqual([257, left?.[2]]);
  must(lab.host.unmount("/m"));
  lab.mount();
  lab.fs.check();
});

// Its leaves are the origin's: only btrfs_qgroup_trace_subtree tells that what they refer to has one user less.
test("a snapshot that goes leaves to its origin alone the files that both had", () => {
  const lab = new BtrfsLab();
  must(lab.subvolume("/m/a"));
  for (let n = 0; n < 40; n++) must(lab.write(`/m/a/${n}`, Content.pattern(n, 1800)));
  for (let n = 0; n < 4; n++) must(lab.write(`/m/a/data-${n}`, Content.pattern(n, KIB(64))));
  must(lab.snapshot("/m/a", "/m/s"));
  lab.quota();
  lab.settle();
  const shared = qgroupsOf(lab)[1];
  expect([shared?.[0], shared?.[2]]).toEqual([256, KIB(16)]);
  must(lab.remove("/m/s"));
  lab.settle();
  expect(qgroupsOf(lab)[1]).toEqual([256, shared?.[1], shared?.[1]]);
  lab.fs.check();
});

// qgroup_snapshot_quick_inherit: all of 1/0 is its own, so a snapshot within it adds a node, and nothing stands still.
test("a snapshot into the one group of its source that shares nothing is counted at once", () => {
  const { lab } = labWithGroups();
  must(lab.snapshot("/m/a", "/m/s", false, [UPPER]));
  lab.settle();
  expect(qgroupsOf(lab).at(-1)).toEqual(["2/0", KIB(64 + 128 + 48), KIB(64 + 128 + 48)]);
  lab.fs.check();
});

test("a snapshot into a group that does not have its source is counted by a rescan alone", () => {
  const { lab } = labWithGroups();
  const other = qgroupId(1, 5);
  expect(createQgroup(lab.fs, other)).toBeUndefined();
  must(lab.snapshot("/m/a", "/m/s", false, [other]));
  lab.settle();
  const groupOfOther = (): readonly unknown[] | undefined => qgroupsOf(lab).find(([id]) => id === "1/5");
  expect(groupOfOther()).toEqual(["1/5", 0, 0]);
  expect(rescanQuota(lab.fs)).toBeUndefined();
  expect(groupOfOther()).toEqual(["1/5", KIB(80), KIB(16)]);
  lab.fs.check();
});
