/**
 * Random scripts in the trace format: layers and a container over a small tree of names, so that most calls meet something.
 * A script shrinks by leaving out steps.
 */
import fc from "fast-check";
import type { Step } from "../../src/calls/step.ts";

/** Where scripts run. */
export interface Ground {
  readonly target: string;
  readonly backing: string;
  readonly mountOptions: string;
}

export interface Script {
  readonly ground: Ground;
  readonly steps: readonly Step[];
}

const NAMES = ["a", "b", "c", "d", "e"] as const;
/** Folders in which names lie: the top, folders, a folder in a folder, and one that may be a symbolic link. */
const FOLDERS = ["", "/d", "/e", "/d/e", "/c"] as const;
const FDS = ["f1", "f2", "f3"] as const;

const path = fc.tuple(fc.constantFrom(...FOLDERS), fc.constantFrom(...NAMES)).map(([folder, name]) => `${folder}/${name}`);
const fd = fc.constantFrom(...FDS);
const mode = fc.constantFrom("0644", "0600", "0755", "0700", "0000", "0444", "2755", "4711", "1777");
const data = fc.oneof(
  fc.constantFrom("x", "hello", "lower bytes"),
  fc.record({ fill: fc.constantFrom("ab", "z"), len: fc.constantFrom(3, 4096, 5000, 70_000) }),
);
const offset = fc.constantFrom(0, 1, 4095, 4096, 9000, 70_000);
const user = fc.constantFrom({ uid: 1000, gid: 1000 }, { uid: 1001, gid: 1000, groups: [1000] });
const flags = fc.constantFrom(
  ["O_RDONLY"],
  ["O_RDONLY", "O_NOFOLLOW"],
  ["O_RDONLY", "O_DIRECTORY"],
  ["O_WRONLY"],
  ["O_RDWR"],
  ["O_RDWR", "O_CREAT"],
  ["O_WRONLY", "O_CREAT", "O_EXCL"],
  ["O_WRONLY", "O_TRUNC"],
  ["O_RDWR", "O_CREAT", "O_TRUNC"],
  ["O_WRONLY", "O_APPEND"],
);
const renameFlags = fc.constantFrom<readonly string[]>([], [], [], ["NOREPLACE"], ["EXCHANGE"], ["WHITEOUT"]);
const fallocFlags = fc.constantFrom<readonly string[]>([], ["KEEP_SIZE"], ["PUNCH_HOLE", "KEEP_SIZE"], ["ZERO_RANGE"]);
const xattr = fc.constantFrom("user.k", "user.other", "trusted.t");
const when = fc.constantFrom<number | string>(1_000_000_000, 1_234_567_890_123_456, "OMIT");

function call(name: string, fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Step> {
  return fc.record(fields).map((given) => ({ call: name, ...given }) as Step);
}

const changes: readonly fc.Arbitrary<Step>[] = [
  call("mkdir", { path, mode }),
  call("mkdir", { path, mode }),
  call("open", { path, flags, fd, mode }),
  call("open", { path, flags, fd, mode }),
  call("write", { fd, data }),
  call("pwrite", { fd, data, offset }),
  call("ftruncate", { fd, len: offset }),
  call("truncate", { path, len: offset }),
  call("fallocate", { fd, offset, len: fc.constantFrom(1, 4096, 10_000), flags: fallocFlags }),
  call("close", { fd }),
  call("unlink", { path }),
  call("unlink", { path }),
  call("rmdir", { path }),
  call("rename", { path, to: path, flags: renameFlags }),
  call("rename", { path, to: path, flags: renameFlags }),
  call("link", { path, to: path }),
  call("symlink", { target: fc.constantFrom("a", "/d", "d/e", "../a", "missing"), path }),
  // No FIFO: opening one waits for its other end.
  call("mknod", { path, type: fc.constantFrom("socket", "char", "file"), mode }),
  call("chmod", { path, mode }),
  call("fchmod", { fd, mode }),
  call("chown", { path, uid: fc.constantFrom(0, 1000, -1), gid: fc.constantFrom(0, 1000, -1) }),
  call("lchown", { path, uid: fc.constantFrom(0, 1001), gid: fc.constantFrom(0, 1000) }),
  call("utimens", { path, atime: when, mtime: when }),
  call("setxattr", { path, name: xattr, value: fc.constantFrom("", "v", "longer value") }),
  call("removexattr", { path, name: xattr }),
];
const questions: readonly fc.Arbitrary<Step>[] = [
  call("stat", { path }),
  call("lstat", { path, dirnlink: fc.constant(true) }),
  call("fstat", { fd }),
  call("read", { fd, len: fc.constantFrom(5, 5000) }),
  call("pread", { fd, len: fc.constantFrom(5, 5000), offset }),
  call("lseek", { fd, offset, whence: fc.constantFrom("SEEK_SET", "SEEK_END", "SEEK_DATA", "SEEK_HOLE") }),
  call("readdir", { path: fc.oneof(path, fc.constant("/")) }),
  call("readlink", { path }),
  call("listxattr", { path }),
  call("getxattr", { path, name: xattr }),
  call("access", { path, want: fc.constantFrom("r", "w", "x") }),
  call("fsync", { fd }),
];

/** A call, now and then made by somebody without privileges. */
const anyCall: fc.Arbitrary<Step> = fc
  .tuple(fc.oneof(...changes, ...questions), fc.option(user, { freq: 6 }), fc.constantFrom(undefined, "0022", "0077"))
  .map(([step, as, umask]) => ({
    ...step,
    ...(as === null ? {} : { as }),
    ...(umask === undefined ? {} : { umask }),
  }));

/** What a base layer begins with, so that there is something below. */
const PRELUDE: readonly Step[] = [
  { call: "mkdir", path: "/d", mode: "0755" },
  { call: "mkdir", path: "/d/e", mode: "0755" },
  { call: "mkdir", path: "/e", mode: "0777" },
  { call: "open", path: "/a", flags: ["O_WRONLY", "O_CREAT"], mode: "0666", fd: "p" },
  { call: "write", fd: "p", data: "from the lowest layer" },
  { call: "close", fd: "p" },
  { call: "open", path: "/d/b", flags: ["O_WRONLY", "O_CREAT"], mode: "0644", fd: "p" },
  { call: "write", fd: "p", data: { fill: "lower", len: 9000 } },
  { call: "close", fd: "p" },
  { call: "link", path: "/a", to: "/d/a" },
  { call: "symlink", target: "d", path: "/c" },
];

function inLayer(on: string, steps: readonly Step[]): Step[] {
  return steps.map((step) => ({ on, ...step }));
}

/** A script on one of the grounds: one to three layers, then a container, whose tree and upper folder are looked at in the end. */
export function scriptOn(grounds: readonly Ground[]): fc.Arbitrary<Script> {
  const layers = fc.array(fc.array(anyCall, { maxLength: 8 }), { minLength: 1, maxLength: 3 });
  const steps = fc.array(anyCall, { minLength: 1, maxLength: 30 });
  return fc.tuple(fc.constantFrom(...grounds), layers, steps).map(([ground, below, above]) => {
    const out: Step[] = [];
    below.forEach((calls, index) => {
      const name = `L${index}`;
      out.push({ lab: "layer", name, ...(index === 0 ? {} : { parent: `L${index - 1}` }) });
      out.push(...inLayer(name, index === 0 ? [...PRELUDE, ...calls] : calls));
    });
    out.push({ lab: "container", name: "C", parent: `L${below.length - 1}` }, ...inLayer("C", above));
    return { ground, steps: [...out, { on: "C", call: "tree" }, { lab: "upper", name: "C" }] };
  });
}
