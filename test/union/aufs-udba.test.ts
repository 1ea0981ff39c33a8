/**
 * aufs: changes made on a branch beside the mount, by option udba (fs/aufs/dentry.c, h_d_revalidate; hnotify.c; vdir.c, read_vdir; aufs 6.x [S];
 * aufs(5), "User's Direct Branch Access").
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { nanoseconds } from "../../sim/core/units.ts";
import { O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { AufsLab, code, list, must, put, read } from "./aufs-lab.ts";

const SECOND = 1_000_000_000;

/** A lab with a mount of a writable branch over one that is only read, and everything in it looked at once. */
function opened(
  udba: string,
  files: Readonly<Record<string, string>> = {},
): ReturnType<AufsLab["over"]> & { lab: AufsLab; ro: string } {
  const lab = new AufsLab();
  const ro = lab.branch("ro", { f: "low", "d/": "", "d/g": "g", ...files });
  return { lab, ro, ...lab.over([ro], `,udba=${udba}`) };
}

function sorted(task: Task, path: string): string[] {
  return (list(task, path) as string[]).sort();
}

describe("none: a name stays what it was found to be", () => {
  test("what is removed on a branch is still there, with its data, and what is made at a name known to be absent is not", () => {
    const { lab, ro, upper, task, fs } = opened("none");
    put(task, "/own", "own");
    expect([read(task, "/f"), read(task, "/own"), code(task.stat("/absent"))]).toEqual(["low", "own", "ENOENT"]);
    must(lab.task.unlink(`${ro}/f`));
    must(lab.task.unlink(`${upper}/own`));
    put(lab.task, `${upper}/absent`, "now");
    expect([read(task, "/f"), read(task, "/own"), code(task.stat("/absent"))]).toEqual(["low", "own", "ENOENT"]);
    fs.check();
  });

  test("a name that was not met is looked for on the branches as they are", () => {
    const { lab, ro, task } = opened("none");
    put(lab.task, `${ro}/new`, "new");
    expect(read(task, "/new")).toBe("new");
  });
});

