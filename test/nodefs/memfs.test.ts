/**
 * The bridge to memfs, and memfs beside cowlab/fs: random calls where memfs does as Linux does, and each place where it is known not to, asserted
 * as it is, so that a memfs that does better shows here.
 */
import fc from "fast-check";
import { type IFs, memfs, Volume } from "memfs";
import { describe, expect, test } from "vitest";
import { fromJson, type OverlayFs, overlayFs } from "../../src/entry/fs.ts";
import { fromMemfs, toMemfs } from "../../src/entry/memfs.ts";
import { runs } from "../runs.ts";

describe("the bridge", () => {
  test("a volume is a layer: contents, modes, times, links", () => {
    const volume = Volume.fromJSON({ "/a/one": "1", "/a/two": "2", "/empty": null });
    volume.chmodSync("/a/one", 0o640);
    volume.utimesSync("/a/one", 5, 7.5);
    volume.linkSync("/a/one", "/a/same");
    volume.symlinkSync("one", "/a/link");
    const fs = overlayFs({ lower: [fromMemfs(volume)] });
    expect(fs.readFileSync("/a/link", "utf8")).toBe("1");
    const of = fs.statSync("/a/one");
    expect([of.mode & 0o7777, of.nlink, of.atimeMs, of.mtimeMs]).toEqual([0o640, 2, 5000, 7500]);
    expect(fs.statSync("/a/same").ino).toBe(of.ino);
    expect(fs.readdirSync("/empty")).toEqual([]);
    expect(fs.diff()).toEqual([]);
  });

  test("memfs's JSON is a layer", () => {
    const json = Volume.fromJSON({ "/a/one": "1", "/b": null }).toJSON();
    const fs = overlayFs({ lower: [fromJson(json)] });
    expect(fs.readFileSync("/a/one", "utf8")).toBe("1");
    expect(fs.readdirSync("/")).toContain("b");
  });

  test("a merged view is a volume, and a layer again the same", () => {
    const fs = overlayFs({ lower: [fromJson({ "/a/one": "1", "/a/gone": "", "/b/two": "2" })] });
    fs.unlinkSync("/a/gone");
    fs.writeFileSync("/a/new", Buffer.of(0, 255, 128));
    fs.symlinkSync("new", "/a/link");
    fs.linkSync("/b/two", "/b/too");
    fs.chmodSync("/b/two", 0o600);
    const volume = toMemfs(fs, new Volume());
    expect(volume.readdirSync("/a")).toEqual(["link", "new", "one"]);
    expect(volume.readFileSync("/a/link")).toEqual(Buffer.of(0, 255, 128));
    expect(volume.statSync("/b/two").nlink).toBe(2);
    const again = overlayFs({ lower: [fromMemfs(volume)] });
    const tree = (of: OverlayFs): unknown =>
      of
        .readdirSync("/", { recursive: true })
        .map((name) => [name, of.lstatSync(`/${String(name)}`).mode, of.lstatSync(`/${String(name)}`).mtimeMs]);
    expect(tree(again)).toEqual(tree(fs));
  });
});

interface Step {
  readonly name: string;
  readonly args: readonly unknown[];
}

const NAMES = ["a", "b", "c", "a/b", "a/c", "b/a", "a/b/c"] as const;
const path = fc.constantFrom(...NAMES).map((name) => `/${name}`);
const text = fc.constantFrom("", "x", "hello", "y".repeat(3000));

/** Calls in which memfs and Linux agree, whatever they find. */
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(path).map((args) => ({ name: "mkdirSync", args })),
  fc.tuple(path).map((args) => ({ name: "rmdirSync", args })),
  fc.tuple(path, text).map((args) => ({ name: "writeFileSync", args })),
  fc.tuple(path, text).map((args) => ({ name: "appendFileSync", args })),
  fc.tuple(path).map(([at]) => ({ name: "readFileSync", args: [at, "utf8"] })),
  fc.tuple(path).map((args) => ({ name: "readdirSync", args })),
  fc.tuple(path).map((args) => ({ name: "existsSync", args })),
  fc.tuple(path, fc.constantFrom(0, 2, 50)).map((args) => ({ name: "truncateSync", args })),
  fc.tuple(path).map((args) => ({ name: "statSync", args })),
  fc.tuple(path).map((args) => ({ name: "lstatSync", args })),
  fc.tuple(fc.constantFrom("/c", "none", "/a/b"), fc.constantFrom("/a/c", "/b/a")).map((args) => ({ name: "symlinkSync", args })),
  fc.tuple(path).map((args) => ({ name: "readlinkSync", args })),
);

type Calls = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;

function answer(fs: Calls, { name, args }: Step): unknown {
  try {
    const result = fs[name]?.(...args);
    if (typeof result !== "object" || result === null || Array.isArray(result)) return result;
    const of = result as { isDirectory(): boolean; isFile(): boolean; size: number; nlink: number };
    return of.isFile() ? ["file", of.size, of.nlink] : of.isDirectory() ? "directory" : "link";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

const container = overlayFs({ semantics: "vfs" });

/** Both with nothing in them. */
function both(): { readonly mem: Calls & IFs; readonly sim: OverlayFs & Calls } {
  container.reset();
  return { mem: memfs({}).fs as never, sim: container as never };
}

test("random calls agree where memfs is right", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
      const { mem, sim } = both();
      for (const one of steps) expect({ one, answer: answer(mem, one) }).toEqual({ one, answer: answer(sim, one) });
    }),
    runs(120),
  );
});

