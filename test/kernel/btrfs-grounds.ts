/** What random histories of a btrfs are made of: on each ground changes of its own, and options of mount. */
import fc from "fast-check";
import type { Change } from "../cow/btrfs-history.ts";

const SECTOR = 4096;

// What there is mostly: the first ones.
const volume = fc.constantFrom("v0", "v0", "v0", "v1", "v1", "v2", "v3");
const nested = fc.tuple(volume, fc.nat(1)).map(([of, n]) => `${of}/n${n}`);
const folder = fc.tuple(volume, fc.constantFrom("d0", "d1", "d0/e", "d1/e")).map(([of, name]) => `${of}/${name}`);
const file = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(volume, fc.nat(3)).map(([of, n]) => `${of}/f${n}`) },
  fc.tuple(volume, fc.nat(1), fc.nat(2)).map(([of, d, n]) => `${of}/d${d}/f${n}`),
);
const either = fc.oneof({ weight: 2, arbitrary: file }, folder);
const sectors = (most: number): fc.Arbitrary<number> => fc.nat(most).map((n) => n * SECTOR);
const group = fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })).map(([level, id]) => `${level}/${id}`);
const member = fc.oneof(
  fc.nat(3).map((n) => `0/${256 + n}`),
  group,
);
const xattr = fc.nat(2).map((n) => `user.x${n}`);

type Fields = { [K in keyof Change]: fc.Arbitrary<Change[K]> };
/** A change of one of some kinds. */
const change = (kinds: readonly string[], fields: Omit<Fields, "do">): fc.Arbitrary<Change> =>
  fc.record({ do: fc.constantFrom(...kinds), ...fields } as Fields) as fc.Arbitrary<Change>;

const bytes = { kind: fc.constantFrom("r", "r", "z", "t"), seed: fc.nat() } as const;
const write = change(["write"], { path: file, offset: fc.nat(200_000), length: fc.integer({ min: 1, max: 200_000 }), ...bytes });
const small = change(["write"], { path: file, offset: fc.nat(3000), length: fc.integer({ min: 1, max: 3000 }), ...bytes });
const truncate = change(["truncate"], { path: file, length: fc.oneof(fc.nat(5000), fc.nat(200_000)) });
const share = fc.oneof(
  change(["clone"], { path: file, other: file }),
  change(["clonerange", "copyrange"], { path: file, other: file, offset: sectors(9), to: sectors(19), length: sectors(9) }),
);
const fallocate = change(["punch", "fallocate", "keep", "zero", "zerokeep"], {
  path: file,
  offset: fc.oneof(sectors(20), fc.nat(90_000)),
  length: fc.oneof(sectors(20), fc.nat(80_000)).map((n) => n + 1),
});
const snapshot = change(["snapshot", "snapshot", "snapshot", "rosnap"], { path: volume, other: volume });
/** A subvolume goes, mostly one that is there no longer than others. */
const remove = change(["delete"], { path: fc.constantFrom("v0", "v1", "v2", "v2", "v3", "v3") });
const anew = change(["subvolume"], { path: volume });
const unlink = change(["unlink"], { path: file });
const makeFolder = change(["mkdir", "mkdir", "rmdir"], { path: folder });
const move = change(["rename", "rename", "exchange", "whiteout", "noreplace"], { path: either, other: either });
const many = change(["many"], {
  path: volume,
  offset: fc.integer({ min: 10, max: 60 }),
  length: fc.constantFrom(100, 1500, 3000),
  ...bytes,
});
const flags = change(["chflags"], { path: either, flags: fc.constantFrom(0, 4, 0x400, 0x80_0000, 0x10, 0x80) });
const hold = fc.oneof(
  change(["hold"], { path: file, name: fc.constantFrom("one", "two") }),
  change(["letgo"], { name: fc.constantFrom("one", "two") }),
  change(["fwrite"], { name: fc.constantFrom("one", "two"), offset: fc.nat(90_000), length: fc.nat(60_000), ...bytes }),
);
const statfs = change(["statfs"], { path: fc.constant("") });
const DATA = [
  statfs,
  write,
  write,
  write,
  small,
  small,
  small,
  truncate,
  truncate,
  share,
  share,
  fallocate,
  fallocate,
  snapshot,
  anew,
  unlink,
  remove,
];

