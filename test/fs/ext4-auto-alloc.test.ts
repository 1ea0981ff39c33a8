/**
 * When ext4 gives a file its blocks before its pages are due (auto_da_alloc). Each case was asked of Linux 6.18 by FIEMAP, which tells blocks that are
 * promised (delalloc) from those that have their place.
 */
import { describe, expect, test } from "vitest";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { EIO } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import type { Ext4 } from "../../sim/fs/ext4/ext4.ts";
import { createHost } from "../../sim/host.ts";
import { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { mounted, must } from "./ext4-mounted.ts";

const SIZE = 256 * 2 ** 20;

function write(task: Task, path: string, text: string, flags: number = O_WRONLY | O_CREAT | O_TRUNC): void {
  const fd = must(task.open(path, flags, 0o644));
  if (text !== "") must(task.write(fd, Content.text(text)));
  must(task.close(fd));
}

/** The same. @returns the path */
function wrote(task: Task, path: string, text: string, flags?: number): string {
  write(task, path, text, flags);
  return path;
}

/** Whether a file's block has its place on the disk. */
function hasPlace(task: Task, path: string): boolean {
  const { mount, inode } = must(task.resolve(path));
  mount.fs.check();
  return (mount.fs as unknown as Ext4).extents(inode).length > 0;
}

type Case = readonly [string, (task: Task) => string, boolean];
const CASES: readonly Case[] = [
  ["a new file", (task) => wrote(task, "/new", "x"), false],
  ["a file that is opened with O_TRUNC", (task) => wrote(task, "/full", "x"), true],
  ["an empty file that is opened with O_TRUNC", (task) => wrote(task, "/empty", "x"), true],
  [
    "a file that is opened with O_TRUNC while its first blocks are promised",
    (task) => {
      write(task, "/new", "x");
      write(task, "/new", "y");
      return "/new";
    },
    true,
  ],
  [
    "a file that is moved over another",
    (task) => {
      write(task, "/source", "x");
      must(task.rename("/source", "/full"));
      return "/full";
    },
    true,
  ],
  [
    "a file that is moved over an empty one",
    (task) => {
      write(task, "/source", "x");
      must(task.rename("/source", "/empty"));
      return "/empty";
    },
    true,
  ],
  [
    "a file that is moved to a free name",
    (task) => {
      write(task, "/source", "x");
      must(task.rename("/source", "/free"));
      return "/free";
    },
    false,
  ],
  [
    "a file that was cut by its path, and closed by another before it was appended to",
    (task) => {
      write(task, "/new", "x");
      must(task.truncate("/new", 0));
      must(task.close(must(task.open("/new", O_RDONLY))));
      write(task, "/new", "y", O_WRONLY | O_APPEND);
      return "/new";
    },
    false,
  ],
];

describe("ext4 gives a block its place", () => {
  test.each(CASES)("of %s when it is closed or moved: %#", (_, work, expected) => {
    const { host, task } = mounted(SIZE);
    write(task, "/full", "old");
    write(task, "/empty", "");
    must(task.syncfs());
    const path = work(task);
    expect(hasPlace(task, path)).toBe(expected);
    host.check();
  });

  const ON_OVERLAY: readonly Case[] = [
    ["a new file", (task) => wrote(task, "/new", "x"), false],
    [
      "a file of the lower layer, opened with O_TRUNC: the copy's own close comes behind the cut",
      (task) => wrote(task, "/over", "x"),
      false,
    ],
    [
      "a copy that is opened with O_TRUNC again",
      (task) => {
        write(task, "/over", "x");
        write(task, "/over", "y");
        return "/over";
      },
      true,
    ],
    [
      "a file that is moved over one of the lower layer, of which ext4 sees nothing",
      (task) => {
        write(task, "/source", "x");
        must(task.rename("/source", "/over"));
        return "/over";
      },
      false,
    ],
    [
      "a file that is moved over one of the upper layer",
      (task) => {
        write(task, "/there", "x");
        write(task, "/source", "x");
        must(task.rename("/source", "/there"));
        return "/there";
      },
      true,
    ],
    ["a file of the lower layer that is appended to", (task) => wrote(task, "/over", "x", O_WRONLY | O_APPEND), true],
  ];
  test.each(ON_OVERLAY)("below an overlay of %s: %#", (_, work, expected) => {
    const { host, task } = mounted(SIZE);
    for (const name of ["lower", "upper", "work"]) must(host.task.mkdir(`/mnt/${name}`));
    write(task, "/lower/over", "old");
    must(task.syncfs());
    must(host.task.mkdir("/merged"));
    const options = "lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work";
    expect(host.mount({ type: "overlay", source: "overlay", target: "/merged", options })).toBeUndefined();
    const path = work(must(host.task.chroot("/merged")));
    expect(hasPlace(task, `/upper${path}`)).toBe(expected);
    host.check();
  });
});

test("a write that fails as a file is closed is told by its next fsync, since nobody waited for it", () => {
  const host = createHost();
  const device = new FaultyDevice(host.addDisk({ size: SIZE }));
  host.addDevice("faulty", device, deviceNumber(253, 1));
  must(host.mkfs("ext4", "faulty"));
  must(host.task.mkdir("/mnt"));
  expect(host.mount({ type: "ext4", source: "faulty", target: "/mnt" })).toBeUndefined();
  write(host.task, "/mnt/f", "old");
  must(host.task.syncfs());
  const fd = must(host.task.open("/mnt/f", O_RDWR | O_TRUNC));
  must(host.task.write(fd, Content.text("new")));
  device.inject({ on: "write", at: 1, times: Number.POSITIVE_INFINITY });
  const other = must(host.task.open("/mnt/f", O_RDONLY));
  expect(host.task.close(fd)).toBeUndefined();
  device.heal();
  expect(host.task.fsync(other)).toBe(EIO);
  host.check();
});
