/** What an overlay counts of its calls, and tells to those who listen; what it asks of the files and layers below. */
import { beforeEach, describe, expect, test } from "vitest";
import { ENOTSUP, EXDEV } from "../../sim/core/errno.ts";
import type { SimEvent } from "../../sim/core/events.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { OverlayFileSystem } from "../../sim/union/overlayfs/filesystem.ts";
import { O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, S_IFDIR, S_IFIFO, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { code, must, put } from "./aufs-lab.ts";

const LAYERS = "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low";
let host: Host;
let task: Task;
let fs: OverlayFileSystem;

function mount(options: string): void {
  expect(host.mount({ type: "overlay", source: "none", target: "/m", options })).toBeUndefined();
  task = must(host.task.chroot("/m"));
  const mounted = task.root.mount.fs;
  if (!(mounted instanceof OverlayFileSystem)) throw new Error("/m is no overlay");
  fs = mounted;
}

beforeEach(() => {
  host = createHost();
  host.task.umask = 0;
  for (const path of ["/b", "/m"]) must(host.task.mkdir(path, 0o755));
  expect(host.mount({ type: "tmpfs", source: "t", target: "/b", options: "" })).toBeUndefined();
  for (const path of ["up", "up/own", "work", "low", "low/d", "low/d/s"]) must(host.task.mkdir(`/b/${path}`, 0o755));
  put(host.task, "/b/low/f", "data");
  put(host.task, "/b/low/d/s/g", "more data");
  must(host.task.symlink("f", "/b/low/l"));
  must(host.task.mknod("/b/low/p", S_IFIFO | 0o644));
});

test("a copy-up is told with its path, what it is and how many bytes it copied, directories above it first", () => {
  mount(LAYERS);
  const told: SimEvent[] = [];
  const stop = host.events.subscribe(({ event }) => told.push(event));
  must(task.chmod("/d/s/g", 0o600));
  must(task.lchown("/l", 1, 1));
  must(task.chmod("/p", 0o600));
  must(task.truncate("/f", 2));
  stop();
  const copies = told.filter(({ op }) => op === "copyUp");
  const copyUp = { op: "copyUp", filesystem: fs.label };
  expect(copies).toEqual([
    { ...copyUp, path: "/d", kind: "directory", bytes: 0 },
    { ...copyUp, path: "/d/s", kind: "directory", bytes: 0 },
    { ...copyUp, path: "/d/s/g", kind: "file", bytes: 9 },
    { ...copyUp, path: "/l", kind: "symlink", bytes: 0 },
    { ...copyUp, path: "/p", kind: "special", bytes: 0 },
    { ...copyUp, path: "/f", kind: "file", bytes: 4 },
  ]);
  expect(fs.counters).toMatchObject({ copyUps: 6, upperCreates: 6, copiedBytes: 13, copiedPages: 2, clonedBytes: 0, fsyncs: 2 });
});

test("the copy of a copy's data counts once more, and as much as is kept of it", () => {
  mount(`${LAYERS},metacopy=on`);
  must(task.chmod("/f", 0o600));
  expect(fs.counters).toMatchObject({ copyUps: 1, copiedBytes: 0, copiedPages: 0 });
  put(task, "/f", "new");
  expect(fs.counters).toMatchObject({ copyUps: 2, copiedBytes: 0 });
  must(task.chmod("/d/s/g", 0o600));
  must(task.truncate("/d/s/g", 3));
  expect(fs.counters).toMatchObject({ copyUps: 6, copiedBytes: 9, copiedPages: 1 });
});

test("a lookup asks the upper layer, then each lower one until the name is found; in a directory of the upper layer alone nothing else", () => {
  must(host.task.mkdir("/b/low2", 0o755));
  put(host.task, "/b/low2/deep", "");
  mount(`${LAYERS}:/b/low2`);
  const asked = (path: string): number => {
    const before = fs.counters.layerLookups;
    task.lstat(path);
    return fs.counters.layerLookups - before;
  };
  expect(["/own", "/f", "/deep", "/none", "/own/none", "/own/none", "/d"].map(asked)).toEqual([3, 2, 3, 3, 1, 0, 3]);
  expect(fs.counters.lookups).toBe(6);
});

describe("fsync", () => {
  const synced = (path: string, flags: number): number => {
    const before = fs.counters.fsyncs;
    const fd = must(task.open(path, flags));
    must(task.fsync(fd));
    must(task.close(fd));
    return fs.counters.fsyncs - before;
  };

  test("reaches files and directories of the upper layer, no lower ones (ovl_fsync)", () => {
    mount(LAYERS);
    put(task, "/own/x", "x");
    expect([synced("/f", O_RDONLY), synced("/d", O_RDONLY), synced("/own", O_RDONLY), synced("/own/x", O_RDWR)]).toEqual([
      0, 0, 1, 1,
    ]);
    const fd = must(task.open("/f", O_RDONLY));
    must(task.chmod("/f", 0o600));
    const before = fs.counters.fsyncs;
    must(task.fsync(fd));
    expect(fs.counters.fsyncs).toBe(before + 1);
  });

  test("of a file whose data are below reaches nothing", () => {
    mount(`${LAYERS},metacopy=on`);
    must(task.chmod("/f", 0o600));
    expect(synced("/f", O_RDONLY)).toBe(0);
  });

  test.each([
    ["auto", [1, 0, 0, 0]],
    ["strict", [1, 1, 1, 0]],
  ])(
    "under fsync=%s a copy-up writes what the kernel's does: a file, one cut to nothing, a directory, a link",
    (mode, counts) => {
      put(host.task, "/b/low/g", "g");
      mount(`${LAYERS},fsync=${mode}`);
      const added = [
        () => task.chmod("/f", 0o600),
        () => task.close(must(task.open("/g", O_WRONLY | O_TRUNC))),
        () => task.chmod("/d", 0o700),
        () => task.lchown("/l", 1, 1),
      ].map((act) => {
        const before = fs.counters.fsyncs;
        must(act());
        return fs.counters.fsyncs - before;
      });
      expect(added).toEqual(counts);
    },
  );

  test("under fsync=strict data that follow their attributes are not written (ovl_copy_up_meta_inode_data)", () => {
    mount(`${LAYERS},metacopy=on,fsync=strict`);
    must(task.chmod("/f", 0o600));
    const before = fs.counters.fsyncs;
    must(task.truncate("/f", 2));
    expect([before, fs.counters.fsyncs]).toEqual([1, 1]);
  });

  test("does nothing on a volatile mount, nor does a copy-up or the mount's end", () => {
    mount(`${LAYERS},volatile`);
    must(task.truncate("/f", 2));
    put(task, "/own/x", "x");
    expect([synced("/own/x", O_RDWR), synced("/own", O_RDONLY), fs.counters.fsyncs]).toEqual([0, 0, 0]);
    expect(fs.sync()).toBeUndefined();
  });
});

test("positions in a merged directory are those of its list, and in a real one the filesystem's below (ovl_dir_llseek)", () => {
  mount(LAYERS);
  const at = (path: string) => must(task.resolve(path)).inode;
  const below = must(host.task.resolve("/b/up/own"));
  expect([fs.directoryEnd(at("/")), fs.directoryEnd(at("/own"))]).toEqual([
    undefined,
    below.mount.fs.directoryEnd?.(below.inode),
  ]);
});

test("extents are shared with a file of another filesystem below by nobody", () => {
  must(host.task.mkdir("/b/other", 0o755));
  expect(host.mount({ type: "tmpfs", source: "t", target: "/b/other", options: "" })).toBeUndefined();
  put(host.task, "/b/other/far", "far");
  mount(`${LAYERS}:/b/other`);
  put(task, "/own/x", "x");
  put(task, "/own/y", "y");
  const opened = (path: string, flags: number) => must(fs.open(must(task.resolve(path)).inode, flags));
  const target = opened("/own/x", O_WRONLY);
  const clone = (path: string) => fs.clone(opened(path, O_RDONLY), 0, target, 0, 1);
  expect([clone("/far"), clone("/own/y")]).toEqual([EXDEV, ENOTSUP]);
});

test("the whole is told as the upper layer's filesystem, by overlayfs's own magic number", () => {
  mount(LAYERS);
  expect(must(task.statfs("/"))).toEqual({ ...must(host.task.statfs("/b")), type: 0x794c7630, nameLength: 255 });
});

test("layers that are removed beside the mount stay what they are, and are nobody else's, until it ends (asked of 6.18)", () => {
  mount(LAYERS);
  for (const path of ["up/own", "up", "work/work", "work", "low/d/s", "low/d", "low"]) {
    for (const { name } of must(host.task.readdir(`/b/${path}`))) host.task.unlink(`/b/${path}/${name}`);
    must(host.task.rmdir(`/b/${path}`));
  }
  // Whoever comes next takes the numbers of inodes that are free.
  for (let at = 0; at < 12; at++) put(host.task, `/b/next${at}`, "next");
  expect(must(task.readdir("/"))).toEqual([]);
  expect([must(task.stat("/")).mode & S_IFMT, code(task.mkdir("/new"))]).toEqual([S_IFDIR, "ENOENT"]);
  must(task.exit());
  expect(host.unmount("/m")).toBeUndefined();
  host.check();
});

test("names of one lower inode are one inode where no copy-up can part them: without an upper layer, or with an index (ovl_hash_bylower)", () => {
  must(host.task.link("/b/low/f", "/b/low/f2"));
  must(host.task.mkdir("/b/low2", 0o755));
  for (const [options, one] of [
    ["lowerdir=/b/low:/b/low2", true],
    [`${LAYERS},index=on`, true],
    ["upperdir=/b/up,workdir=/b/work,lowerdir=/b/low", false],
  ] as const) {
    mount(options);
    expect(must(task.resolve("/f")).inode === must(task.resolve("/f2")).inode, options).toBe(one);
    task.exit();
    expect(host.unmount("/m")).toBeUndefined();
  }
});

test("a removed folder that is copied up where another holds something is refused, and the other stays in use", () => {
  must(host.task.mkdir("/b/low/e", 0o755));
  mount(LAYERS);
  const fd = must(task.open("/e", O_RDONLY));
  must(task.rmdir("/e"));
  must(task.mkdir("/e"));
  put(task, "/e/new", "x");
  expect(code(task.fchmod(fd, 0o700))).toBe("ENOTEMPTY");
  put(task, "/e/more", "y");
  expect(
    must(task.readdir("/e"))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["more", "new"]);
  must(task.close(fd));
  host.check();
});

test("a symbolic link comes up with its owner and its times, and a file with all bits of its mode", () => {
  must(host.task.lchown("/b/low/l", 7, 8));
  must(host.task.utimens("/b/low/l", { seconds: 5, nanoseconds: 6 }, { seconds: 7, nanoseconds: 8 }, true));
  must(host.task.chown("/b/low/f", 7, 8));
  must(host.task.chmod("/b/low/f", 0o6755));
  mount(LAYERS);
  const before = ["/l", "/f"].map((path) => must(task.lstat(path)));
  must(task.rename("/l", "/own/l"));
  must(task.rename("/f", "/own/f"));
  const after = ["/own/l", "/own/f"].map((path) => must(task.lstat(path)));
  expect(after.map(({ mode, uid, gid, mtime, atime }) => ({ mode, uid, gid, mtime, atime }))).toEqual(
    before.map(({ mode, uid, gid, mtime, atime }) => ({ mode, uid, gid, mtime, atime })),
  );
});
