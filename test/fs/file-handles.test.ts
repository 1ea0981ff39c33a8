/** Handles of inodes (sim/vfs/file-handles.ts): what is told of one that is gone, and of another that has its number. */
import { describe, expect, test } from "vitest";
import { GIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { type FileSystem, inodeHandle, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { must } from "../../src/testing/expect.ts";

interface Ground {
  readonly host: Host;
  readonly type: string;
  readonly disk: string;
}

function mounted({ host, type, disk }: Ground): FileSystem {
  must(host.mount({ type, source: disk, target: "/f" }) as undefined);
  return must(host.task.resolve("/f")).mount.fs;
}

function ground(type: string): Ground & { fs: FileSystem } {
  const host = createHost();
  must(host.task.mkdir("/f"));
  const disk = type === "tmpfs" ? "" : host.addDisk({ size: GIB(1) }).name;
  if (disk !== "") must(host.mkfs(type, disk));
  return { host, type, disk, fs: mounted({ host, type, disk }) };
}

/** Makes a file. @returns its handle's words. */
function made({ host }: Ground, fs: FileSystem, path: string): readonly number[] {
  must(host.task.mknod(path, S_IFREG | 0o644));
  return fs.handles?.encode(must(host.task.resolve(path)).inode) ?? [];
}

const numberOf = ({ host }: Ground, path: string): number => must(host.task.lstat(path)).inodeNumber;

/** Makes files until one has the number. @returns its handle's words. */
function again(on: Ground, fs: FileSystem, number: number): readonly number[] | undefined {
  for (let turn = 0; turn < 100; turn++) {
    const words = made(on, fs, `/f/again${turn}`);
    if (numberOf(on, `/f/again${turn}`) === number) return words;
  }
  return undefined;
}

test.each([
  ["ext4", 1, 2],
  ["xfs", 0x81, 3],
  ["tmpfs", 1, 3],
  ["btrfs", 0x4d, 5],
])("%s's handles are of type %i and have %i words (asked of Linux 6.18)", (type, kind, words) => {
  const on = ground(type);
  expect([on.fs.handles?.type, made(on, on.fs, "/f/a").length]).toEqual([kind, words]);
});

test.each(["ext4", "xfs", "tmpfs", "btrfs"])("%s finds an inode by its handle while it is there", (type) => {
  const on = ground(type);
  const words = made(on, on.fs, "/f/a");
  expect(on.fs.handles?.decode(words)).toBe(must(on.host.task.resolve("/f/a")).inode);
  must(on.host.task.unlink("/f/a"));
  const found = on.fs.handles?.decode(words);
  // A free number of ext4 or xfs still leads to its inode, which says that it has no link.
  expect(found === undefined || on.fs.mode(inodeHandle(found)) === 0).toBe(true);
});

test.each(["tmpfs", "btrfs"])("%s gives no number a second time while it is mounted", (type) => {
  const on = ground(type);
  made(on, on.fs, "/f/a");
  const number = numberOf(on, "/f/a");
  must(on.host.task.unlink("/f/a"));
  expect(again(on, on.fs, number)).toBeUndefined();
});

describe.each(["ext4", "xfs"])("a number that %s uses again", (type) => {
  test("is another inode's handle, three times over, and stays it over a mount", () => {
    const on = ground(type);
    const handles = [made(on, on.fs, "/f/a")];
    must(on.host.task.rename("/f/a", "/f/again"));
    const number = numberOf(on, "/f/again");
    let path = "/f/again";
    for (let turn = 0; turn < 2; turn++) {
      must(on.host.task.unlink(path));
      handles.push(again(on, on.fs, number) ?? []);
      path = must(on.host.task.readdir("/f"))
        .map(({ name }) => `/f/${name}`)
        .find((one) => numberOf(on, one) === number) as string;
      must(on.host.task.rename(path, "/f/again"));
      path = "/f/again";
      on.host.check();
    }
    expect(new Set(handles.map((words) => words.join())).size).toBe(3);
    const found = (fs: FileSystem): boolean[] => handles.map((words) => fs.handles?.decode(words) !== undefined);
    expect(found(on.fs)).toEqual([false, false, true]);
    must(on.host.unmount("/f"));
    expect(found(mounted(on))).toEqual([false, false, true]);
  });
});

test("btrfs uses a number again after a mount, and knows the two by their transactions", () => {
  const on = ground("btrfs");
  const before = made(on, on.fs, "/f/a");
  const number = numberOf(on, "/f/a");
  must(on.host.task.unlink("/f/a"));
  must(on.host.unmount("/f"));
  const fs = mounted(on);
  const words = again(on, fs, number);
  expect(words).toBeDefined();
  expect([fs.handles?.decode(before), fs.handles?.decode(words ?? []) === undefined]).toEqual([undefined, false]);
});

test("the inodes of a chunk that xfs gave back and made again are others", () => {
  const on = ground("xfs");
  const { task } = on.host;
  const old: (readonly number[])[] = [];
  must(task.mkdir("/f/d"));
  for (let file = 0; file < 300; file++) old.push(made(on, on.fs, `/f/d/${file}`));
  for (let file = 0; file < 300; file++) must(task.unlink(`/f/d/${file}`));
  must(on.fs.sync());
  const numbers = new Set<number>();
  for (let file = 0; file < 300; file++) numbers.add(made(on, on.fs, `/f/d/${file}`)[0] as number);
  expect(old.filter(([number]) => numbers.has(number as number)).length).toBeGreaterThan(100);
  expect(old.filter((words) => on.fs.handles?.decode(words) !== undefined)).toEqual([]);
  on.host.check();
});

test("a handle of a number that there never was leads nowhere", () => {
  for (const type of ["ext4", "xfs", "tmpfs", "btrfs"]) {
    const { fs } = ground(type);
    const words = new Array<number>(fs.handles?.words ?? 0).fill(2 ** 31);
    expect([type, fs.handles?.decode(words)]).toEqual([type, undefined]);
    expect([type, fs.handles?.decode(words.fill(0))]).toEqual([type, undefined]);
  }
});
