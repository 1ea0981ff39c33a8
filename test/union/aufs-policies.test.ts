/** aufs over several writable branches: which of them gets new files and copies (spec/union.md part B, sections 10, 13 to 15). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { O_RDWR, RENAME_EXCHANGE } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { Branches } from "./aufs-branches-lab.ts";
import { code, list, must, put, read } from "./aufs-lab.ts";

describe("10, 14: create policies", () => {
  test("tdp takes the topmost branch that has the folder, and the nearest writable one above a read-only one", () => {
    const lab = new Branches();
    const [a, b, c] = [lab.branch("a"), lab.branch("b", { "d/": "" }), lab.branch("c", { "d/": "", "low/": "" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=ro+wh:${c}=rw`);
    expect(lab.placed(task, "", ["f"])).toEqual(["a"]);
    expect(lab.placed(task, "/low", ["f"])).toEqual(["c"]);
    expect(lab.placed(task, "/d", ["f"])).toEqual(["a"]);
    expect(lab.rows(a)).toEqual(["/d dir", "/d/f file", "/f file"]);
    fs.check();
  });

  test("tdp does not go below an opaque folder above", () => {
    const lab = new Branches();
    const a = lab.branch("a", { "p/": "", "p/.wh..wh..opq": "" });
    const b = lab.branch("b", { "p/": "", "p/d/": "" });
    const { task } = lab.enter(`br:${a}=rw:${b}=rw`);
    expect(list(task, "/p")).toEqual([]);
    must(task.mkdir("/p/d"));
    expect(lab.placed(task, "/p/d", ["f"])).toEqual(["a"]);
  });

  test("rr takes the writable branches in turn, the lowest first; folders go where the next file would", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a"), lab.branch("b")];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw:${lab.branch("low")}=ro,create=rr`);
    expect(lab.placed(task, "", ["1", "2", "3", "4"])).toEqual(["a", "b", "a", "b"]);
    for (const name of ["d", "e", "g"]) must(task.mkdir(`/${name}`));
    expect(["d", "e", "g"].map((name) => lab.having(`/${name}`).join())).toEqual(["a", "a", "a"]);
    // In a folder that only one branch has, the other gets a copy of the folder.
    expect(lab.placed(task, "/d", ["1", "2"]).sort()).toEqual(["a", "b"]);
    expect(lab.having("/d")).toEqual(["a", "b"]);
    fs.check();
  });

  test.each(["rr", "mfs", "pmfs"])(
    "under %s nothing is made below an opaque folder above, be it the folder's own or one further up",
    (policy) => {
      const lab = new Branches();
      const a = lab.branch("a", { "g/": "", "g/p/": "", "g/p/.wh..wh..opq": "", "g/p/d/": "" });
      const b = lab.branch("b", { "g/": "", "g/.wh..wh..opq": "" });
      const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw:${lab.sized("c", 4000)}=rw,create=${policy}`);
      expect(lab.placed(task, "/g/p/d", ["1", "2", "3"])).toEqual(["a", "a", "a"]);
      expect(lab.placed(task, "/g", ["1", "2", "3"])).not.toContain("c");
      fs.check();
    },
  );

  test("under rr with two branches the lower one is first", () => {
    const lab = new Branches();
    const { task } = lab.enter(`br:${lab.branch("a")}=rw:${lab.branch("b")}=rw,create=round-robin`);
    expect(lab.placed(task, "", ["1", "2", "3"])).toEqual(["b", "a", "b"]);
  });

  test("a folder that comes down to a lower branch has the mode and owner of the one above", () => {
    const lab = new Branches();
    const a = lab.branch("a", { "d/": "" });
    must(lab.task.chmod(`${a}/d`, 0o751));
    must(lab.task.chown(`${a}/d`, 7, 8));
    const { task } = lab.enter(`br:${a}=rw:${lab.branch("b")}=rw,create=rr`);
    expect(lab.placed(task, "/d", ["1"])).toEqual(["b"]);
    expect(must(lab.task.stat("/b/b/d"))).toMatchObject({ mode: 0o040751, uid: 7, gid: 8 });
    expect(must(task.stat("/d")).nlink).toBe(2);
  });

  test("mfs takes the branch with most free space, of equal ones the lower, and looks again when its seconds are over", () => {
    const lab = new Branches();
    const [a, b] = [lab.sized("a", 400), lab.sized("b", 800)];
    const { task } = lab.enter(`br:${a}=rw:${b}=rw,create=mfs:10`);
    put(task, "/big", "x".repeat(600_000));
    expect(lab.having("/big")).toEqual(["b"]);
    // Until the ten seconds are over, b is still the one.
    expect(lab.placed(task, "", ["1"])).toEqual(["b"]);
    lab.host.clock.advance(11_000_000_000 as never);
    expect(lab.placed(task, "", ["2"])).toEqual(["a"]);
    const equal = new Branches();
    const mounted = equal.enter(`br:${equal.sized("a", 400)}=rw:${equal.sized("b", 400)}=rw,create=most-free-space`);
    expect(equal.placed(mounted.task, "", ["1"])).toEqual(["b"]);
  });

  test("mfsrr is mfs while the fullest branch has as much as the limit, and rr below it", () => {
    for (const [limit, expected] of [
      ["100000", ["b", "b", "b"]],
      ["9000000", ["b", "a", "b"]],
    ] as const) {
      const lab = new Branches();
      const { task } = lab.enter(`br:${lab.sized("a", 400)}=rw:${lab.sized("b", 800)}=rw,create=mfsrr:${limit}`);
      expect(lab.placed(task, "", ["1", "2", "3"])).toEqual(expected);
    }
  });

  test("tdmfs takes the topmost branch above the limit, and the one with most space where none is", () => {
    const lab = new Branches();
    const [a, b, c] = [lab.sized("a", 200), lab.sized("b", 400), lab.sized("c", 800)];
    const { task } = lab.enter(`br:${a}=rw:${b}=rw:${c}=rw,create=tdmfs:300000`);
    expect(lab.placed(task, "", ["1"])).toEqual(["b"]);
    const none = lab.enter(
      `br:${lab.sized("e", 200)}=rw:${lab.sized("f", 400)}=rw:${lab.sized("g", 300)}=rw,create=tdmfs:900000`,
    );
    expect(lab.placed(none.task, "", ["2"])).toEqual(["f"]);
  });

  test("pmfs takes the branch with most space among those that have the folder; pmfsrr any, where those have too little", () => {
    const lab = new Branches();
    const mount = (create: string, tag: string): Task => {
      const [a, b, c] = [
        lab.sized(`a${tag}`, 200, { "d/": "" }),
        lab.sized(`b${tag}`, 400, { "d/": "" }),
        lab.sized(`c${tag}`, 800),
      ];
      return lab.enter(`br:${a}=rw:${b}=rw:${c}=rw,create=${create}`).task;
    };
    expect(lab.placed(mount("pmfs", "1"), "/d", ["f1"])).toEqual(["b1"]);
    expect(lab.placed(mount("pmfsrr:1000", "2"), "/d", ["f2"])).toEqual(["b2"]);
    // Under the limit it is the one with most space, whether it has the folder or not.
    expect(lab.placed(mount("pmfsrr:700000", "3"), "/d", ["f3"])).toEqual(["c3"]);
  });

  test("a whiteout or an opaque folder above what a policy says takes the name to its branch, or to a writable one above it", () => {
    const lab = new Branches();
    const [rw1, rw2] = [lab.branch("rw1", { ".wh.t": "", "d/": "", "d/.wh..wh..opq": "" }), lab.branch("rw2", { t: "old" })];
    const first = lab.enter(`br:${rw1}=rw:${rw2}=rw,create=rr`);
    put(first.task, "/t", "new");
    expect(read(lab.task, "/b/rw1/t")).toBe("new");
    expect(lab.placed(first.task, "/d", ["1", "2"])).toEqual(["rw1", "rw1"]);
    first.fs.check();
    const middle = lab.branch("middle", { ".wh.t": "", "d/": "", "d/.wh..wh..opq": "" });
    const second = lab.enter(`br:${lab.branch("rw3")}=rw:${middle}=ro+wh:${lab.branch("rw4", { t: "old" })}=rw,create=rr`);
    put(second.task, "/t", "new");
    expect([read(lab.task, "/b/rw3/t"), read(second.task, "/t")]).toEqual(["new", "new"]);
    expect(lab.placed(second.task, "/d", ["3", "4"])).toEqual(["rw3", "rw3"]);
    second.fs.check();
  });

  test("a policy that is not known, or has too few or too many numbers, or more than an hour, is EINVAL", () => {
    const lab = new Branches();
    const rw = lab.branch("rw");
    for (const word of [
      "create=best",
      "create=rr:1",
      "create=mfsrr",
      "create=mfs:1:2",
      "create=mfs:3601",
      "create=mfs:x",
      "cpup=top",
    ]) {
      expect(lab.tryMount(`br:${rw}=rw,${word}`), word).toMatchObject({ errno: { code: "EINVAL" } });
    }
  });
});

describe("13, 14: copy-up policies", () => {
  /** Three writable branches above a file; the folder is in all but the second. */
  function copied(policy: string): string[] {
    const lab = new Branches();
    const folder = { "d/": "" };
    const [a, b, c] = [lab.branch("a", folder), lab.branch("b"), lab.branch("c")];
    const low = lab.branch("low", { ...folder, "d/f": "x" });
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw:${c}=rw:${low}=ro+wh,cpup=${policy}`);
    must(task.chmod("/d/f", 0o600));
    fs.check();
    return lab.having("/d/f").filter((name) => name !== "low");
  }

  test("tdp copies to the topmost branch that has the folder, bup to the nearest that has it, bu to the nearest", () => {
    expect([copied("tdp"), copied("bup"), copied("bu")]).toEqual([["a"], ["a"], ["c"]]);
    expect([copied("top-down-parent"), copied("bottom-up-parent"), copied("bottom-up")]).toEqual([["a"], ["a"], ["c"]]);
  });

  test("bup takes the nearest of several branches with the folder, and one above them where none of them is writable", () => {
    const lab = new Branches();
    const folder = { "d/": "" };
    const [a, b] = [lab.branch("a", folder), lab.branch("b", folder)];
    const low = lab.branch("low", { ...folder, "d/f": "x" });
    must(lab.enter(`br:${a}=rw:${b}=rw:${low}=ro+wh,cpup=bup`).task.chmod("/d/f", 0o600));
    expect(lab.having("/d/f")).toEqual(["b", "low"]);
    const only = lab.branch("only", { "e/": "", "e/g": "x" });
    must(lab.enter(`br:${lab.branch("r1")}=rw:${lab.branch("r2")}=rw:${only}=ro+wh,cpup=bup`).task.chmod("/e/g", 0o600));
    expect(lab.having("/e/g")).toEqual(["only", "r2"]);
  });

  test("what is on a writable branch is changed where it is; what is below the last writable one cannot go further down", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a"), lab.branch("b", { f: "x" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw`);
    put(task, "/f", "changed");
    must(task.setxattr("/f", "user.a", new Uint8Array(1)));
    expect([lab.having("/f"), read(lab.task, "/b/b/f"), fs.counters.copyUps]).toEqual([["b"], "changed", 0]);
    const low = lab.enter(`br:${lab.branch("top", { f: "ro" })}=ro:${b}=rw`);
    expect([task, low.task].map((one) => read(one, "/f"))).toEqual(["changed", "ro"]);
    expect([low.task.chmod("/f", 0o600), low.task.unlink("/f"), low.task.mkdir("/n")].map(code)).toEqual([
      "EROFS",
      "EROFS",
      "EROFS",
    ]);
  });

  test("a read-only branch between two writable ones is copied up from, to the one above", () => {
    const lab = new Branches();
    const [a, m, c] = [lab.branch("a"), lab.branch("m", { "d/": "", "d/f": "middle" }), lab.branch("c", { "d/": "" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${m}=ro+wh:${c}=rw`);
    const fd = must(task.open("/d/f", O_RDWR));
    must(task.pwrite(fd, Content.text("M"), 0));
    expect([lab.having("/d/f"), read(lab.task, "/b/a/d/f"), read(lab.task, "/b/m/d/f")]).toEqual([
      ["a", "m"],
      "Middle",
      "middle",
    ]);
    must(task.unlink("/d/f"));
    expect([lab.rows(a), must(task.pread(fd, 9, 0)).toText()]).toEqual([["/d dir", "/d/f whiteout"], "Middle"]);
    fs.check();
  });

  test("names of one file on a read-only upper branch stay one file when it is copied up", () => {
    const lab = new Branches();
    const m = lab.branch("m", { h: "old" });
    must(lab.task.link(`${m}/h`, `${m}/h2`));
    const { task, fs } = lab.enter(`br:${lab.branch("a")}=rw:${m}=ro+wh:${lab.branch("c")}=rw`);
    put(task, "/h", "new");
    expect([read(task, "/h2"), must(task.stat("/h2")).nlink, must(task.stat("/h")).nlink]).toEqual(["new", 2, 2]);
    fs.check();
    must(task.chmod("/h2", 0o600));
    expect(must(lab.task.stat("/b/a/h2")).inodeNumber).toBe(must(lab.task.stat("/b/a/h")).inodeNumber);
    must(task.unlink("/h"));
    must(task.unlink("/h2"));
    expect(list(task, "/")).toEqual([]);
    fs.check();
  });
});

describe("14, 15: names on several writable branches", () => {
  test("what is removed from a lower writable branch is taken away there, with a whiteout only where something lies below it", () => {
    const lab = new Branches();
    const [a, b, low] = [lab.branch("a"), lab.branch("b", { f: "", g: "", "d/": "" }), lab.branch("low", { g: "" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw:${low}=ro+wh`);
    must(task.unlink("/f"));
    must(task.unlink("/g"));
    must(task.rmdir("/d"));
    expect([lab.rows(a), lab.rows(b), list(task, "/")]).toEqual([[], ["/g whiteout"], []]);
    // A name that is made above a lower branch's whiteout leaves it alone, and is plain.
    must(task.mkdir("/g"));
    expect([lab.rows(a), lab.rows(b)]).toEqual([["/g dir"], ["/g whiteout"]]);
    must(task.rmdir("/g"));
    expect([lab.rows(a), lab.rows(b), read(task, "/g")]).toEqual([[], ["/g whiteout"], "ENOENT"]);
    fs.check();
  });

  test("a folder on two writable branches is one: its entries merge, its links add up, and removing it whites the lower one out", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a", { "d/": "", "d/x/": "" }), lab.branch("b", { "d/": "", "d/y/": "", "d/z/": "" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw`);
    expect([(list(task, "/d") as string[]).sort(), must(task.stat("/d")).nlink]).toEqual([["x", "y", "z"], 5]);
    expect(code(task.rmdir("/d"))).toBe("ENOTEMPTY");
    for (const name of ["x", "y", "z"]) must(task.rmdir(`/d/${name}`));
    must(task.rmdir("/d"));
    expect([lab.rows(a), lab.rows(b), list(task, "/")]).toEqual([["/d whiteout"], ["/d dir"], []]);
    must(task.mkdir("/d"));
    expect(lab.rows(a)).toEqual(["/d dir opaque"]);
    fs.check();
  });

  test("link and rename stay on the source's branch; a target on a branch above takes the rename there", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a", { t: "target" }), lab.branch("b", { f: "1", g: "2" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw,create=rr`);
    must(task.link("/f", "/f2"));
    must(task.rename("/f", "/f3"));
    expect([lab.having("/f2"), lab.having("/f3"), must(task.stat("/f3")).nlink]).toEqual([["b"], ["b"], 2]);
    must(task.rename("/g", "/t"));
    expect([lab.rows(a), lab.having("/g"), read(task, "/t")]).toEqual([["/g whiteout", "/t file"], ["b"], "2"]);
    fs.check();
  });

  test("a link or a rename that its branch would hide goes to the branch of what hides it", () => {
    const lab = new Branches();
    const a = lab.branch("a", { ".wh.n": "", "o/": "", "o/.wh..wh..opq": "" });
    const { task, fs } = lab.enter(`br:${a}=rw:${lab.branch("b", { f: "1", g: "2" })}=rw`);
    must(task.link("/f", "/n"));
    must(task.rename("/g", "/o/g"));
    expect([lab.having("/n"), lab.having("/o/g"), read(task, "/n"), read(task, "/o/g")]).toEqual([["a"], ["a"], "1", "2"]);
    expect([must(task.stat("/f")).nlink, list(task, "/")]).toEqual([2, ["n", "o", "f"]]);
    fs.check();
  });

  test("15 c: of a folder on two writable branches every name below must be whited out; of one on a lower branch alone nothing is asked", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a", { "m/": "" }), lab.branch("b", { "m/": "", "m/f": "", "own/": "", "own/f": "" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw`);
    expect(code(task.rename("/m", "/n"))).toBe("EXDEV");
    must(task.rename("/own", "/moved"));
    expect([lab.having("/moved/f"), list(task, "/moved")]).toEqual([["b"], ["f"]]);
    must(task.unlink("/m/f"));
    must(task.rename("/m", "/n"));
    expect([list(task, "/"), lab.having("/n"), lab.having("/.wh.m")]).toEqual([["n", "moved"], ["a"], ["a"]]);
    fs.check();
  });

  test("C7: an exchange brings both ends to the source's branch", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a", { f: "upper" }), lab.branch("b", { g: "lower" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw`);
    must(task.rename("/f", "/g", RENAME_EXCHANGE));
    expect([read(task, "/f"), read(task, "/g"), lab.having("/f"), lab.having("/g")]).toEqual([
      "lower",
      "upper",
      ["a"],
      ["a", "b"],
    ]);
    fs.check();
  });

  test("without dirperm1 and with it: who may not search the next branch's folder may not remove what the first has (12, P)", async () => {
    const { credentialsOf } = await import("../../sim/vfs/credentials.ts");
    const lab = new Branches();
    const [a, b] = [lab.branch("a", { "d/": "" }), lab.branch("b", { "d/": "" })];
    must(lab.task.chmod(`${a}/d`, 0o777));
    must(lab.task.chmod(`${b}/d`, 0o700));
    const asked = (more: string): string[] => {
      const user = lab.enter(`br:${a}=rw:${b}=rw${more}`).task.withCredentials(credentialsOf(1000, 1000));
      return [user.readdir("/d"), user.mkdir(`/d/n${more}`), user.rmdir(`/d/n${more}`)].map(code);
    };
    expect([asked(""), asked(",dirperm1")]).toEqual([
      ["EACCES", "EACCES", "EACCES"],
      ["ok", "ok", "EACCES"],
    ]);
  });
});

test("wbr_policy.c, au_cpdown_dir: where something else has a folder's name on the branch that a new name goes to, it is EIO", () => {
  const lab = new Branches();
  const branches = [lab.sized("a", 400, { "d/": "" }), lab.sized("b", 800, { d: "file" })];
  const { task, fs } = lab.enter(`br:${branches.map((path) => `${path}=rw`).join(":")},create=mfs`);
  expect([code(task.mkdir("/d/new")), code(task.mkdir("/new")), lab.having("/new")]).toEqual(["EIO", "ok", ["b"]]);
  fs.check();
});
