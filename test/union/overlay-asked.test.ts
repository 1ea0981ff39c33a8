/**
 * Mounts of overlayfs over what hands have put into its layers, or over an upper and a work folder that were another mount's: each step with what
 * Linux 6.18 answered on tmpfs (test/data/overlay-asked.json, which test/kernel/overlay-asked.py records).
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOENT, isErrno } from "../../sim/core/errno.ts";
import { k4_0 } from "../../sim/core/kernel-profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import {
  newAttributes,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { must } from "./aufs-lab.ts";

type Step = readonly [op: string, path: string, ...more: readonly (string | number)[]];
const CASES = JSON.parse(readFileSync(new URL("../data/overlay-asked.json", import.meta.url), "utf8")) as Record<
  string,
  readonly (readonly [step: Step, told: string])[]
>;

const TYPES: ReadonlyMap<number, string> = new Map([
  [S_IFDIR, "dir"],
  [S_IFREG, "file"],
  [S_IFLNK, "link"],
  [S_IFCHR, "whiteout"],
]);

/**
 * What a folder holds: path, type, mode, links, of files the size, and overlayfs's own xattrs; of names that tell a handle, and of those of what is
 * under way, only that they are there.
 */
function rows(task: Task, folder: string, path = ""): string[] {
  return must(task.readdir(folder)).flatMap(({ name }) => {
    const at = `${folder}/${name}`;
    const shown = `${path}/${name.replace(/^#[0-9a-f]+$/, "#").replace(/^[0-9a-f]{30,}$/, "*")}`;
    const of = must(task.lstat(at));
    const kind = TYPES.get(of.mode & S_IFMT) ?? "";
    const row = [shown, kind, (of.mode & 0o7777).toString(8), of.nlink, ...(kind === "file" ? [of.size] : [])];
    for (const attribute of must(task.llistxattr(at)).sort()) {
      const own = /^(?:trusted|user)[.]overlay[.](.*)$/.exec(attribute)?.[1];
      if (own === undefined) continue;
      const value = new TextDecoder().decode(must(task.lgetxattr(at, attribute)));
      row.push(["origin", "upper", "uuid"].includes(own) ? own : `${own}=${value}`);
    }
    return [row.join(" "), ...(kind === "dir" ? rows(task, at, shown) : [])];
  });
}

/** The number of an inode in its layer, without the bits by which xino tells the layer's filesystem. */
const ofLayer = (number = 0): number => number % 2 ** 32;

function prepared(): Host {
  const host = createHost();
  host.task.umask = 0o22;
  must(host.task.mkdir("/b", 0o755));
  expect(host.mount({ type: "tmpfs", source: "t", target: "/b", options: "" })).toBeUndefined();
  for (const name of ["m", "up", "up2", "work", "work2", "low", "low2"]) must(host.task.mkdir(`/b/${name}`, 0o777));
  return host;
}

function told(got: unknown): string {
  if (isErrno(got)) return got.code;
  return typeof got === "string" ? got : "ok";
}
function mounted(host: Host, type: string, target: string, options: string): string {
  return host.mount({ type, source: "t", target, options })?.errno.code ?? "ok";
}

/** An option's paths begin in the folder of the layers. */
function below(option: string): string {
  const [name, value] = option.split("=");
  return value?.startsWith("/") === true
    ? `${name}=${value
        .split(":")
        .map((path) => `/b${path}`)
        .join(":")}`
    : option;
}

/** Entries of an index are named by handles, which no case can know: a star stands for the only one. */
function starred(task: Task, path: string): string {
  if (!path.endsWith("*")) return path;
  const folder = path.slice(0, -2);
  return `${folder}/${must(task.readdir(folder))[0]?.name ?? "*"}`;
}

