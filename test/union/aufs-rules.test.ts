/** aufs's rules one by one, those that only recorded traces held: each test cites its paragraph of spec/union.md, parts B and D. */
import { describe, expect, test } from "vitest";
import { compareTimes } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { milliseconds } from "../../sim/core/units.ts";
import {
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
} from "../../sim/vfs/filesystem.ts";
import { AufsLab, code, list, must, put, read } from "./aufs-lab.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const later = (lab: AufsLab): void => lab.host.clock.advance(milliseconds(20));

describe("11: names", () => {
  test.each([".wh.f", ".wh.", ".wh..wh.x"])("%s is EPERM in every call, as the last name and on the way", (name) => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { f: "x" })]);
    expect(
      [
        task.open(`/${name}`, O_RDONLY),
        task.open(`/${name}`, O_CREAT | O_EXCL | O_WRONLY, 0o644),
        task.stat(`/${name}`),
        task.mkdir(`/${name}`, 0o755),
        task.symlink("f", `/${name}`),
        task.link("/f", `/${name}`),
        task.rename("/f", `/${name}`),
        task.rename(`/${name}`, "/g"),
        task.unlink(`/${name}`),
        task.rmdir(`/${name}`),
        task.stat(`/${name}/f`),
      ].map(code),
    ).toEqual(new Array(11).fill("EPERM"));
    must(task.symlink(name, "/l"));
    expect(code(task.stat("/l"))).toBe("EPERM");
    expect(code(task.mkdir("/.wh", 0o755))).toBe("ok");
    expect(code(task.mkdir("/x.wh.f", 0o755))).toBe("ok");
  });

  test("242 bytes are the most; what is longer on a branch is listed, keeps its folder from being removed, and cannot be reached", () => {
    const lab = new AufsLab();
    const long = "n".repeat(243);
    const { task } = lab.over([lab.branch("low", { "d/": "", [`d/${long}`]: "x" })]);
    expect(code(task.mkdir(`/${"n".repeat(242)}`, 0o755))).toBe("ok");
    expect(code(task.mkdir(`/${long}`, 0o755))).toBe("ENAMETOOLONG");
    expect(list(task, "/d")).toEqual([long]);
    expect([task.stat(`/d/${long}`), task.unlink(`/d/${long}`), task.rmdir("/d")].map(code)).toEqual([
      "ENAMETOOLONG",
      "ENAMETOOLONG",
      "ENOTEMPTY",
    ]);
  });
});

describe("13: copy-up", () => {
  test("open for writing copies nothing; a write, fallocate, ftruncate, O_TRUNC and each change of an attribute do", () => {
    const calls: readonly [string, (task: ReturnType<AufsLab["over"]>["task"]) => unknown, boolean][] = [
      ["open", (task) => task.open("/f", O_RDWR), false],
      ["append", (task) => task.open("/f", O_WRONLY | O_APPEND), false],
      ["creat", (task) => task.open("/f", O_CREAT | O_WRONLY, 0o644), false],
      ["omit", (task) => task.utimens("/f", "OMIT", "OMIT"), false],
      ["list", (task) => task.listxattr("/f"), false],
      ["trunc", (task) => task.open("/f", O_RDONLY | O_TRUNC), true],
      ["same mode", (task) => task.chmod("/f", must(task.stat("/f")).mode & 0o7777), true],
      ["no owner", (task) => task.chown("/f", -1, -1), true],
      ["write", (task) => task.pwrite(must(task.open("/f", O_WRONLY)), Content.text("y"), 0), true],
      ["ftruncate", (task) => task.ftruncate(must(task.open("/f", O_WRONLY)), 1), true],
      ["fallocate", (task) => task.fallocate(must(task.open("/f", O_WRONLY)), 0, 0, 9), true],
      ["fchmod", (task) => task.fchmod(must(task.open("/f", O_RDONLY)), 0o600), true],
      ["setxattr", (task) => task.setxattr("/f", "user.a", new Uint8Array(1)), true],
    ];
    for (const [name, call, copies] of calls) {
      const lab = new AufsLab();
      const { task, upper } = lab.over([lab.branch("low", { f: "text" })]);
      call(task);
      expect([name, lab.rows(upper)]).toEqual([name, copies ? ["/f file"] : []]);
    }
  });

  test("C1: the folder that receives a copy has a new mtime, the copy its own", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { "d/": "", "d/f": "text" })]);
    const before = [must(task.stat("/d")).mtime, must(task.stat("/d/f")).mtime] as const;
    later(lab);
    must(task.chmod("/d/f", 0o600));
    expect(compareTimes(must(task.stat("/d")).mtime, before[0])).toBeGreaterThan(0);
    expect(must(task.stat("/d/f")).mtime).toEqual(before[1]);
  });

  test("C4: a link of a lower file copies it up under the new name alone, which leaves nothing when it goes", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { one: "text" })]);
    must(task.link("/one", "/two"));
    expect(lab.rows(upper)).toEqual(["/two file"]);
    expect([must(task.stat("/one")).nlink, must(task.stat("/one")).inodeNumber]).toEqual([
      2,
      must(task.stat("/two")).inodeNumber,
    ]);
    must(task.unlink("/two"));
    expect(lab.rows(upper)).toEqual([]);
  });
});

