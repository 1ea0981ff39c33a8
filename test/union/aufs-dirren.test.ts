/** dirren: what a renamed folder's files say of the branches below it, over several writable branches (fs/aufs/dirren.c; part B, section 15). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { Branches } from "./aufs-branches-lab.ts";
import { code, list, must, put, read } from "./aufs-lab.ts";

/** A lab whose folder "d" is on two writable branches and two lower ones, renamed to "e". */
function renamed(): { lab: Branches; options: string; mounted: ReturnType<Branches["enter"]>; files: string[] } {
  const lab = new Branches();
  const branches = [
    lab.branch("a", { "d/": "", "d/1": "a" }),
    lab.branch("b", { "d/": "", "d/2": "b" }),
    lab.sized("l", 100, { "d/": "", "d/3": "l", "d/s/": "", "d/s/in": "deep" }),
    lab.sized("m", 100, { "d/": "", "d/4": "m", "d/s/": "", "d/s/in2": "deeper" }),
  ];
  const options = `br:${branches.map((path, at) => `${path}=${at < 2 ? "rw" : "ro+wh"}`).join(":")},dirren`;
  const mounted = lab.enter(options);
  must(mounted.task.rename("/d", "/e"));
  const files = (list(lab.task, "/b/a/e") as string[]).filter((name) => name.startsWith(".wh..wh..dr."));
  return { lab, options, mounted, files };
}

function bytesIn(lab: Branches, path: string): Uint8Array {
  const fd = must(lab.task.open(path, O_RDONLY));
  const bytes = must(lab.task.read(fd, 100)).toBytes();
  lab.task.close(fd);
  return bytes;
}

/** The inode number that such a file tells. */
function numberIn(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(4));
}

describe("15: dirren", () => {
  test("keeps a file for each branch below that has the folder, and finds all of it again, also when it is mounted anew", () => {
    const { lab, options, mounted, files } = renamed();
    const shown = (task: typeof mounted.task) => [
      (list(task, "/") as string[]).sort(),
      (list(task, "/e") as string[]).sort(),
      (list(task, "/e/s") as string[]).sort(),
      ["1", "2", "3", "4", "s/in", "s/in2"].map((name) => read(task, `/e/${name}`)),
    ];
    const all = [["e"], ["1", "2", "3", "4", "s"], ["in", "in2"], ["a", "b", "l", "m", "deep", "deeper"]];
    expect([files.length, shown(mounted.task)]).toEqual([3, all]);
    mounted.fs.check();
    mounted.task.exit();
    expect(lab.host.unmount(mounted.path)).toBeUndefined();
    expect(lab.having("/.wh..wh.hino")).toEqual(["a"]);
    const again = lab.enter(options);
    expect(shown(again.task)).toEqual(all);
    must(again.task.rename("/e/s", "/e/t"));
    must(again.task.rename("/e", "/d"));
    expect([list(lab.task, "/b/a/d"), list(again.task, "/d/t")]).toEqual([expect.not.arrayContaining(files), ["in", "in2"]]);
    again.fs.check();
  });

  test("writes magic, inode number, the name's length and the name, as they lie in a file of 20 bytes and the name", () => {
    const { lab, files } = renamed();
    for (const name of files) {
      const at = `/b/a/e/${name}`;
      const bytes = bytesIn(lab, at);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const below = ["/b/b/d", "/b/l/d", "/b/m/d"].map((path) => must(lab.task.stat(path)).inodeNumber);
      expect([bytes.length, view.getUint32(0), bytes[12], new TextDecoder().decode(bytes.subarray(20))]).toEqual([
        21,
        0x61647201,
        1,
        "d",
      ]);
      expect(below).toContain(numberIn(bytes));
      expect(must(lab.task.stat(at)).mode & 0o777).toBe(0o600);
    }
    expect(files.every((name) => /^[.]wh[.][.]wh[.][.]dr[.]3_[0-9a-f]{4}_\d+$/.test(name))).toBe(true);
  });

  test.each<readonly [string, (bytes: Uint8Array) => Uint8Array]>([
    ["too short", (bytes) => bytes.subarray(0, 19)],
    ["of another magic", (bytes) => bytes.with(0, 0x62)],
    ["without a name", (bytes) => bytes.with(12, 0)],
    ["shorter than its name", (bytes) => bytes.with(12, 2)],
  ])("a file that is %s is EIO when the folder is renamed again, and tells nothing when it is looked up", (_, broken) => {
    const { lab, mounted, options, files } = renamed();
    // That of the next branch, whose name counts for those below it that have none of their own.
    const number = must(lab.task.stat("/b/b/d")).inodeNumber;
    const bytesOf = (name: string) => bytesIn(lab, `/b/a/e/${name}`);
    const file = files.find((name) => numberIn(bytesOf(name)) === number) as string;
    const bytes = bytesOf(file);
    const fd = must(lab.task.open(`/b/a/e/${file}`, O_RDWR));
    must(lab.task.ftruncate(fd, 0));
    must(lab.task.pwrite(fd, Content.literal(broken(bytes)), 0));
    lab.task.close(fd);
    expect(code(mounted.task.rename("/e", "/n"))).toBe("EIO");
    mounted.task.exit();
    expect(lab.host.unmount(mounted.path)).toBeUndefined();
    const again = lab.enter(options);
    expect((list(again.task, "/e") as string[]).sort()).toEqual(["1", "3", "4", "s"]);
    again.fs.check();
  });

  test("what is at the old name now is another object, and no part of the folder", () => {
    const { lab, mounted, options } = renamed();
    mounted.task.exit();
    expect(lab.host.unmount(mounted.path)).toBeUndefined();
    must(lab.task.rename("/b/m/d", "/b/m/old"));
    must(lab.task.mkdir("/b/m/d"));
    put(lab.task, "/b/m/d/5", "");
    const { task } = lab.enter(options);
    expect((list(task, "/e") as string[]).sort()).toEqual(["1", "2", "3", "s"]);
  });
});
