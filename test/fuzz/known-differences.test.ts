/**
 * Each known difference occurs: a script of few steps on its driver answers otherwise than the same script on a driver without it. A difference
 * that an engine does not have any more turns red here, so that the list cannot go stale.
 */
import { describe, expect, test } from "vitest";
import type { Json } from "../../src/calls/json.ts";
import { perform } from "../../src/calls/perform.ts";
import type { Step } from "../../src/calls/step.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { differencesOf, KNOWN_DIFFERENCES } from "../../src/fuzz/differences.ts";
import { groundOf } from "../../src/fuzz/ground.ts";
import { Lab } from "../../src/layers/lab.ts";
import { labFor } from "../../src/replay/target.ts";

const file = (path: string, text: string, fd = "w"): Step[] => [
  { call: "open", path, flags: ["O_WRONLY", "O_CREAT"], mode: "4755", fd },
  { call: "write", fd, data: text },
  { call: "close", fd },
];

/** What lies in the image, and what a container over it does. */
interface Probe {
  readonly image: readonly Step[];
  readonly does: readonly Step[];
  /** A layer of its own between the two. */
  readonly between?: readonly Step[];
}

const dir: Step = { call: "mkdir", path: "/d", mode: "0755" };
const user = { uid: 1000, gid: 1000 };

/** By difference. */
const PROBES: Readonly<Record<string, Probe>> = {
  "rename of a lower directory": { image: [dir, ...file("/d/f", "x")], does: [{ call: "rename", path: "/d", to: "/e" }] },
  "copy-up breaks hard links": {
    image: [...file("/a", "one"), { call: "link", path: "/a", to: "/b" }],
    does: [
      { call: "truncate", path: "/a", len: 1 },
      { call: "lstat", path: "/b" },
    ],
  },
  "an unlinked lower file cannot change": {
    image: file("/a", "x"),
    does: [
      { call: "open", path: "/a", flags: ["O_RDONLY"], fd: "f" },
      { call: "unlink", path: "/a" },
      { call: "fchmod", fd: "f", mode: "0600" },
    ],
  },
  "lower files count the names of other layers": {
    image: file("/a", "x"),
    between: [dir],
    does: [{ call: "lstat", path: "/a" }],
  },
  "attributes of directories stay behind": {
    image: [dir],
    between: [
      { call: "mkdir", path: "/d/e", mode: "0755" },
      { call: "setxattr", path: "/d/e", name: "user.k", value: "v" },
    ],
    does: [{ call: "getxattr", path: "/d/e", name: "user.k" }],
  },
  "covered names stay counted": {
    image: [...file("/a", "x"), { call: "link", path: "/a", to: "/b" }],
    does: [
      { call: "unlink", path: "/b" },
      { call: "lstat", path: "/a" },
    ],
  },
  "a replaced file is forgotten": {
    image: [...file("/a", "x"), ...file("/b", "y")],
    does: [
      { call: "open", path: "/b", flags: ["O_RDONLY"], fd: "f" },
      { call: "rename", path: "/a", to: "/b" },
      { call: "fstat", fd: "f" },
    ],
  },
  "times are whole seconds": {
    image: file("/a", "x"),
    does: [
      { call: "utimens", path: "/a", atime: 1_500_000_000, mtime: 1_500_000_000 },
      { call: "mtime", path: "/a" },
    ],
  },
  "removexattr leaves an empty value": {
    image: file("/a", "x"),
    does: [
      { call: "setxattr", path: "/a", name: "user.k", value: "v" },
      { call: "removexattr", path: "/a", name: "user.k" },
      { call: "getxattr", path: "/a", name: "user.k" },
    ],
  },
  "attributes with nothing in them stay behind": {
    image: [...file("/a", "x"), { call: "setxattr", path: "/a", name: "user.k", value: "" }],
    does: [
      { call: "chmod", path: "/a", mode: "0600" },
      { call: "listxattr", path: "/a" },
    ],
  },
  "copying up changes the folder's mtime": {
    image: [dir, ...file("/d/a", "x"), { call: "utimens", path: "/d", atime: 7_000_000_000, mtime: 7_000_000_000 }],
    does: [
      { call: "chmod", path: "/d/a", mode: "0600" },
      { call: "mtime", path: "/d" },
    ],
  },
  "pseudo-links end with the mount": {
    image: [...file("/a", "x"), { call: "link", path: "/a", to: "/b" }],
    between: [{ call: "truncate", path: "/a", len: 0 }],
    does: [
      { call: "lstat", path: "/a" },
      { call: "lstat", path: "/b" },
    ],
  },
  "every branch's folder must let a user in": {
    image: [{ call: "mkdir", path: "/d", mode: "0700" }],
    does: [
      { call: "chmod", path: "/d", mode: "0777" },
      { call: "mknod", path: "/d/n", type: "file", mode: "0644" },
      { call: "unlink", path: "/d/n", as: user },
    ],
  },
  "exchange asks what lies where": {
    image: [dir, ...file("/a", "x")],
    does: [{ call: "rename", path: "/a", to: "/d", flags: ["EXCHANGE"] }],
  },
  "rename takes no flags": { image: file("/a", "x"), does: [{ call: "rename", path: "/a", to: "/b", flags: ["NOREPLACE"] }] },
  "chown takes set-id bits from directories": {
    image: [
      { call: "mkdir", path: "/s", mode: "0755" },
      { call: "chown", path: "/s", uid: 1000, gid: 1000 },
      { call: "chmod", path: "/s", mode: "6555" },
    ],
    does: [
      { call: "chown", path: "/s", uid: 1000, gid: 1000, as: user },
      { call: "lstat", path: "/s" },
    ],
  },
  "fallocate moves no data": {
    image: [],
    does: [
      { call: "open", path: "/a", flags: ["O_RDWR", "O_CREAT"], mode: "0644", fd: "f" },
      { call: "ftruncate", fd: "f", len: 8192 },
      { call: "fallocate", fd: "f", offset: 0, len: 4096, flags: ["INSERT_RANGE"] },
    ],
  },
  "listxattr shows trusted.* to everybody": {
    image: [...file("/a", "x"), { call: "setxattr", path: "/a", name: "trusted.t", value: "v" }],
    does: [{ call: "listxattr", path: "/a", as: user }],
  },
};

