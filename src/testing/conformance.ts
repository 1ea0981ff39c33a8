/**
 * What every storage driver must do, as named checks: after moby's graphtest and containerd's snapshot suite, restated. Each begins with
 * a lab on a fresh host; a failed expectation throws.
 */
import { MIB } from "../../sim/core/units.ts";
import { O_RDONLY } from "../../sim/vfs/filesystem.ts";
import { type Check, container, fill, layer, mode, names, put, text } from "./check.ts";
import { expect, must } from "./expect.ts";
import { INODE_CHECKS } from "./inode-checks.ts";

const root: readonly Check[] = [
  {
    name: "a fresh root is an empty folder of root's, mode 0755",
    run: (lab) => {
      must(lab.addLayer("base"));
      const task = must(lab.task("base"));
      expect(must(task.stat("/"))).toHave({ mode: 0o40755, uid: 0, gid: 0 });
      expect(names(task, "/").filter((name) => name !== "lost+found")).toEqual([]);
    },
  },
  {
    name: "what a base layer holds, set-id bits, sticky bits and owners included, shows in a layer over it",
    run: (lab) => {
      layer(lab, "base", undefined, (task) => {
        must(task.mkdir("/a subdir", 0o705));
        must(task.chown("/a subdir", 1, 2));
        must(task.chmod("/a subdir", 0o1705));
        put(task, "/a file", "Some data");
        must(task.chmod("/a file", 0o4222));
      });
      const task = container(lab, "base");
      expect(must(task.stat("/a subdir"))).toHave({ mode: 0o41705, uid: 1, gid: 2 });
      expect(must(task.stat("/a file"))).toHave({ mode: 0o104222, uid: 0, gid: 0 });
      expect(text(task, "/a file")).toBe("Some data");
    },
  },
  {
    name: "a removed layer is gone, and removing it again is no error",
    run: (lab) => {
      must(lab.addLayer("base"));
      const id = lab.idOf("base");
      must(lab.remove("base"));
      expect(lab.driver.exists(id)).toBe(false);
      expect(lab.driver.remove(id)).toBeUndefined();
    },
  },
];

const depth: readonly Check[] = [
  {
    name: "a file of the lowest of 50 layers shows at the top, and each layer's own files too",
    run: (lab) => {
      layer(lab, "0", undefined, (task) => put(task, "/testfile.txt", "bottom"));
      for (let n = 1; n <= 50; n++) {
        layer(lab, String(n), String(n - 1), (task) => {
          put(task, "/top-id", String(n));
          must(task.mkdir(`/layer-${n}`, 0o755));
          put(task, `/layer-${n}/parent-id`, String(n - 1));
        });
      }
      const task = container(lab, "50");
      expect(text(task, "/top-id")).toBe("50");
      expect(text(task, "/testfile.txt")).toBe("bottom");
      for (let n = 1; n <= 50; n++) expect(text(task, `/layer-${n}/parent-id`)).toBe(String(n - 1));
    },
  },
];

const upperChanges: readonly Check[] = [
  {
    name: "a layer's rewrite, chmod and new folders show above it",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => put(task, "/foo", "before"));
      layer(lab, "2", "1", (task) => {
        put(task, "/foo", "after");
        must(task.chmod("/foo", 0o777));
        must(task.mkdir("/a", 0o700));
        must(task.mkdir("/a/b", 0o700));
      });
      const task = container(lab, "2");
      expect([text(task, "/foo"), mode(task, "/foo"), mode(task, "/a/b")]).toEqual(["after", 0o777, 0o700]);
    },
  },
  {
    name: "a folder removed and made again never shows its old content, nor does a layer above it",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => {
        must(task.mkdir("/lib", 0o755));
        put(task, "/lib/hidden", "old");
      });
      layer(lab, "2", "1", (task) => {
        must(task.unlink("/lib/hidden"));
        must(task.rmdir("/lib"));
        must(task.mkdir("/lib", 0o711));
        put(task, "/lib/not_hidden", "new");
      });
      layer(lab, "3", "2", (task) => put(task, "/lib/not_hidden2", "newer"));
      const task = container(lab, "3");
      expect(names(task, "/lib")).toEqual(["not_hidden", "not_hidden2"]);
      expect(text(task, "/lib/hidden")).toBe("ENOENT");
      expect(mode(task, "/lib")).toBe(0o711);
    },
  },
  {
    name: "a folder moved to where another was removed never shows that one's content, nor does a layer above it",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => {
        must(task.mkdir("/lib", 0o755));
        put(task, "/lib/hidden", "old");
      });
      layer(lab, "2", "1", (task) => {
        must(task.unlink("/lib/hidden"));
        must(task.rmdir("/lib"));
        must(task.mkdir("/new", 0o755));
        put(task, "/new/shown", "new");
        must(task.rename("/new", "/lib"));
      });
      layer(lab, "3", "2", (task) => put(task, "/other", "x"));
      expect(names(container(lab, "3"), "/lib")).toEqual(["shown"]);
    },
  },
  {
    name: "a removed file stays removed through an empty layer",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => put(task, "/gone", "x"));
      layer(lab, "2", "1", (task) => must(task.unlink("/gone")));
      layer(lab, "3", "2", () => undefined);
      expect(names(container(lab, "3"), "/")).toLack("gone");
    },
  },
  {
    name: "owners of nested folders and files stay as a layer changed them",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => {
        for (const path of ["/opt", "/opt/a", "/opt/a/b"]) must(task.mkdir(path, 0o700));
        put(task, "/opt/a/b/file.txt", "hello");
      });
      layer(lab, "2", "1", (task) => {
        for (const path of ["/opt", "/opt/a", "/opt/a/b", "/opt/a/b/file.txt"]) must(task.chown(path, 1, 1));
      });
      const task = container(lab, "2");
      for (const path of ["/opt", "/opt/a", "/opt/a/b", "/opt/a/b/file.txt"]) {
        expect(must(task.stat(path))).toHave({ uid: 1, gid: 1 });
      }
    },
  },
  {
    name: "a file moved from a lower layer by link and unlink is where it was moved to",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => {
        for (const path of ["/dir1", "/dir2"]) must(task.mkdir(path, 0o700));
        put(task, "/dir1/f1", "one");
        put(task, "/dir2/f2", "two");
      });
      layer(lab, "2", "1", (task) => {
        must(task.mkdir("/dir3", 0o700));
        must(task.rename("/dir1/f1", "/dir3/f1"));
        must(task.link("/dir2/f2", "/dir3/f2"));
        must(task.unlink("/dir2/f2"));
      });
      const task = container(lab, "2");
      expect([names(task, "/dir1"), names(task, "/dir2"), names(task, "/dir3")]).toEqual([[], [], ["f1", "f2"]]);
      expect([text(task, "/dir3/f1"), text(task, "/dir3/f2")]).toEqual(["one", "two"]);
    },
  },
  {
    name: "a lower folder can be renamed",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => {
        must(task.mkdir("/dir1", 0o700));
        put(task, "/dir1/f", "x");
      });
      const task = container(lab, "1");
      expect(task.rename("/dir1", "/dir2")).toBeUndefined();
      expect(text(task, "/dir2/f")).toBe("x");
    },
  },
  {
    name: "two names of a lower file stay one file when it is written",
    run: (lab) => {
      layer(lab, "1", undefined, (task) => {
        put(task, "/a", "old");
        must(task.link("/a", "/b"));
      });
      const task = container(lab, "1");
      put(task, "/a", "new");
      expect(text(task, "/b")).toBe("new");
    },
  },
];