describe("reval: a known name is believed while its branches still have it", () => {
  test.each(["ro", "rw0"])("what is removed, renamed or replaced on branch %s is seen by the next walk", (branch) => {
    const { lab, task, fs } = opened("reval");
    for (const name of ["gone", "moved", "other"]) put(lab.task, `/b/${branch}/${name}`, name);
    expect(["/gone", "/moved", "/other"].map((path) => read(task, path))).toEqual(["gone", "moved", "other"]);
    must(lab.task.unlink(`/b/${branch}/gone`));
    must(lab.task.rename(`/b/${branch}/moved`, `/b/${branch}/here`));
    put(lab.task, `/b/${branch}/passing`, "changed");
    must(lab.task.rename(`/b/${branch}/passing`, `/b/${branch}/other`));
    expect(["/gone", "/moved", "/here", "/other"].map((path) => read(task, path))).toEqual([
      "ENOENT",
      "ENOENT",
      "moved",
      "changed",
    ]);
    fs.check();
  });

  test("what is written on a branch is seen at once, by stat and by read", () => {
    const { lab, ro, task } = opened("reval");
    expect(must(task.stat("/f")).size).toBe(3);
    put(lab.task, `${ro}/f`, "longer");
    must(lab.task.chmod(`${ro}/f`, 0o600));
    expect([read(task, "/f"), must(task.stat("/f")).size, must(task.stat("/f")).mode & 0o777]).toEqual(["longer", 6, 0o600]);
  });

  test("a file that uncovers one below shows it", () => {
    const { lab, upper, task } = opened("reval");
    put(lab.task, `${upper}/f`, "high");
    expect(read(task, "/f")).toBe("high");
    must(lab.task.unlink(`${upper}/f`));
    expect(read(task, "/f")).toBe("low");
  });

  test("a name known to be absent is found when it comes on the branch where its directory begins, not on one below", () => {
    const { lab, ro, upper, task } = opened("reval");
    expect([code(task.stat("/high")), code(task.stat("/low"))]).toEqual(["ENOENT", "ENOENT"]);
    put(lab.task, `${upper}/high`, "high");
    put(lab.task, `${ro}/low`, "low");
    expect([read(task, "/high"), code(task.stat("/low"))]).toEqual(["high", "ENOENT"]);
  });

  test("in a directory of the lower branch alone it is looked for there", () => {
    const { lab, ro, task } = opened("reval");
    expect(code(task.stat("/d/new"))).toBe("ENOENT");
    put(lab.task, `${ro}/d/new`, "new");
    expect(read(task, "/d/new")).toBe("new");
  });

  test("what comes above a known name, and a whiteout of it, are not seen; a copy-up that meets it is EIO", () => {
    const { lab, upper, task, fs } = opened("reval", { kept: "kept" });
    expect([read(task, "/f"), read(task, "/kept"), code(task.stat("/d"))]).toEqual(["low", "kept", "ok"]);
    put(lab.task, `${upper}/f`, "high");
    put(lab.task, `${upper}/.wh.kept`, "");
    must(lab.task.mkdir(`${upper}/d`, 0o755));
    expect([read(task, "/f"), read(task, "/kept")]).toEqual(["low", "kept"]);
    const fd = must(task.open("/f", O_RDWR));
    expect([code(task.write(fd, Content.text("x"))), code(task.mkdir("/d/in", 0o755))]).toEqual(["EIO", "EIO"]);
    fs.check();
  });

  test("a name that the mount itself took away is looked for anew", () => {
    const { lab, ro, task } = opened("reval");
    put(task, "/own", "own");
    must(task.unlink("/own"));
    put(lab.task, `${ro}/own`, "low");
    expect(read(task, "/own")).toBe("low");
  });

  test("a directory that is removed on a branch goes with all that was known in it", () => {
    const { lab, ro, task, fs } = opened("reval");
    expect(read(task, "/d/g")).toBe("g");
    must(lab.task.unlink(`${ro}/d/g`));
    must(lab.task.rmdir(`${ro}/d`));
    expect([code(task.stat("/d/g")), code(task.stat("/d"))]).toEqual(["ENOENT", "ENOENT"]);
    must(task.mkdir("/d", 0o700));
    expect([code(task.stat("/d/g")), must(task.stat("/d")).mode & 0o777]).toEqual(["ENOENT", 0o700]);
    fs.check();
  });

  test("a file and a folder in use outlive their removal on the branch, and are freed there afterwards", () => {
    const { lab, ro, task, fs } = opened("reval");
    const inodes = (): number => must(lab.task.statfs(ro)).filesFree;
    const before = inodes();
    put(lab.task, `${ro}/held`, "held");
    must(lab.task.mkdir(`${ro}/in`, 0o755));
    const fd = must(task.open("/held", O_RDONLY));
    must(task.chdir("/in"));
    must(lab.task.unlink(`${ro}/held`));
    must(lab.task.rmdir(`${ro}/in`));
    expect([code(task.stat("/held")), code(task.stat("/in"))]).toEqual(["ENOENT", "ENOENT"]);
    expect([must(task.read(fd, 9)).toText(), must(task.fstat(fd)).size, code(task.stat("x"))]).toEqual(["held", 4, "ENOENT"]);
    must(task.close(fd));
    must(task.chdir("/"));
    expect(inodes()).toBe(before);
    fs.check();
  });
});