/** What each history begins with: two subvolumes with folders and files in them. */
export const BEGINNING: readonly Change[] = ["v0", "v1"].flatMap((of, at) => [
  { do: "subvolume", path: of },
  { do: "mkdir", path: `${of}/d0` },
  { do: "mkdir", path: `${of}/d${at}/e` },
  ...["f0", "f1", "f2", "d0/f0", "d0/f1"].map((name, n) => ({
    do: "write",
    path: `${of}/${name}`,
    length: 1500 + 20_000 * n * (n + at),
    kind: (["t", "r", "z"] as const)[n % 3] ?? "r",
    seed: n,
  })),
]);

/** The same few bytes in many places, whose extents are then shared. */
const alike = change(["write"], {
  path: file,
  offset: sectors(3),
  length: fc.oneof(sectors(8), fc.constantFrom(5000, 9000, 60_000)),
  kind: fc.constantFrom("t", "z"),
});
const sharing = [
  alike,
  alike,
  change(["dedupe"], {
    path: file,
    other: file,
    offset: sectors(3),
    to: sectors(5),
    length: fc.oneof(sectors(8), fc.constantFrom(5000, 9000, 60_000)),
  }),
  share,
  share,
  snapshot,
  anew,
  remove,
  move,
  truncate,
  fallocate,
];
/** What changes there are on which ground, and the options of mount. */
export const GROUNDS: readonly [string, readonly fc.Arbitrary<Change>[], readonly string[]][] = [
  ["data", [...DATA, many], [""]],
  [
    "names",
    [
      small,
      makeFolder,
      move,
      move,
      unlink,
      snapshot,
      change(["link"], { path: file, other: file }),
      change(["links", "unlinks"], {
        path: file,
        other: volume.map((of) => `${of}/`),
        offset: fc.nat(90),
        length: fc.constantFrom(1, 200, 250),
      }),
      change(["symlink"], { path: file, other: fc.nat(300).map((n) => "t".repeat(n + 1)) }),
      change(["setxattr"], {
        path: either,
        name: xattr,
        value: fc.constant("v"),
        times: fc.constantFrom(0, 1, 1000, 4000, 16_211, 16_218),
      }),
      change(["rmxattr", "listxattr"], { path: either, name: xattr }),
    ],
    [""],
  ],
  [
    "volumes",
    [
      small,
      write,
      snapshot,
      makeFolder,
      move,
      many,
      change(["subvolume"], { path: nested }),
      change(["snapshot"], { path: fc.oneof(volume, nested), other: nested }),
      change(["delete", "rmdir", "rmrf"], { path: fc.oneof(volume, nested) }),
      change(["rename"], { path: fc.oneof(volume, nested), other: fc.oneof(volume, nested) }),
      change(["setro"], { path: volume, flags: fc.constantFrom(2, 0, 0) }),
    ],
    [""],
  ],
  ["what is held open", [...DATA, hold, hold, hold], [""]],
  ["no copying", [...DATA, flags, flags, makeFolder], ["", "nodatacow", "nodatasum"]],
  [
    "compression",
    [
      ...DATA,
      makeFolder,
      flags,
      change(["setxattr"], {
        path: either,
        name: fc.constant("btrfs.compression"),
        value: fc.constantFrom("zlib", "lzo", "zstd:3", "no", "", "bogus"),
      }),
      change(["getxattr", "rmxattr"], { path: either, name: fc.constant("btrfs.compression") }),
      change(["flags", "listxattr"], { path: either }),
    ],
    ["", "compress=zstd", "compress-force=lzo"],
  ],
  [
    "limits",
    [...DATA, change(["limit"], { path: volume, length: fc.constantFrom(0, 100_000, 1_048_576), flags: fc.nat(1) })],
    [""],
  ],
  [
    "groups of groups",
    [
      ...DATA,
      change(["qcreate"], { name: group }),
      change(["qdestroy"], { name: member }),
      change(["qassign", "qassign", "qremove"], { name: member, value: group }),
    ],
    [""],
  ],
  [
    "mounts",
    [...DATA, many, change(["remount"], {})],
    ["", "space_cache=v2", "max_inline=0", "max_inline=1000", "nodiscard", "discard"],
  ],
  ["sharing", sharing, ["", "compress=zlib", "nodatacow"]],
];
