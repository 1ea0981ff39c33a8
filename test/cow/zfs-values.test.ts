/** Values of datasets' properties: which are taken and as what, what they are by default, and where they come from (module/zcommon/zfs_prop.c, OpenZFS 2.1). */
import { describe, expect, test } from "vitest";
import { Dataset, Directory } from "../../sim/cow/zfs/dsl.ts";
import { OPENZFS_2_1, ZFS_PROFILES, ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
import { compressionOf, copiesOf, isSettable, keep, propertyOf, settingOf } from "../../sim/cow/zfs/properties.ts";

/** A word as it is kept; undefined where it is refused. */
function keptValue(name: string, word: string): string | undefined {
  const kept = keep(name, word);
  return "value" in kept ? kept.value : undefined;
}

/** Of each property with fixed values: the default, and what else it takes. */
const VALUES: Readonly<Record<string, string>> = {
  compression: "off on lzjb lz4 zle gzip gzip-1 gzip-9 zstd zstd-1 zstd-19 zstd-fast zstd-fast-10 zstd-fast-1000",
  atime: "on off",
  relatime: "off on",
  xattr: "on off sa",
  dedup: "off on verify sha256 sha512,verify edonr,verify",
  checksum: "on off fletcher2 fletcher4 sha256",
  copies: "1 2 3",
  redundant_metadata: "all most some",
  dnodesize: "legacy auto 1k 16k",
  exec: "on off",
  canmount: "on off noauto",
  sync: "standard always disabled",
  readonly: "off on",
};
const SIZES = ["quota", "refquota", "reservation", "refreservation"];

function directory(name = "tank", parent?: Directory, properties: Record<string, string> = {}): Directory {
  const made = new Directory(1, { name, parent, properties: Object.entries(properties) });
  parent?.addChild(made);
  return made;
}

describe("a property", () => {
  test.each(Object.entries(VALUES))("%s takes %s, the first by default, and nothing else", (name, values) => {
    const words = values.split(" ");
    for (const word of words) expect(keptValue(name, word)).toBe(word);
    for (const word of ["", "On", "4", "default", "gzip-10"]) expect(keptValue(name, word)).toBeUndefined();
    expect(propertyOf(directory(), name, OPENZFS_2_1)).toEqual({ value: words[0], source: "default" });
    expect(isSettable(name)).toBe(true);
  });

  test("is shown by the first of the words for a value", () => {
    const words = { compression: "gzip-6 zstd-fast-1", xattr: "dir", acltype: "posixacl noacl", aclinherit: "secure" };
    const shown = Object.entries(words).map(([name, all]) => all.split(" ").map((word) => keptValue(name, word)));
    expect(shown).toEqual([["gzip", "zstd-fast"], ["on"], ["posix", "off"], ["restricted"]]);
  });

  test.each(SIZES)("%s takes sizes, and is 0 by default", (name) => {
    expect(propertyOf(directory(), name, OPENZFS_2_1)).toEqual({ value: "0", source: "default" });
    expect([isSettable(name), keptValue(name, "none"), keptValue(name, "3k")]).toEqual([true, "0", "3072"]);
  });

  test.each<readonly [string, number | undefined]>([
    ["0", 0],
    ["17", 17],
    ["1b", 1],
    ["2k", 2048],
    ["2K", 2048],
    ["1.5k", 1536],
    ["1.0001k", 1024],
    ["10m", 10 * 2 ** 20],
    ["3G", 3 * 2 ** 30],
    ["2t", 2 * 2 ** 40],
    ["1p", 2 ** 50],
    ["1E", 2 ** 60],
    ["4kb", 4096],
    ["4KiB", 4096],
    ["", undefined],
    ["k", undefined],
    ["1.", undefined],
    [".5k", undefined],
    ["1.2.3", undefined],
    ["-1", undefined],
    ["1kk", undefined],
    ["1x", undefined],
    ["x1", undefined],
    ["1 k", undefined],
    ["auto", undefined],
  ])("of a size takes %j as %s", (text, size) => {
    expect(keptValue("quota", text)).toBe(size === undefined ? undefined : String(size));
  });

  test("recordsize takes powers of two from 512 bytes to 1 MiB", () => {
    const taken = ["512", "1k", "64K", "128k", "1M", "256", "2M", "1000", "513", "0", "none", "x"].map((text) =>
      keptValue("recordsize", text),
    );
    expect(taken).toEqual(["512", "1024", "65536", "131072", "1048576", ...new Array(7).fill(undefined)]);
    expect(propertyOf(directory(), "recordsize", OPENZFS_2_1)).toEqual({ value: "131072", source: "default" });
  });

  test("that nobody sets is not settable; a mount point is any text", () => {
    expect(["used", "origin", "mounted", "toString", "mountpoint"].map(isSettable)).toEqual([false, false, false, false, true]);
    expect(keptValue("mountpoint", "/anywhere")).toBe("/anywhere");
  });

  test("comes from the nearest dataset above that has it, but for those that nobody inherits", () => {
    const tank = directory("tank", undefined, { compression: "on", copies: "2", quota: "5000", atime: "off" });
    const a = directory("a", tank, { copies: "3" });
    const b = directory("b", a);
    const of = (name: string): unknown => {
      const { value, source } = propertyOf(b, name, OPENZFS_2_1);
      return [value, source];
    };
    expect(of("compression")).toEqual(["on", "inherited from tank"]);
    expect(of("copies")).toEqual(["3", "inherited from tank/a"]);
    expect(of("quota")).toEqual(["0", "default"]);
    expect(of("dedup")).toEqual(["off", "default"]);
    expect(propertyOf(a, "copies", OPENZFS_2_1)).toEqual({ value: "3", source: "local" });
    expect(propertyOf(tank, "quota", OPENZFS_2_1)).toEqual({ value: "5000", source: "local" });
    expect([copiesOf(tank, OPENZFS_2_1), copiesOf(b, OPENZFS_2_1), settingOf(b, "atime", OPENZFS_2_1)]).toEqual([2, 3, "off"]);
    expect([settingOf(b, "quota", OPENZFS_2_1), settingOf(b, "sync", OPENZFS_2_1)]).toEqual(["0", "standard"]);
  });

  test("mountpoint is a dataset's own name, or what is above with the rest of the name behind", () => {
    const of = (value: string | undefined): unknown[] => {
      const tank = directory("tank", undefined, value === undefined ? {} : { mountpoint: value });
      const b = directory("b", directory("a", tank));
      return [tank, b].map((one) => propertyOf(one, "mountpoint", OPENZFS_2_1).value);
    };
    expect(of(undefined)).toEqual(["/tank", "/tank/a/b"]);
    expect(of("/mnt")).toEqual(["/mnt", "/mnt/a/b"]);
    expect([of("none"), of("legacy")]).toEqual([
      ["none", "none"],
      ["legacy", "legacy"],
    ]);
  });

  test("compression=on is what the version makes of it, and so is the default", () => {
    const [plain, on, off] = [
      directory(),
      directory("tank", undefined, { compression: "on" }),
      directory("tank", undefined, { compression: "off" }),
    ];
    const current = ZFS_PROFILES.get("current") ?? OPENZFS_2_1;
    for (const [profile, expected] of [
      [ZFS_V23, ["off", "lzjb", "off"]],
      [OPENZFS_2_1, ["off", "lz4", "off"]],
      [current, ["lz4", "lz4", "off"]],
    ] as const)
      expect([plain, on, off].map((one) => compressionOf(one, profile))).toEqual(expected);
  });
});

describe("what a pool keeps for itself", () => {
  test.each([
    [100 * 2 ** 20, 50 * 2 ** 20, 32 * 2 ** 20],
    [2 ** 30, 128 * 2 ** 20, 32 * 2 ** 20],
    [2 ** 33, 2 ** 28, 2 ** 27],
    [2 ** 43, 2 ** 37, 2 ** 37],
  ])("of %i bytes is %i, and %i in version 23 (spa_get_slop_space)", (space, slop, old) => {
    expect([OPENZFS_2_1.slop(space), ZFS_V23.slop(space)]).toEqual([slop, old]);
  });

  test.each([
    [2 ** 26, 20],
    [2 ** 31, 24],
    [10 * 2 ** 30, 26],
  ])("is cut by version 23 into metaslabs of a two-hundredth: of %i bytes 2^%i", (size, shift) => {
    expect(ZFS_V23.metaslabShift(size)).toBe(shift);
  });
});

describe("a directory of datasets", () => {
  test("knows its name and those below, in the order of their names, and who its clones are", () => {
    const tank = directory();
    const [b, a] = [directory("b", tank), directory("a", tank)];
    const c = directory("c", b);
    expect([c.path, [...tank.below()].map(({ path }) => path)]).toEqual(["tank/b/c", ["tank", "tank/a", "tank/b", "tank/b/c"]]);
    tank.removeChild(b);
    expect([...tank.below()]).toEqual([tank, a]);
    const snapshot = new Dataset(9, tank, "s");
    expect([snapshot.path, snapshot.isSnapshot, tank.head.path, tank.head.isSnapshot]).toEqual(["tank@s", true, "tank", false]);
    const clones = [a.head, b.head, c.head];
    const counts = clones.map((clone) => {
      snapshot.addClone(clone);
      return [...snapshot.clones].length;
    });
    expect(counts).toEqual([1, 2, 3]);
    snapshot.removeClone(b.head);
    expect([...snapshot.clones]).toEqual([a.head, c.head]);
    snapshot.removeClone(a.head);
    expect(snapshot.hasClones).toBe(true);
    snapshot.removeClone(c.head);
    expect([snapshot.hasClones, [...snapshot.clones]]).toEqual([false, []]);
    const lone = new Dataset(10, tank, "t");
    lone.addClone(a.head);
    lone.removeClone(b.head);
    expect(lone.hasClones).toBe(true);
    lone.removeClone(a.head);
    expect([lone.hasClones, [...lone.clones]]).toEqual([false, []]);
  });
});
