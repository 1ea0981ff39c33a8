/**
 * Docker's own tests of its differ and its tars (moby pkg/archive), as spec/drivers.md §12.3 restates them, line by line.
 *
 * Where the other lines are: ChangesDirs of an equal copy and ChangesSize also in test/drivers/naive-diff.test.ts, the table of whiteouts
 * in unpack.test.ts, and bad names in many more spellings in test/images/hostile.ts.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { seconds } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { S_IFCHR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { exportChanges, exportTree } from "../../src/archive/export.ts";
import { ArchiveFault, type ReadMode } from "../../src/archive/fault.ts";
import * as tar from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { type LayerForm, unpackLayer } from "../../src/archive/unpack.ts";
import { copyTree } from "../../src/drivers/dir-copy.ts";
import type { Change } from "../../src/drivers/driver.ts";
import { changesSize, treeChanges } from "../../src/drivers/naive-diff.ts";
import { branchChanges } from "../../src/drivers/union-changes.ts";
import { mode, must, names, put, text } from "../drivers/docker-host.ts";
import { layerOf } from "../images/hostile-archive.ts";

let host: Host;

beforeEach(() => {
  host = createHost({ seed: 1 });
});

function folders(...paths: readonly string[]): void {
  for (const path of paths) must(host.task.mkdir(path, 0o755));
}

/** cp -a: everything of a file but its number. */
function copy(source: string, target: string): void {
  const how = { task: host.task, engine: "all" as const, counters: { treeCopyFiles: 0, treeCopyBytes: 0 } };
  must(copyTree(host, { source, target }, how));
}

function lines(changes: readonly Change[]): string[] {
  return changes.map(({ kind, path }) => `${kind} ${path}`);
}

function unpack(folder: string, content: ReturnType<typeof layerOf>, form: LayerForm, how: ReadMode): void {
  const task = must(host.task.chroot(folder));
  const size = unpackLayer(task, { entries: readTar(content, { mode: how }), mode: how }, form);
  task.exit();
  if (typeof size !== "number") throw new Error(size.message);
}

describe("Changes: what a branch says", () => {
  test("a full layer under an empty branch has no changes", () => {
    folders("/layer", "/layer/dir1", "/layer/dir1/subfolder", "/rw");
    for (const file of ["dir1/file1-1", "dir1/file1-2", "file"]) put(host, `/layer/${file}`, "x");
    expect(must(branchChanges(host.task, "/rw", ["/layer"]))).toEqual([]);
  });

  test("a changed file, a whiteout and a new file in a folder below: each once, and the folders C", () => {
    folders("/layer", "/layer/dir1", "/layer/dir1/subfolder");
    for (const file of ["file1-1", "file1-2"]) put(host, `/layer/dir1/${file}`, "x");
    host.clock.advance(seconds(2));
    folders("/rw", "/rw/dir1", "/rw/dir1/subfolder");
    put(host, "/rw/dir1/file1-1", "\0");
    put(host, "/rw/dir1/.wh.file1-2", "");
    put(host, "/rw/dir1/subfolder/newFile", "");
    expect(lines(must(branchChanges(host.task, "/rw", ["/layer"]))).sort()).toEqual(
      ["C /dir1", "C /dir1/file1-1", "D /dir1/file1-2", "C /dir1/subfolder", "A /dir1/subfolder/newFile"].sort(),
    );
  });

  test("folders that were copied with their times are told only for what is new in them (moby#13590)", () => {
    folders("/layer", "/layer/dir1", "/layer/dir1/dir2", "/layer/dir1/dir2/dir3");
    put(host, "/layer/dir1/dir2/dir3/file.txt", "hello");
    copy("/layer", "/rw");
    copy("/layer", "/other");
    host.clock.advance(seconds(2));
    must(host.task.unlink("/rw/dir1/dir2/dir3/file.txt"));
    put(host, "/rw/dir1/dir2/dir3/file1.txt", "hello");
    expect(lines(must(branchChanges(host.task, "/rw", ["/layer"])))).toEqual([
      "C /dir1/dir2/dir3",
      "A /dir1/dir2/dir3/file1.txt",
    ]);
    // A file that is written in place leaves its folder's time alone.
    put(host, "/other/dir1/dir2/dir3/file.txt", "bye");
    expect(lines(must(branchChanges(host.task, "/other", ["/layer"])))).toEqual(["C /dir1/dir2/dir3/file.txt"]);
  });
});

/** Files, folders and links as in Docker's sample. */
function sample(): void {
  folders("/old", ...["dir1", "dir2", "dir3", "dir4"].map((name) => `/old/${name}`));
  for (let number = 1; number <= 7; number++) put(host, `/old/file${number}`, `file${number}\n`);
  for (const name of ["dir1/file1-1", "dir1/file1-2", "dir2/file2-1", "dir2/file2-2", "dir3/file3-1", "dir3/file3-2"])
    put(host, `/old/${name}`, `${name}\n`);
  must(host.task.chmod("/old/file3", 0o404));
  for (let number = 1; number <= 4; number++) must(host.task.symlink(`target${number}`, `/old/symlink${number}`));
}

