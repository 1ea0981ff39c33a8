/** mount -o subvol and subvolid: one filesystem on a device, seen from several tops (spec/block-cow.md 2.2). */
import { expect, test } from "vitest";
import { EINVAL, ENOENT, EXDEV, isErrno } from "../../sim/core/errno.ts";
import type { MountFailure } from "../../sim/host/types.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

function labWithSubvolumes(): BtrfsLab {
  const lab = new BtrfsLab();
  must(lab.subvolume("/m/a"));
  must(lab.host.task.mkdir("/m/a/plain", 0o755));
  must(lab.subvolume("/m/a/nested"));
  lab.write("/m/a/f", "in a");
  lab.write("/m/a/nested/f", "in nested");
  for (const folder of ["/a", "/n"]) must(lab.host.task.mkdir(folder, 0o755));
  return lab;
}

function mount(lab: BtrfsLab, target: string, options: string): MountFailure | undefined {
  return lab.host.mount({ type: "btrfs", source: "vda", target, options });
}

test("a subvolume is mounted by path or by id, and is the same filesystem as where it lies", () => {
  const lab = labWithSubvolumes();
  const { task } = lab.host;
  expect(mount(lab, "/a", "subvol=/a")).toBeUndefined();
  expect(mount(lab, "/n", `subvolid=${lab.id("/m/a/nested")}`)).toBeUndefined();
  expect(lab.read("/a/f")).toBe(lab.read("/m/a/f"));
  expect(lab.read("/n/f")).toBe(lab.read("/m/a/nested/f"));
  // The same inodes, so what is written here is read there; names do not go from mount to mount.
  lab.write("/n/f", "IN");
  expect(lab.read("/m/a/nested/f")).toBe(lab.read("/n/f"));
  expect([must(task.stat("/n/f")).inodeNumber, must(task.stat("/n")).device]).toEqual([
    must(task.stat("/m/a/nested/f")).inodeNumber,
    must(task.stat("/m/a/nested")).device,
  ]);
  expect(task.rename("/a/f", "/m/a/g")).toBe(EXDEV);
  expect(must(task.resolve("/a/..")).mount.fs).not.toBe(lab.fs);
  lab.fs.check();
});

test("the filesystem ends with its last mount", () => {
  const lab = labWithSubvolumes();
  expect(mount(lab, "/a", "subvol=a")).toBeUndefined();
  expect(lab.host.unmount("/m")).toBeUndefined();
  lab.write("/a/late", "written after the first mount went");
  expect(lab.host.unmount("/a")).toBeUndefined();
  lab.mount();
  expect(isErrno(lab.host.task.stat("/m/a/late"))).toBe(false);
});

test("what is no subvolume is refused, and leaves what is mounted alone", () => {
  const lab = labWithSubvolumes();
  expect(mount(lab, "/a", "subvol=a/plain")).toEqual({
    errno: EINVAL,
    message: "BTRFS error: 'a/plain' is not a valid subvolume",
  });
  expect(mount(lab, "/a", "subvol=nowhere")?.errno).toBe(ENOENT);
  expect(mount(lab, "/a", "subvolid=999")?.errno).toBe(ENOENT);
  expect(mount(lab, "/a", `subvol=a,subvolid=${lab.id("/m/a/nested")}`)?.errno).toBe(EINVAL);
  expect(lab.read("/m/a/f")).not.toBe("");
  expect(lab.host.unmount("/m")).toBeUndefined();
  // Refused with nothing else mounted, it is not left half open.
  expect(mount(lab, "/a", "subvol=nowhere")?.errno).toBe(ENOENT);
  lab.mount();
  lab.fs.check();
});
