/** What Docker 20.10.24 (Go 1.19) made of odd layers when they were loaded: recorded with overlay2 and vfs on ext4, Linux 6.18. */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { createHost } from "../../sim/host.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import * as tar from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { type LayerForm, unpackLayer } from "../../src/archive/unpack.ts";
import { must } from "../drivers/docker-host.ts";

type Texts = Partial<Record<"name" | "type" | "link" | "size" | "uid" | "mtime" | "magic" | "prefix" | "star" | "mode", string>>;

const PLACES: Readonly<Record<keyof Texts, number>> = {
  name: 0,
  mode: 100,
  uid: 108,
  size: 124,
  mtime: 136,
  type: 156,
  link: 157,
  magic: 257,
  prefix: 345,
  star: 508,
};
const PLAIN: Texts = {
  type: "0",
  mode: "0000644",
  uid: "0000000",
  size: "00000000000",
  mtime: "13727410000",
  magic: "ustar\x0000",
};

/** A header's block. */
function block(texts: Texts): Uint8Array {
  const raw = new Uint8Array(512);
  const put = (at: number, text: string): void => raw.set(new TextEncoder().encode(text), at);
  for (const [key, text] of Object.entries({ ...PLAIN, ...texts })) put(PLACES[key as keyof Texts], text);
  put(
    148,
    `${tar
      .checksumOf(raw.fill(0x20, 148, 156))
      .unsigned.toString(8)
      .padStart(6, "0")}\0 `,
  );
  return raw;
}

/** A content in whole blocks. */
const padded = (text: string): Uint8Array => {
  const raw = new TextEncoder().encode(text);
  const out = new Uint8Array(Math.ceil(raw.length / 512) * 512);
  out.set(raw);
  return out;
};
const pax = (record: string): Uint8Array[] => [
  block({ name: "pax", type: "x", size: record.length.toString(8).padStart(11, "0") }),
  padded(record),
];
const gnuName = (name: string): Uint8Array[] => [
  block({ name: "long", type: "L", size: (name.length + 1).toString(8).padStart(11, "0") }),
  padded(`${name}\0`),
];
const END = new Uint8Array(1024);
const archive = (...parts: Uint8Array[]): Content => Content.concat([...parts, END].map((part) => Content.literal(part)));

/** Unpacks into a folder. @returns a process in it, or the words of what failed */
function unpacked(content: Content, form: LayerForm): Task | string {
  const { task } = createHost({ seed: 1 });
  must(task.mkdir("/layer", 0o755));
  const inside = must(task.chroot("/layer"));
  const size = unpackLayer(inside, { entries: readTar(content, { mode: "docker" }), mode: "docker" }, form);
  return typeof size === "number" ? inside : size.message;
}

function into(content: Content, form: LayerForm = "overlay"): Task {
  const task = unpacked(content, form);
  if (typeof task === "string") throw new Error(task);
  return task;
}

function statOf(task: Task, path: string): { uid: number; seconds: number; mode: number } {
  const of = newAttributes();
  must(task.lstat(path, of));
  return { uid: of.uid, seconds: of.mtime.seconds, mode: of.mode & 0o7777 };
}

const namesOf = (content: Content): string[] => [...readTar(content, { mode: "docker" })].map(({ header }) => header.name);

describe("the reader of Docker's tars", () => {
  test("takes GNU's long name before PAX's path, whichever comes first", () => {
    expect(namesOf(archive(...pax("12 path=one\n"), ...gnuName("two"), block({ name: "f" })))).toEqual(["two"]);
    expect(namesOf(archive(...gnuName("two"), ...pax("12 path=one\n"), block({ name: "f" })))).toEqual(["two"]);
  });

  test("takes a prefix where GNU's header has times, as Go before 1.8 wrote it, and none where they are numbers", () => {
    const gnu = { name: "f", magic: "ustar  \0" };
    expect(namesOf(archive(block({ ...gnu, prefix: "some/prefix" })))).toEqual(["some/prefix/f"]);
    expect(namesOf(archive(block({ ...gnu, prefix: "sóme/prefix" })))).toEqual(["f"]);
    expect(namesOf(archive(block({ ...gnu, prefix: "13727410000\0" })))).toEqual(["f"]);
  });

  test("knows star's header, whose prefix is shorter", () => {
    const prefix = `${"p".repeat(131)}13727410000\0`;
    expect(namesOf(archive(block({ name: "f", prefix, star: "tar\0" })))).toEqual([`${"p".repeat(131)}/f`]);
  });

  test("drops a name or records behind which no entry comes, and refuses half a block of zeros", () => {
    expect(namesOf(archive(...pax("12 path=one\n")))).toEqual([]);
    expect(namesOf(archive(...gnuName("two")))).toEqual([]);
    const cut = Content.concat([Content.literal(block({ name: "f" })), Content.zeros(700)]);
    expect(() => namesOf(cut)).toThrow("the archive ends within a header");
  });

  test("takes an extended attribute without a value for none", () => {
    const [only] = readTar(archive(...pax("25 SCHILY.xattr.user.ab=\n"), block({ name: "f" })), { mode: "docker" });
    expect(only?.header.xattrs).toEqual([]);
  });

  test("counts the size of a hard link, behind which nothing stands", () => {
    const entries = [...readTar(archive(block({ name: "h", type: "1", link: "a", size: "00000000005" })), { mode: "docker" })];
    expect(entries.map(({ header, content }) => [header.size, content.length])).toEqual([[5, 0]]);
  });
});