/** Changes a copy of the sample in every way. */
function mutate(): void {
  const { task } = host;
  must(task.unlink("/new/file1"));
  for (const name of names(host, "/new/dir1")) must(task.unlink(`/new/dir1/${name}`));
  must(task.rmdir("/new/dir1"));
  must(task.unlink("/new/symlink1"));
  put(host, "/new/file2", "fileNN\n");
  must(task.unlink("/new/file3"));
  put(host, "/new/file3", "fileM\n");
  must(task.chmod("/new/file3", 0o404));
  must(task.utimens("/new/file4", "NOW", "NOW"));
  must(task.unlink("/new/file5"));
  folders("/new/file5", "/new/dirnew");
  put(host, "/new/filenew", "filenew\n");
  must(task.symlink("targetnew", "/new/symlinknew"));
  must(task.unlink("/new/symlink2"));
  must(task.symlink("target2change", "/new/symlink2"));
  for (const name of names(host, "/new/dir2")) must(task.unlink(`/new/dir2/${name}`));
  must(task.rmdir("/new/dir2"));
  put(host, "/new/dir2", "dir2\n");
  must(task.utimens("/new/dir3", "NOW", "NOW"));
}

function treeDiff(before: string, after: string): Change[] {
  return must(treeChanges(host.task, before, after));
}

describe("ChangesDirs: two trees compared", () => {
  beforeEach(() => {
    sample();
    copy("/old", "/new");
    host.clock.advance(seconds(2));
  });

  test("an equal copy has no changes", () => {
    expect(treeDiff("/old", "/new")).toEqual([]);
  });

  test("a mutated copy is told by its changes alone, and not by the folder that was only touched", () => {
    mutate();
    const expected =
      "D dir1,C dir2,A dirnew,D file1,C file2,C file3,C file4,C file5,A filenew,D symlink1,C symlink2,A symlinknew";
    const told = treeDiff("/old", "/new").sort((one, other) => (one.path < other.path ? -1 : 1));
    expect(lines(told).join(",").replaceAll("/", "")).toBe(expected);
  });

  test.each(["strict", "docker"] as const)("ApplyLayer of them onto the original leaves no difference, mode %s", (how) => {
    mutate();
    const layer = exportChanges(host.task, "/new", treeDiff("/old", "/new"), host.clock.time());
    unpack("/old", layer, "merge", how);
    expect(treeDiff("/old", "/new")).toEqual([]);
    expect(treeDiff("/new", "/old")).toEqual([]);
  });
});

describe("ChangesSize", () => {
  beforeEach(() => folders("/new"));

  test("of no changes is 0, and of removals alone", () => {
    expect(changesSize(host.task, "/new", [])).toBe(0);
    expect(changesSize(host.task, "/new", [{ kind: "D", path: "/deletedPath" }])).toBe(0);
  });

  test("of two files of three bytes is 6", () => {
    put(host, "/new/file1", "one");
    put(host, "/new/file2", "two");
    const changes: Change[] = [
      { kind: "A", path: "/file1" },
      { kind: "C", path: "/file2" },
    ];
    expect(changesSize(host.task, "/new", changes)).toBe(6);
  });

  test("counts a file of two names once", () => {
    put(host, "/new/file1", "hello");
    must(host.task.link("/new/file1", "/new/file2"));
    const changes: Change[] = [
      { kind: "A", path: "/file1" },
      { kind: "A", path: "/file2" },
    ];
    expect(changesSize(host.task, "/new", changes)).toBe(5);
  });
});

test("HardLinkOrder: of three files with five links each the tar is the same whatever the order of the changes", () => {
  folders("/old");
  const files = ["file1.txt", "file2.txt", "file3.txt"];
  for (const file of files) put(host, `/old/${file}`, "hello");
  copy("/old", "/new");
  for (const file of files)
    for (let link = 0; link < 5; link++) must(host.task.link(`/new/${file}`, `/new/${file}.link-${link}`));
  const changes = treeDiff("/old", "/new");
  expect(changes).toHaveLength(15);
  const headers = (list: readonly Change[]): unknown[] =>
    [...readTar(exportChanges(host.task, "/new", list, host.clock.time()), { mode: "strict" })].map(({ header }) => [
      header.name,
      header.size,
      header.typeflag,
      header.linkname,
    ]);
  const forward = headers(changes);
  expect(headers([...changes].reverse())).toEqual(forward);
  expect(forward.slice(0, 2)).toEqual([
    ["file1.txt.link-0", 5, tar.REGULAR, ""],
    ["file1.txt.link-1", 0, tar.LINK, "file1.txt.link-0"],
  ]);
});