describe("14 and 15: remove, rename", () => {
  test("a whiteout only where a lower branch shows the name; a name that is made over one takes its place, a folder as an opaque one", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { f: "x", "d/": "", "d/g": "x" })]);
    put(task, "/new", "x");
    must(task.unlink("/new"));
    must(task.unlink("/f"));
    must(task.unlink("/d/g"));
    must(task.rmdir("/d"));
    expect(lab.rows(upper)).toEqual(["/d whiteout", "/f whiteout"]);
    must(task.mkdir("/d", 0o755));
    put(task, "/f", "y");
    expect(lab.rows(upper)).toEqual(["/d dir opaque", "/f file"]);
    put(task, "/d/g", "y");
    must(task.unlink("/d/g"));
    expect(lab.rows(upper)).toEqual(["/d dir opaque", "/f file"]);
  });

  test("15 a, b, c: a lower folder moves only where it is empty, an own one always, a merged one when every lower name is whited out", () => {
    const lab = new AufsLab();
    const { task } = lab.over([
      lab.branch("low", { "full/": "", "full/f": "x", "empty/": "", "merged/": "", "merged/f": "x", "merged/g": "y" }),
    ]);
    must(task.mkdir("/own", 0o755));
    put(task, "/own/f", "x");
    expect([task.rename("/full", "/1"), task.rename("/empty", "/2"), task.rename("/own", "/3")].map(code)).toEqual([
      "EXDEV",
      "ok",
      "ok",
    ]);
    put(task, "/merged/own", "x");
    put(task, "/merged/f", "own instead");
    expect(code(task.rename("/merged", "/4"))).toBe("EXDEV");
    must(task.unlink("/merged/f"));
    must(task.unlink("/merged/g"));
    expect(code(task.rename("/merged", "/4"))).toBe("ok");
    expect(list(task, "/4")).toEqual(["own"]);
  });

  test("15: a filled target is ENOTEMPTY before EXDEV; what the VFS refuses comes first; RENAME_WHITEOUT is EINVAL", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { "d/": "", "d/f": "x", "e/": "", "e/g": "x", f: "x" })]);
    expect(
      [
        task.rename("/d", "/e"),
        task.rename("/d", "/f"),
        task.rename("/f", "/d"),
        task.rename("/d", "/d/f/x"),
        task.rename("/d", "/e", RENAME_NOREPLACE),
        task.rename("/f", "/h", RENAME_WHITEOUT),
      ].map(code),
    ).toEqual(["ENOTEMPTY", "ENOTDIR", "EISDIR", "ENOTDIR", "EEXIST", "EINVAL"]);
  });

  test("C8: what aufs refuses leaves the target's folders copied up, what the VFS refuses leaves nothing", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { "d/": "", "d/f": "x", "p/": "", "p/q/": "", f: "x" })]);
    expect(code(task.rename("/f", "/p/q"))).toBe("EISDIR");
    expect(lab.rows(upper)).toEqual([]);
    expect(code(task.rename("/d", "/p/q/n"))).toBe("EXDEV");
    expect(lab.rows(upper)).toEqual(["/p dir", "/p/q dir"]);
  });

  test("C10: fstat of a file that was renamed over before it was copied up is ESTALE, of one that was removed not", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { a: "one", b: "two", c: "three" })]);
    const [over, gone] = [must(task.open("/b", O_RDONLY)), must(task.open("/c", O_RDONLY))];
    must(task.rename("/a", "/b"));
    must(task.unlink("/c"));
    expect(code(task.fstat(over))).toBe("ESTALE");
    expect(must(task.pread(over, 9, 0)).toText()).toBe("two");
    expect(must(task.fstat(gone)).nlink).toBe(1);
  });
});

describe("16: inodes, links", () => {
  test("a number stays over copy-up and rename, and is another for what is made again while somebody has it; all have one device", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { "d/": "", "d/f": "x" })]);
    const of = (path: string): readonly [number, number] => {
      const { inodeNumber, device } = must(task.stat(path));
      return [inodeNumber, device];
    };
    const before = [of("/d"), of("/d/f")];
    must(task.chmod("/d/f", 0o600));
    expect([of("/d"), of("/d/f")]).toEqual(before);
    must(task.rename("/d/f", "/d/g"));
    expect(of("/d/g")).toEqual(before[1]);
    must(task.open("/d/g", O_RDONLY));
    must(task.unlink("/d/g"));
    put(task, "/d/g", "x");
    expect(of("/d/g")[0]).not.toBe(before[1]?.[0]);
    expect(of("/d/g")[1]).toBe(before[1]?.[1]);
  });

  test("two names of a lower file stay one over copy-up, and are two files in the next mount", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { h1: "old" });
    must(lab.task.link(`${low}/h1`, `${low}/h2`));
    const upper = lab.branch("up");
    const mount = (): string => String(lab.tryMount(`br:${upper}=rw:${low}=ro+wh,dirperm1`));
    const path = mount();
    put(lab.task, `${path}/h1`, "new");
    expect([read(lab.task, `${path}/h2`), must(lab.task.stat(`${path}/h2`)).nlink]).toEqual(["new", 2]);
    expect(lab.rows(upper)).toEqual(["/h1 file", "/h2 file"]);
    must(lab.task.unlink(`${upper}/h2`));
    expect(code(lab.host.unmount(path))).toBe("ok");
    const again = mount();
    expect([read(lab.task, `${again}/h1`), read(lab.task, `${again}/h2`)]).toEqual(["new", "old"]);
  });

  test("C11: all of a file is data to SEEK_DATA, flags of chattr are ENOTTY, and a file without a name has its folder copied up", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { "d/": "", f: "" })]);
    must(task.truncate("/f", 100_000));
    const fd = must(task.open("/f", O_RDONLY));
    expect([task.lseek(fd, 10, SEEK_DATA), task.lseek(fd, 10, SEEK_HOLE)]).toEqual([10, 100_000]);
    expect(code(task.getFlags(fd))).toBe("ENOTTY");
    const nameless = must(task.open("/d", 0o20200000 | O_RDWR, 0o600));
    expect(must(task.fstat(nameless)).nlink).toBe(0);
    expect(lab.rows(upper)).toContain("/d dir");
  });
});
