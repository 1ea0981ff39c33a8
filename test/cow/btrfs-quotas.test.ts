/** Quota groups above level 0 over mounts, and what their tools refuse (fs/btrfs/qgroup.c; recorded scripts are in test/data/btrfs/random/qgroups-*). */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOTCONN } from "../../sim/core/errno.ts";
import { KIB } from "../../sim/core/units.ts";
import { assignQgroup, createQgroup, destroyQgroup, rescanQuota, unassignQgroup } from "../../sim/cow/btrfs/quota-ioctl.ts";
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
  expect(createQgroup(new BtrfsLab().fs, UPPER)).toBe(ENOTCONN);
  expect(assignQgroup(new BtrfsLab().fs, 5, UPPER)).toBe(ENOTCONN);
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
  expect(new BtrfsLab().subvolume("/m/n", [UPPER])).toBe(EINVAL);
  expect(unassignQgroup(fs, UPPER, TOP)).toBeUndefined();
  expect(destroyQgroup(fs, TOP)).toBeUndefined();
  lab.settle();
  fs.check();
});

// qgroup_snapshot_quick_inherit: all of 1/0 is its own, so a snapshot within it adds a node, and nothing stands still.
test("a snapshot into the one group of its source that shares nothing is counted at once", () => {
  const { lab } = labWithGroups();
  must(lab.snapshot("/m/a", "/m/s", false, [UPPER]));
  lab.settle();
  expect(qgroupsOf(lab).at(-1)).toEqual(["2/0", KIB(64 + 128 + 48), KIB(64 + 128 + 48)]);
  lab.fs.check();
});