describe("a folder of overlay's changes", () => {
  const opaque = (path: string): string | undefined => {
    const value = host.task.lgetxattr(path, "trusted.overlay.opaque");
    return "code" in value ? undefined : String.fromCharCode(...value);
  };

  beforeEach(() => {
    folders("/src", "/src/d1", "/src/d2", "/src/d3", "/dst");
    for (const [folder, bits] of [
      ["d1", 0o700],
      ["d2", 0o750],
      ["d3", 0o700],
    ] as const)
      must(host.task.chmod(`/src/${folder}`, bits));
    for (const folder of ["d1", "d2"]) {
      put(host, `/src/${folder}/f1`, "x");
      must(host.task.setxattr(`/src/${folder}`, "trusted.overlay.opaque", Uint8Array.of(0x79)));
    }
    must(host.task.mknod("/src/d3/f1", S_IFCHR, 0));
  });

  test("is the same after its tar was unpacked in overlay's form", () => {
    unpack("/dst", exportTree(host.task, "/src", "overlay"), "overlay", "strict");
    expect(["d1", "d2", "d3"].map((folder) => mode(host, `/dst/${folder}`))).toEqual([0o700, 0o750, 0o700]);
    expect(["d1", "d2", "d3"].map((folder) => opaque(`/dst/${folder}`))).toEqual(["y", "y", undefined]);
    const whiteout = must(host.task.lstat("/dst/d3/f1"));
    expect([whiteout.mode & S_IFMT, whiteout.rdev]).toEqual([S_IFCHR, 0]);
    expect(names(host, "/dst/d1")).toEqual(["f1"]);
  });

  test("becomes AUFS's files where its tar is unpacked in AUFS's form", () => {
    unpack("/dst", exportTree(host.task, "/src", "overlay"), "aufs", "strict");
    const files = ["d1/.wh..wh..opq", "d2/.wh..wh..opq", "d3/.wh.f1"];
    expect(files.map((file) => mode(host, `/dst/${file}`))).toEqual([0o700, 0o750, 0o600]);
    expect(opaque("/dst/d1")).toBe(undefined);
  });
});

const LINKS = [
  [{ name: "dotdot", linkname: "../victim/hello" }],
  [{ name: "slash-dotdot", linkname: "/../victim/hello" }],
  [
    { name: "loophole", linkname: "../victim" },
    { name: "loophole/file", body: "x" },
  ],
  [
    { name: "loophole", linkname: "../victim" },
    { name: "through", typeflag: tar.SYMLINK, linkname: "loophole/hello" },
    { name: "through", body: "x" },
  ],
  [
    { name: "loophole", linkname: "../victim/hello" },
    { name: "hard", typeflag: tar.LINK, linkname: "loophole" },
    { name: "hard", body: "x" },
  ],
  [
    { name: "loophole", linkname: "../victim" },
    { name: "loophole/hello", body: "x" },
  ],
] as const;

describe("names and links that lead out", () => {
  let top: readonly string[] = [];

  beforeEach(() => {
    folders("/victim", "/dest");
    put(host, "/victim/hello", "hello");
    top = names(host, "/");
  });

  /** Unpacks, or is refused; then nothing beside the folder is other than it was. */
  function contained(entries: Parameters<typeof layerOf>[0], how: ReadMode, form: LayerForm): string | undefined {
    let code: string | undefined;
    try {
      unpack("/dest", layerOf(entries), form, how);
    } catch (error) {
      code = error instanceof ArchiveFault ? error.code : "failed";
    }
    expect(names(host, "/victim")).toEqual(["hello"]);
    expect(text(host, "/victim/hello")).toBe("hello");
    expect(must(host.task.lstat("/victim/hello")).nlink).toBe(1);
    expect(names(host, "/")).toEqual(top);
    return code;
  }

  const forms = ["merge", "overlay", "aufs"] as const;

  test.each(["../victim/dotdot", "/../victim/slash-dotdot"])("the name %s is refused, or held within", (name) => {
    for (const form of forms) {
      expect(contained([{ name, body: "x" }], "strict", form)).toBe("E_LAYER_ESCAPE");
      contained([{ name, body: "x" }], "docker", form);
    }
  });

  test.each([tar.LINK, tar.SYMLINK])("links of type %s in every of Docker's ways", (typeflag) => {
    for (const entries of LINKS)
      for (const form of forms) {
        const [first, ...rest] = entries;
        const all = [{ ...first, typeflag }, ...rest];
        const code = contained(all, "strict", form);
        if (typeflag === tar.LINK) expect(code).toBe("E_LAYER_ESCAPE");
        contained(all, "docker", form);
      }
  });
});