describe("notify: directories are watched on their branches", () => {
  test("what comes above or below a known name, and whiteouts that come and go, are seen", () => {
    const { lab, ro, upper, task, fs } = opened("notify", { kept: "kept" });
    expect([read(task, "/f"), read(task, "/kept"), code(task.stat("/low"))]).toEqual(["low", "kept", "ENOENT"]);
    put(lab.task, `${upper}/f`, "high");
    put(lab.task, `${upper}/.wh.kept`, "");
    put(lab.task, `${ro}/low`, "low");
    expect([read(task, "/f"), code(task.stat("/kept")), read(task, "/low")]).toEqual(["high", "ENOENT", "low"]);
    must(lab.task.unlink(`${upper}/.wh.kept`));
    must(lab.task.rename(`${ro}/low`, `${ro}/d/low`));
    expect([read(task, "/kept"), code(task.stat("/low")), read(task, "/d/low")]).toEqual(["kept", "ENOENT", "low"]);
    fs.check();
  });

  test("a directory that comes above is merged, and a new name goes there", () => {
    const { lab, upper, task, fs } = opened("notify");
    expect(read(task, "/d/g")).toBe("g");
    must(lab.task.mkdir(`${upper}/d`, 0o755));
    put(lab.task, `${upper}/d/h`, "h");
    expect([read(task, "/d/h"), read(task, "/d/g")]).toEqual(["h", "g"]);
    put(task, "/d/new", "new");
    expect(read(lab.task, `${upper}/d/new`)).toBe("new");
    put(lab.task, `${upper}/d/g`, "high");
    expect(read(task, "/d/g")).toBe("high");
    fs.check();
  });

  test("a mark of an opaque directory is no change of a name", () => {
    const { lab, upper, task } = opened("notify");
    must(lab.task.mkdir(`${upper}/d`, 0o755));
    expect(read(task, "/d/g")).toBe("g");
    put(lab.task, `${upper}/d/.wh..wh..opq`, "");
    expect(read(task, "/d/g")).toBe("g");
  });

  test("what the mount does itself is no news to it, and nobody listens when it has ended", () => {
    const lab = new AufsLab();
    const ro = lab.branch("ro", { "d/": "" });
    const path = lab.tryMount(`br:${lab.branch("rw")}=rw:${ro}=ro+wh,udba=notify`) as string;
    put(lab.task, `${path}/d/own`, "own");
    must(lab.task.rename(`${path}/d/own`, `${path}/own`));
    expect([read(lab.task, `${path}/own`), list(lab.task, `${path}/d`)]).toEqual(["own", []]);
    expect(lab.host.vfs.watches).toBeDefined();
    expect(lab.host.unmount(path)).toBeUndefined();
    expect(lab.host.vfs.watches).toBeUndefined();
  });
});

describe("listings", () => {
  test.each([
    ["", 10],
    [",rdcache=3", 3],
  ])("reval%s: one that is not older than %i s is given again, unless the mount has changed the directory", (more, seconds) => {
    const { lab, ro, task } = opened(`reval${more}`);
    expect(list(task, "/d")).toEqual(["g"]);
    put(lab.task, `${ro}/d/new`, "");
    lab.host.clock.advance(nanoseconds(seconds * SECOND));
    expect(list(task, "/d")).toEqual(["g"]);
    lab.host.clock.advance(nanoseconds(1));
    expect(sorted(task, "/d")).toEqual(["g", "new"]);
    put(lab.task, `${ro}/d/newer`, "");
    expect(sorted(task, "/d")).toEqual(["g", "new"]);
    must(task.mkdir("/d/own", 0o755));
    expect(sorted(task, "/d")).toEqual(["g", "new", "newer", "own"]);
  });

  test("notify: it is read again when a branch has changed", () => {
    const { lab, ro, task } = opened("notify");
    expect(list(task, "/d")).toEqual(["g"]);
    put(lab.task, `${ro}/d/new`, "");
    expect(sorted(task, "/d")).toEqual(["g", "new"]);
  });
});

test("a remount changes how changes are seen from then on", () => {
  const { lab, ro, path, task, fs } = opened("none");
  put(lab.task, `${ro}/late`, "late");
  expect([read(task, "/late"), code(task.stat("/absent"))]).toEqual(["late", "ENOENT"]);
  must(lab.task.unlink(`${ro}/late`));
  put(lab.task, `${ro}/absent`, "");
  expect(code(task.stat("/late"))).toBe("ok");
  expect(lab.host.remount(path, "udba=notify")).toBeUndefined();
  expect([code(task.stat("/late")), code(task.stat("/absent"))]).toEqual(["ENOENT", "ok"]);
  must(lab.task.unlink(`${ro}/absent`));
  expect(code(task.stat("/absent"))).toBe("ENOENT");
  fs.check();
});

test("a mount of branches that are only read is read-only whatever is named", () => {
  const lab = new AufsLab();
  const { task } = lab.enter(`br:${lab.branch("a", { f: "a" })}=ro,udba=reval`);
  expect([code(task.chmod("/f", 0o600)), code(task.mkdir("/d", 0o755)), code(task.unlink("/f"))]).toEqual([
    "EROFS",
    "EROFS",
    "EROFS",
  ]);
});

test("without the word the branches below are one merged view, as Docker's are", () => {
  const lab = new AufsLab();
  const ro = lab.branch("ro", { f: "low" });
  expect(lab.over([ro]).fs.aufs.lower).toBeDefined();
  expect(lab.over([ro], ",udba=reval").fs.aufs.lower).toBeUndefined();
});