/** Makes a probe on a driver. @returns what its calls in the container answered. */
function answers(driver: string, { image, between, does }: Probe): Json[] {
  const lab = labFor({ name: "", ...groundOf(driver), holdsSeen: false });
  if (!(lab instanceof Lab)) throw new Error(lab.cannotRun);
  const make = (name: string, steps: readonly Step[], parent?: string): Json[] => {
    const failed = parent === undefined ? lab.addLayer(name) : lab.addLayer(name, parent);
    const session = lab.session(name);
    if (failed !== undefined || isDriverError(session)) throw new Error(String(failed ?? session));
    const got = steps.map((step) => ({ ...perform(session, step) }) as Json);
    lab.host.check();
    return got;
  };
  make("image", image);
  if (between !== undefined) make("between", between, "image");
  const got = make("container", does, between === undefined ? "image" : "between");
  lab.end();
  return got;
}

const PAIRS = KNOWN_DIFFERENCES.flatMap(({ name, drivers }) => drivers.map((driver) => ({ name, driver })));

describe("a known difference", () => {
  test.each(PAIRS)("occurs: $name, on $driver", ({ name, driver }) => {
    const probe = PROBES[name];
    expect(probe, `no probe shows "${name}"`).toBeDefined();
    expect(differencesOf(groundOf(driver)).map((one) => one.name)).toContain(name);
    if (probe !== undefined) expect(answers(driver, probe)).not.toEqual(answers("vfs", probe));
  });

  test("is shown by a probe that drivers without it answer alike", () => {
    for (const [name, probe] of Object.entries(PROBES)) {
      const having = new Set(PAIRS.filter((pair) => pair.name === name).map(({ driver }) => driver));
      if (!having.has("devicemapper")) expect([name, answers("devicemapper", probe)]).toEqual([name, answers("vfs", probe)]);
    }
  });

  test("has one name in the list for each probe", () => {
    expect(Object.keys(PROBES).sort()).toEqual([...new Set(PAIRS.map(({ name }) => name))].sort());
  });
});