describe("unpacking as Docker does", () => {
  test.each([
    ["beyond what 64 bits of nanoseconds hold is 1970", "0", "23 mtime=1099511627776\n", 0],
    ["of a symbolic link keeps its sign", "2", "12 mtime=-5\n", -5],
  ])("a time %s", (_, type, record, seconds) => {
    const task = into(archive(...pax(record), block({ name: "f", type, link: type === "2" ? "x" : "" })));
    expect(statOf(task, "/f").seconds).toBe(seconds);
  });

  test("an owner of -1 stays who makes the file", () => {
    expect(statOf(into(archive(...pax("10 uid=-1\n"), block({ name: "f" }))), "/f").uid).toBe(0);
  });

  test("a native driver passes over an entry of the root by any name but /, whose bits it sets; the naive ones set those of both", () => {
    const root = (name: string, form: LayerForm): number =>
      statOf(into(archive(block({ name, type: "5", mode: "0000700" })), form), "/").mode;
    expect([root("./", "overlay"), root("/", "overlay")]).toEqual([0o755, 0o700]);
    expect([root("./", "merge"), root("/", "merge")]).toEqual([0o700, 0o700]);
  });

  test("a file in the place of the root is passed over by a native driver, and stops a naive one", () => {
    expect(unpacked(archive(block({ name: "." })), "overlay")).toBeTypeOf("object");
    expect(unpacked(archive(block({ name: "." })), "merge")).toBe("unlinkat .//: device or resource busy");
    expect(unpacked(archive(block({ name: ".wh." })), "merge")).toBe("unlinkat .//: device or resource busy");
  });

  test("a folder that a whiteout of its own layer takes away stops a naive driver, which sets its times last", () => {
    const layer = archive(block({ name: "d/", type: "5" }), block({ name: ".wh.d" }));
    expect(unpacked(layer, "merge")).toBe("chtimes /d: no such file or directory");
    expect(unpacked(layer, "overlay")).toBe('failed to mknod("/d", S_IFCHR, 0): file exists');
  });

  test("errors are worded as Go words them", () => {
    expect(unpacked(archive(block({ name: "e", type: "2" })), "merge")).toBe("symlink  /e: no such file or directory");
    const large = `user.a=${"v".repeat(70_000)}\n`;
    const record = `SCHILY.xattr.${large}`;
    expect(unpacked(archive(...pax(`${record.length + 6} ${record}`), block({ name: "f" })), "merge")).toBe(
      "argument list too long",
    );
  });
});

describe("a sparse file", () => {
  const record = (key: string, value: string): string => {
    const rest = ` GNU.sparse.${key}=${value}\n`;
    const digits = String(rest.length + 2).length;
    return `${rest.length + digits}${rest}`;
  };
  const file = (records: readonly (readonly [string, string])[], stored: string): Content =>
    archive(
      ...pax(records.map(([key, value]) => record(key, value)).join("")),
      block({ name: "GNUSparseFile.1/f", size: stored.length.toString(8).padStart(11, "0") }),
      padded(stored),
    );
  const OLD = [
    ["name", "f"],
    ["size", "12"],
    ["numblocks", "2"],
  ] as const;
  const NEW = [
    ["major", "1"],
    ["minor", "0"],
    ["name", "f"],
    ["realsize", "12"],
  ] as const;
  const inside = (map: string): string => map.padEnd(512, "\0");

  test.each([
    ["0.0", file([...OLD, ["offset", "2"], ["numbytes", "2"], ["offset", "8"], ["numbytes", "1"]], "abc")],
    ["0.1", file([...OLD, ["map", "2,2,8,1"]], "abc")],
    ["1.0", file(NEW, `${inside("2\n2\n2\n8\n1\n")}abc`)],
  ])("of PAX %s is taken in whole, by its own name, and its layer is not given out", (_, content) => {
    const [only] = readTar(content, { mode: "docker", checksums: true });
    expect([only?.header.name, only?.header.size, only?.content.toText()]).toEqual(["f", 12, "\0\0ab\0\0\0\0c\0\0\0"]);
    const [again] = readTar(archive(block({ name: "f", size: "00000000014" }), only?.content.toBytes() ?? END), {
      mode: "docker",
      checksums: true,
    });
    expect(only?.checksum).toEqual(again?.checksum);
    expect(() => [...readTar(content, { mode: "strict" })]).toThrow("is a sparse file");
  });

  test.each([
    ["a number too few", file([...OLD, ["map", "2,2,8"]], "abc"), "has not the length that it says"],
    ["runs that overlap", file([...OLD, ["map", "2,2,3,1"]], "abc"), "does not fit the file"],
    ["a run behind the end", file([...OLD, ["map", "2,2,12,1"]], "abc"), "does not fit the file"],
    ["words", file([...OLD, ["map", "2,2,x,1"]], "abc"), "holds what is no number"],
    ["less data than it says", file([...OLD, ["map", "2,2,8,1"]], "ab"), "ends within a sparse file"],
    ["more data than it says", file([...OLD, ["map", "2,2,8,1"]], "abcd"), "leaves data of the file out"],
    ["two offsets", file([...OLD, ["offset", "2"], ["offset", "8"]], "abc"), "is out of order"],
    ["no end inside", file(NEW, inside("2\n2\n2\n8\n1")), "holds what is no number"],
    ["no count inside", file(NEW, ""), "ends within the map"],
    ["too many runs", file(NEW, inside("200000\n")), "more than 100000 runs"],
  ])("whose map has %s is refused", (_, content, words) => {
    expect(() => [...readTar(content, { mode: "docker" })]).toThrow(words);
  });

  test("of a version that nobody knows is a file as it is stored", () => {
    const [only] = readTar(
      file(
        [
          ["major", "2"],
          ["minor", "0"],
          ["name", "f"],
        ],
        "abc",
      ),
      { mode: "docker" },
    );
    expect([only?.header.name, only?.content.toText()]).toEqual(["GNUSparseFile.1/f", "abc"]);
  });
});