const isolation: readonly Check[] = [
  {
    name: "a container's changes show neither in its image nor in another container of it",
    run: (lab) => {
      layer(lab, "image", undefined, (task) => put(task, "/f", "image"));
      const [one, other] = [container(lab, "image", "one"), container(lab, "image", "other")];
      put(one, "/f", "one");
      put(one, "/new", "one");
      expect([text(one, "/f"), text(other, "/f"), text(other, "/new")]).toEqual(["one", "image", "ENOENT"]);
      expect(text(must(lab.task("image")), "/f")).toBe("image");
    },
  },
  {
    name: "a container reads its own writes through a descriptor opened before",
    run: (lab) => {
      layer(lab, "image", undefined, (task) => put(task, "/f", "old"));
      const task = container(lab, "image");
      const reader = must(task.open("/f", O_RDONLY));
      put(task, "/f", "new");
      expect(must(task.pread(reader, 10, 0)).toText()).toBe("new");
    },
  },
];

const differences: readonly Check[] = [
  {
    name: "docker diff tells rewritten, added and removed files, and the folders they are in",
    run: (lab) => {
      layer(lab, "image", undefined, (task) => {
        must(task.mkdir("/directory-0", 0o755));
        for (let n = 0; n < 20; n++) put(task, `/directory-0/file-${n}`, "x".repeat(n));
      });
      const task = container(lab, "image");
      const wanted = new Set(["C /directory-0"]);
      for (let n = 0; n < 20; n++) {
        const path = `/directory-0/file-${n}`;
        if (n % 3 === 0) {
          put(task, path, "y".repeat(n + 1));
          wanted.add(`C ${path}`);
        } else if (n % 3 === 1) {
          put(task, `${path}-new`, "y");
          wanted.add(`A ${path}-new`);
        } else {
          must(task.unlink(path));
          wanted.add(`D ${path}`);
        }
      }
      const changes = must(lab.changes("container"));
      expect(new Set(changes.map(({ kind, path }) => `${kind} ${path}`))).toEqual(wanted);
      expect(changes[0]).toEqual({ kind: "C", path: "/directory-0" });
    },
  },
  {
    name: "an unchanged container has no differences and the size 0",
    run: (lab) => {
      layer(lab, "image", undefined, (task) => put(task, "/f", "x"));
      container(lab, "image");
      expect(lab.changes("container")).toEqual([]);
      expect(lab.driver.diffSize(lab.idOf("container"), lab.idOf("image"))).toBe(0);
    },
  },
  {
    name: "the size of a difference counts what was added, not what was removed",
    run: (lab) => {
      layer(lab, "image", undefined, (task) => put(task, "/gone", "123456"));
      const task = container(lab, "image");
      put(task, "/a", "123");
      put(task, "/b", "123");
      must(task.unlink("/gone"));
      expect(lab.driver.diffSize(lab.idOf("container"), lab.idOf("image"))).toBe(6);
    },
  },
];

const sizes: readonly Check[] = [
  {
    name: "a container of 50 MiB takes 25 MiB, but not 50 more",
    ground: { backing: "xfs", mount: "pquota" },
    run: (lab) => {
      layer(lab, "image", undefined, (task) => put(task, "/f", "x"));
      must(lab.addContainer("container", "image", { storage: { size: "50M" } }));
      const task = must(lab.task("container"));
      expect(fill(task, "/small", MIB(25))).toBe("ok");
      expect(fill(task, "/big", MIB(50))).toMatch(/^(EDQUOT|ENOSPC)$/);
    },
  },
];

/**
 * All of them, in an order that tells the plainest failure first. For a driver of one's own:
 *
 *   for (const { name, run } of CHECKS) test(name, () => run(new Lab(host, driver)));
 */
export const CHECKS: readonly Check[] = [
  ...root,
  ...depth,
  ...upperChanges,
  ...isolation,
  ...differences,
  ...INODE_CHECKS,
  ...sizes,
];