function act(host: Host, [op, path, more = "", text = ""]: Step): string {
  const { task } = host;
  const at = starred(task, `/b${path}`);
  const opened = (flags: number, call: (fd: number) => unknown): unknown => {
    const fd = task.open(at, flags, 0o644);
    if (isErrno(fd)) return fd;
    const got = call(fd);
    task.close(fd);
    return got;
  };
  switch (op) {
    case "mkdir":
      return told(task.mkdir(at, 0o777));
    case "put":
      return told(opened(O_CREAT | O_WRONLY | O_TRUNC, (fd) => task.write(fd, Content.text(String(more)))));
    case "setx":
      return told(task.setxattr(at, String(more), new TextEncoder().encode(String(text))));
    case "rmx":
      return told(task.lremovexattr(at, String(more)));
    case "mount":
      return mounted(host, "overlay", "/b/m", path.split(",").map(below).join());
    case "umount":
      return told(host.unmount("/b/m"));
    case "tmpfs":
      return mounted(host, "tmpfs", at, more === "ro" ? "ro" : "");
    case "stat":
      return told(task.lstat(at, newAttributes()));
    case "list": {
      const found = task.readdir(at);
      return isErrno(found)
        ? found.code
        : found
            .map(({ name }) => name)
            .sort()
            .join() || "";
    }
    case "read":
      return told(opened(O_RDONLY, (fd) => (task.read(fd, 100) as Content).toText()));
    case "append":
      return told(opened(O_WRONLY | O_APPEND, (fd) => task.write(fd, Content.text(String(more)))));
    case "symlink":
      return told(task.symlink(String(more), at));
    case "tree":
      return rows(task, at).sort().join("; ");
    case "listed": {
      const shown = must(task.readdir(at)).filter(
        (entry) => entry.inodeNumber === must(task.lstat(`${at}/${entry.name}`)).inodeNumber,
      );
      return shown
        .map(({ name }) => name)
        .sort()
        .join();
    }
    case "rename":
      return told(task.rename(at, `/b${more}`));
    case "link":
      return told(task.link(at, `/b${more}`));
    case "unlink":
      return told(task.unlink(at));
    case "rmdir":
      return told(task.rmdir(at));
    case "chmod":
      return told(task.chmod(at, Number(more)));
    case "numbered":
    case "device": {
      const [one, other] = [at, `/b${more}`].map((each) => must(task.lstat(each)));
      const same = op === "device" ? one?.device === other?.device : ofLayer(one?.inodeNumber) === ofLayer(other?.inodeNumber);
      return same ? "same" : "other";
    }
    case "number":
      return `${must(task.lstat(at)).inodeNumber}`;
    case "type":
    case "links": {
      const of = task.lstat(at);
      if (isErrno(of)) return of.code;
      return op === "links" ? `${of.nlink}` : (TYPES.get(of.mode & S_IFMT) ?? "");
    }
    case "getx": {
      const value = task.lgetxattr(at, String(more));
      return isErrno(value) ? value.code : new TextDecoder().decode(value);
    }
    default:
      throw new Error(`no step ${op}`);
  }
}

test.each(Object.entries(CASES))("%s: each step is answered as the kernel answered it", (_name, steps) => {
  const host = prepared();
  const got = steps.map(([step]) => {
    const answer = act(host, step);
    host.check();
    return [step, answer];
  });
  expect(got).toEqual(steps);
});

test("an older kernel knows no layers of data alone, and gives nobody an attribute of its own name", () => {
  const host = createHost({ kernel: k4_0 });
  const { task } = host;
  for (const path of ["/b", "/b/m", "/b/up", "/b/work", "/b/low", "/b/data"]) must(task.mkdir(path, 0o755));
  expect(mounted(host, "overlay", "/b/m", "lowerdir=/b/low::/b/data")).toBe("EINVAL");
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low")).toBe("ok");
  must(task.mkdir("/b/m/d", 0o755));
  expect(told(task.setxattr("/b/m/d", "trusted.overlay.colour", new Uint8Array(1)))).toBe("EPERM");
});

test("more than 500 lower layers are refused (OVL_MAX_STACK)", () => {
  const host = prepared();
  const lower = Array.from({ length: 501 }, (_, at) => `/b/low/${at}`);
  for (const path of lower) must(host.task.mkdir(path, 0o755));
  expect(mounted(host, "overlay", "/b/m", `lowerdir=${lower.join(":")}`)).toBe("EINVAL");
  expect(mounted(host, "overlay", "/b/m", `lowerdir=${lower.slice(1).join(":")}`)).toBe("ok");
});

test("a name that is not there is neither removed nor renamed nor exchanged, and a file renamed onto itself stays", () => {
  const host = prepared();
  must(host.task.mkdir("/b/up/d", 0o755));
  act(host, ["put", "/up/f", "x"]);
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low")).toBe("ok");
  const { fs } = must(host.task.resolve("/b/m")).mount;
  const name = (text: string) => host.names.intern(text);
  const [none, file] = [name("none"), name("f")];
  expect([fs.unlink(fs.root, none), fs.rmdir(fs.root, none), fs.rename(fs.root, none, fs.root, name("new"), 0)]).toEqual([
    ENOENT,
    ENOENT,
    ENOENT,
  ]);
  expect(fs.rename(fs.root, file, fs.root, file, 0)).toBeUndefined();
  fs.check();
});

test("a colon in a lower layer's path is written with a backslash before it (asked)", () => {
  const host = prepared();
  must(host.task.mkdir("/b/a:b", 0o755));
  act(host, ["put", "/a:b/f", "x"]);
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/a\\:b")).toBe("ok");
  expect(act(host, ["list", "/m"])).toBe("f");
});

test("an origin on a filesystem that is no layer's is no origin", () => {
  const host = prepared();
  act(host, ["put", "/up/f", "x"]);
  const handle = new Uint8Array(29);
  handle.set([0, 0xfb, 29, 0, 1, 0xee, 0xee, 0xee, 0xee]);
  must(host.task.setxattr("/b/up/f", "trusted.overlay.origin", handle));
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low")).toBe("ok");
  const [shown, real] = ["/b/m/f", "/b/up/f"].map((path) => must(host.task.stat(path)).inodeNumber);
  expect(shown).toBe(real);
  host.check();
});
