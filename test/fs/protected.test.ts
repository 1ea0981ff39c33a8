/**
 * What Linux 6.18 answered to every call that changes something (protected.ts) on what may not change: immutable and append-only files and folders,
 * filesystems mounted read-only and read-only subvolumes of btrfs (test/data/protected.json).
 */
import { describe, expect, test } from "vitest";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { setReceived } from "../../sim/cow/btrfs/ioctl.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { BtrfsLab } from "../cow/btrfs-lab.ts";
import RECORDED from "../data/protected.json" with { type: "json" };
import { CHANGES, done, laidOut, type Place } from "./protected.ts";

/** An errno, "ok", or one of them by the type of filesystem. */
type Recorded = string | Readonly<Record<string, string>>;
const ANSWERS: Readonly<Record<string, Readonly<Record<string, Recorded>>>> = RECORDED;

const TYPES = ["ext4", "xfs", "btrfs", "tmpfs"];
const IMMUTABLE = 0x10;
const APPEND_ONLY = 0x20;

function mounted(type: string): Host {
  const host = createHost();
  host.task.umask = 0;
  host.addDisk({ size: MIB(512) });
  if (type !== "tmpfs") done(host.mkfs(type, "vda"));
  host.task.mkdir("/m");
  expect(host.mount({ type, source: "vda", target: "/m" })).toBeUndefined();
  return host;
}

function answered(of: Place, change: (of: Place) => unknown): string {
  const got = change(of);
  return isErrno(got) ? got.code : "ok";
}

function opened(host: Host, folder: string, flags: number): Place {
  const { task } = host;
  return { task, folder, f: done(task.open(`${folder}/f`, flags)), g: done(task.open(`${folder}/g`, flags)) };
}

/** Every change at one place, which refuses what would be in another's way. */
function allAt(of: Place): Record<string, string> {
  return Object.fromEntries(Object.entries(CHANGES).map(([name, change]) => [name, answered(of, change)]));
}

function recordedFor(what: string, type: string): Record<string, string> {
  const pairs = Object.entries(ANSWERS[what] ?? {});
  return Object.fromEntries(pairs.map(([name, answer]) => [name, typeof answer === "string" ? answer : (answer[type] ?? "")]));
}

describe.each([
  ["an immutable file", "/f", IMMUTABLE],
  ["an append-only file", "/f", APPEND_ONLY],
  ["an immutable folder", "", IMMUTABLE],
  ["an append-only folder", "", APPEND_ONLY],
] as const)("%s", (what, path, flag) => {
  test.each(TYPES)("on %s changes as the kernel lets it", (type) => {
    const host = mounted(type);
    const got: Record<string, string> = {};
    for (const [at, [name, change]] of Object.entries(CHANGES).entries()) {
      const folder = `/m/${at}`;
      laidOut(host.task, folder);
      const of = opened(host, folder, O_RDWR);
      const fd = done(host.task.open(folder + path, O_RDONLY));
      done(host.task.setFlags(fd, done(host.task.getFlags(fd)) | flag));
      got[name] = answered(of, change);
    }
    expect(got).toEqual(recordedFor(what, type));
    host.check();
  });
});

test.each(TYPES)("a read-only filesystem of %s refuses as the kernel's", (type) => {
  const host = mounted(type);
  laidOut(host.task, "/m/folder");
  if (type === "tmpfs") {
    const { fs } = done(host.task.resolve("/m")).mount;
    host.task.mkdir("/r");
    done(host.vfs.mount(host.task, fs, "/r", { readOnly: true }));
  } else {
    expect(host.unmount("/m")).toBeUndefined();
    expect(host.mount({ type, source: "vda", target: "/m", options: "ro" })).toBeUndefined();
  }
  const folder = type === "tmpfs" ? "/r/folder" : "/m/folder";
  expect(allAt(opened(host, folder, O_RDONLY))).toEqual(recordedFor("a read-only filesystem", type));
  host.check();
});

test("a read-only subvolume of btrfs refuses as the kernel's, but for what goes through files that were open before", () => {
  const lab = new BtrfsLab();
  const { host } = lab;
  lab.subvolume("/m/sub");
  laidOut(host.task, "/m/sub/folder");
  const of = opened(host, "/m/sub/folder", O_RDWR);
  done(setReceived(lab.fs, lab.id("/m/sub"), { uuid: "4e1f3b7c-0000-4000-8000-000000000000", stransid: 1 }));
  expect(allAt(of)).toEqual(recordedFor("a read-only subvolume", "btrfs"));
  host.check();
});