interface Deviation {
  readonly about: string;
  readonly act: (fs: OverlayFs) => unknown;
  readonly memfs: unknown;
  readonly linux: unknown;
}

/** What a call throws, else what it gives. */
function outcome(act: () => unknown): unknown {
  try {
    return act() ?? "done";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

const makeTrees = (fs: OverlayFs): void => {
  fs.mkdirSync("/d/in", { recursive: true });
  fs.mkdirSync("/full/in", { recursive: true });
  fs.writeFileSync("/f", "file");
};

/** Opens, does something with the descriptor, closes. */
function withFile(fs: OverlayFs, flags: string, act: (fd: number) => unknown): unknown {
  const fd = fs.openSync("/f", flags);
  try {
    return act(fd);
  } finally {
    fs.closeSync(fd);
  }
}

const DEVIATIONS: readonly Deviation[] = [
  { about: "a hard link to a directory", act: (fs) => fs.linkSync("/d", "/d2"), memfs: "done", linux: "EPERM" },
  { about: "unlink of a directory", act: (fs) => fs.unlinkSync("/d"), memfs: "EPERM", linux: "EISDIR" },
  {
    about: "rename of a directory over a full one",
    act: (fs) => fs.renameSync("/d", "/full"),
    memfs: "done",
    linux: "ENOTEMPTY",
  },
  { about: "rename of a directory over a file", act: (fs) => fs.renameSync("/d", "/f"), memfs: "done", linux: "ENOTDIR" },
  { about: "rename of a file over a directory", act: (fs) => fs.renameSync("/f", "/d"), memfs: "done", linux: "EISDIR" },
  { about: "rename of a directory into itself", act: (fs) => fs.renameSync("/d", "/d/in/d"), memfs: "done", linux: "EINVAL" },
  {
    about: "rename between two names of one file",
    act: (fs) => {
      fs.linkSync("/f", "/g");
      fs.renameSync("/f", "/g");
      return fs.existsSync("/f");
    },
    memfs: false,
    linux: true,
  },
  { about: "a slash behind a file", act: (fs) => fs.statSync("/f/").isFile(), memfs: true, linux: "ENOTDIR" },
  {
    about: "write through a descriptor for reading",
    act: (fs) => withFile(fs, "r", (fd) => fs.writeSync(fd, "x")),
    memfs: 1,
    linux: "EBADF",
  },
  {
    about: "read through a descriptor for writing",
    act: (fs) => withFile(fs, "a", (fd) => fs.readSync(fd, Buffer.alloc(4), 0, 4, 0)),
    memfs: 4,
    linux: "EBADF",
  },
  {
    about: "ftruncate of a descriptor for reading",
    act: (fs) => withFile(fs, "r", (fd) => fs.ftruncateSync(fd, 1)),
    memfs: "done",
    linux: "EINVAL",
  },
  { about: "the mode of a new file", act: (fs) => (fs.statSync("/f").mode & 0o777).toString(8), memfs: "666", linux: "644" },
  { about: "the mode of a new directory", act: (fs) => (fs.statSync("/d").mode & 0o777).toString(8), memfs: "777", linux: "755" },
  {
    about: "a name of 300 bytes",
    act: (fs) => fs.writeFileSync(`/${"n".repeat(300)}`, ""),
    memfs: "done",
    linux: "ENAMETOOLONG",
  },
  {
    about: "root reads what nobody may",
    act: (fs) => {
      fs.chmodSync("/f", 0);
      return fs.readFileSync("/f", "utf8");
    },
    memfs: "EACCES",
    linux: "file",
  },
  { about: "st_dev", act: (fs) => fs.statSync("/f").dev === 0, memfs: true, linux: false },
  {
    about: "what a recursive mkdir says it made first",
    act: (fs) => fs.mkdirSync("/x/y", { recursive: true }),
    memfs: "/x/y",
    linux: "/x",
  },
  {
    about: "a recursive mkdir over a file",
    act: (fs) => fs.mkdirSync("/f", { recursive: true }),
    memfs: "done",
    linux: "EEXIST",
  },
  {
    about: "a recursive mkdir at a link that leads nowhere",
    act: (fs) => {
      fs.symlinkSync("none", "/l");
      fs.mkdirSync("/l", { recursive: true });
    },
    memfs: "done",
    linux: "ENOENT",
  },
  {
    about: "blocks of a sparse file",
    act: (fs) => {
      fs.truncateSync("/f", 1_000_000);
      return fs.statSync("/f").blocks;
    },
    memfs: 1,
    linux: 8,
  },
];

describe("where memfs does otherwise than Linux", () => {
  test.each(DEVIATIONS)("$about", ({ act, memfs: theirs, linux }) => {
    const { mem, sim } = both();
    makeTrees(mem as never);
    makeTrees(sim);
    expect({ memfs: outcome(() => act(mem as never)), cowlab: outcome(() => act(sim)) }).toEqual({
      memfs: theirs,
      cowlab: linux,
    });
  });
});
