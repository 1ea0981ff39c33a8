/** The rules of overlayfs that traces cannot show: sharing, order, costs, and what happens when space runs out. */
import { afterEach, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOENT, ENOSPC, EPERM, isErrno } from "../../sim/core/errno.ts";
import { type KernelProfile, k4_0 } from "../../sim/core/kernel-profile.ts";
import { MIB } from "../../sim/core/units.ts";
import { newAttributes, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, S_IFCHR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { UnionLab } from "./lab.ts";

let lab: UnionLab;
afterEach(() => lab.check());

function start(mountOptions = "", profile?: KernelProfile): void {
  lab = new UnionLab(mountOptions, profile);
}
function layer(name: string, parent?: string): Task {
  return lab.add(name, parent).session.task;
}
function put(task: Task, path: string, content: string | Content): void {
  const fd = task.open(path, O_CREAT | O_WRONLY | O_TRUNC);
  if (isErrno(fd)) throw new Error(`${path}: ${fd.code}`);
  task.write(fd, typeof content === "string" ? Content.text(content) : content);
  task.close(fd);
}
function get(task: Task, path: string): string {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return fd.code;
  const content = task.read(fd, 1000);
  task.close(fd);
  return isErrno(content) ? content.code : content.toText();
}
function counters(name: string) {
  const { overlay } = lab.tree(name);
  if (overlay === undefined) throw new Error(`${name} is no overlay`);
  return overlay.counters;
}
function names(task: Task, path: string): string[] {
  const entries = task.readdir(path);
  if (isErrno(entries)) throw new Error(entries.code);
  return entries.map(({ name }) => name);
}

describe("layers", () => {
  test("Containers of one image share the view of its layers, and a private layer has a view of its own", () => {
    start();
    put(layer("base"), "/f", "base");
    put(layer("top", "base"), "/g", "top");
    layer("c1", "top");
    layer("c2", "top");
    const viewOf = (name: string) => lab.tree(name).overlay?.overlay.view;
    expect(viewOf("c1")).toBe(viewOf("c2"));
    expect(viewOf("c1")).not.toBe(viewOf("top"));
  });

  test("A name in the lowest of 100 layers costs 101 layer lookups once, and none when it is asked for again", () => {
    start();
    put(layer("l0"), "/deep", "x");
    for (let n = 1; n < 100; n++) layer(`l${n}`, `l${n - 1}`);
    const task = layer("c", "l99");
    expect(get(task, "/deep")).toBe("x");
    const before = counters("c").layerLookups;
    expect(before).toBe(101);
    expect(get(task, "/deep")).toBe("x");
    expect(counters("c").layerLookups).toBe(before);
  });

  test("An absent name is looked up once; one that was unlinked or renamed away is looked up anew, as its dentry went", () => {
    start();
    put(layer("base"), "/below", "x");
    const task = layer("c", "base");
    put(task, "/own", "x");
    put(task, "/moved", "x");
    task.stat("/below");
    const asked = (path: string): number => {
      const before = counters("c").lookups;
      expect(task.stat(path)).toBe(ENOENT);
      return counters("c").lookups - before;
    };
    expect(asked("/absent")).toBe(1);
    expect(asked("/absent")).toBe(0);
    for (const path of ["/own", "/below"]) expect(task.unlink(path)).toBeUndefined();
    expect(task.rename("/moved", "/absent")).toBeUndefined();
    for (const path of ["/own", "/below", "/moved"]) {
      expect(asked(path)).toBe(1);
      expect(asked(path)).toBe(0);
    }
    const before = counters("c").lookups;
    expect(get(task, "/absent")).toBe("x");
    expect(counters("c").lookups).toBe(before);
  });

  test("A merged listing begins with the lowest layer's names, an upper layer's own follow", () => {
    start();
    const base = layer("base");
    base.mkdir("/d", 0o755);
    for (const name of ["c", "b", "a"]) put(base, `/d/${name}`, "");
    const expected = names(base, "/d");
    const task = layer("c1", "base");
    put(task, "/d/b", "new");
    put(task, "/d/z", "new");
    expect(names(task, "/d")).toEqual([...expected, "z"]);
  });
});

describe("copy-up", () => {
  test("A chunk of 1 MiB is copied from each place where data begins, holes before it are stepped over", () => {
    start();
    const base = layer("base");
    const fd = base.open("/sparse", O_CREAT | O_WRONLY) as number;
    base.pwrite(fd, Content.text("data"), 100 * 1024);
    base.ftruncate(fd, MIB(4));
    base.close(fd);
    const task = layer("c", "base");
    task.chmod("/sparse", 0o600);
    const of = newAttributes();
    task.stat("/sparse", of);
    expect(of.size).toBe(MIB(4));
    expect(of.blocks).toBe(MIB(1) / 512);
    expect(counters("c").copiedBytes).toBe(MIB(1));
  });

  test("A folder that receives a copied file keeps its mtime, and the file its own", () => {
    start();
    const base = layer("base");
    base.mkdir("/d", 0o755);
    put(base, "/d/f", "x");
    const task = layer("c", "base");
    const before = task.stat("/d");
    const file = task.stat("/d/f");
    lab.clock.advance(MIB(1000) as never);
    task.chmod("/d/f", 0o600);
    const after = task.stat("/d");
    if (isErrno(before) || isErrno(after) || isErrno(file)) throw new Error("stat");
    expect(after.mtime).toEqual(before.mtime);
    expect(task.stat("/d/f")).toMatchObject({ mtime: file.mtime, inodeNumber: file.inodeNumber });
  });

  test("When space runs out, nothing is left on the upper layer or in the work folder, and the file stays readable", () => {
    start();
    const base = layer("base");
    put(base, "/big", Content.pattern(1, MIB(100)));
    const task = layer("c", "base");
    expect(task.chmod("/big", 0o600)).toBe(ENOSPC);
    expect(lab.upper("c")).toEqual([]);
    expect(task.stat("/big")).toMatchObject({ size: MIB(100) });
    expect(counters("c").copyUps).toBe(0);
  });

  test("Truncating at open copies no data up, an open for writing all of it", () => {
    start();
    const base = layer("base");
    put(base, "/f", "0123456789");
    put(base, "/g", "0123456789");
    const task = layer("c", "base");
    task.close(task.open("/f", O_RDONLY | O_TRUNC) as number);
    expect(counters("c")).toMatchObject({ copyUps: 1, copiedBytes: 0, fsyncs: 0 });
    task.close(task.open("/g", O_RDWR) as number);
    expect(counters("c")).toMatchObject({ copyUps: 2, copiedBytes: 10, fsyncs: 1 });
  });

  test("A file that is open for reading follows its copy-up since 4.19, and stays with the old data before", () => {
    for (const [profile, expected] of [
      [undefined, "new"],
      [k4_0, "old"],
    ] as const) {
      start("", profile);
      put(layer("base"), "/f", "old");
      const task = layer("c", "base");
      const fd = task.open("/f", O_RDONLY) as number;
      put(task, "/f", "new");
      const read = task.pread(fd, 10, 0);
      expect(isErrno(read) ? read.code : read.toText()).toBe(expected);
      task.close(fd);
    }
  });

  test("Two mounts share the pages of a lower file until one of them copies it up", () => {
    start();
    put(layer("base"), "/f", Content.pattern(1, 10 * 4096));
    const one = layer("c1", "base");
    const other = layer("c2", "base");
    get(one, "/f");
    expect(other.cachedPages("/f")).toBe(one.cachedPages("/f"));
    one.chmod("/f", 0o600);
    put(one, "/f", "new");
    expect(one.cachedPages("/f")).toBe(1);
    expect(other.cachedPages("/f")).toBe(10);
  });
});

describe("whiteouts", () => {
  test("All whiteouts of a mount are links to one inode, before 5.8 an inode each", () => {
    // 20 names and the spare one in the work folder.
    for (const [profile, links] of [
      [undefined, 21],
      [k4_0, 1],
    ] as const) {
      start("", profile);
      const base = layer("base");
      for (let n = 0; n < 20; n++) put(base, `/f${n}`, "");
      const task = layer("c", "base");
      for (let n = 0; n < 20; n++) task.unlink(`/f${n}`);
      const { fs, inode } = lab.tree("c").diff;
      const whiteout = fs.lookup(inode, lab.names.intern("f7"));
      const of = newAttributes();
      if (!isErrno(whiteout)) fs.getattr(whiteout, of);
      expect(of.nlink).toBe(links);
      expect(counters("c").whiteouts).toBe(20);
      expect(names(task, "/")).toEqual([]);
    }
  });

  test("A character device 0:0 cannot be made through the mount", () => {
    start();
    layer("base");
    expect(layer("c", "base").mknod("/w", S_IFCHR | 0o600, 0 as never)).toBe(EPERM);
  });

  test("Marks of overlayfs are hidden, and marks that a user sets under their names are kept apart", () => {
    start();
    put(layer("base"), "/f", "");
    const task = layer("c", "base");
    task.unlink("/f");
    task.mkdir("/f", 0o755);
    expect(task.listxattr("/f")).toEqual([]);
    expect(task.setxattr("/f", "trusted.overlay.opaque", Uint8Array.of(0x6e))).toBeUndefined();
    expect(task.listxattr("/f")).toEqual(["trusted.overlay.opaque"]);
    expect(lab.upper("c")).toEqual([["/f", "dir", { opaque: "y" }]]);
  });

  test("An open file that is deleted keeps its data, and its upper inode goes with the last descriptor", () => {
    start();
    layer("base");
    const task = layer("c", "base");
    put(task, "/f", "kept");
    const fd = task.open("/f", O_RDONLY) as number;
    const before = lab.backing.statfs().filesFree;
    task.unlink("/f");
    const read = task.pread(fd, 10, 0);
    expect(isErrno(read) ? read.code : read.toText()).toBe("kept");
    expect(lab.backing.statfs().filesFree).toBe(before);
    task.close(fd);
    expect(lab.backing.statfs().filesFree).toBe(before + 1);
  });
});

describe("rename", () => {
  test("A folder of a lower layer moves by a redirect, whatever is in it", () => {
    start("redirect_dir=on");
    const base = layer("base");
    base.mkdir("/d", 0o755);
    for (let n = 0; n < 50; n++) put(base, `/d/f${n}`, `${n}`);
    const task = layer("c", "base");
    expect(task.rename("/d", "/e")).toBeUndefined();
    expect(get(task, "/e/f7")).toBe("7");
    expect(lab.upper("c")).toEqual([
      ["/d", "whiteout"],
      ["/e", "dir", { redirect: "d" }],
    ]);
    expect(counters("c").copyUps).toBe(1);
  });
});
