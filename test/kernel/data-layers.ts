/**
 * Scripts of data-only layers (lowerdir=a::b), whose answers are the kernel's, recorded on Linux 6.18.
 */

import type { MountStep } from "../../src/node/kernel-oracle.ts";
import type { MountCase } from "./mounts.ts";

const UPPER = "upperdir=u,workdir=w";

const LARGE = "b".repeat(9000);

const mkdir = (path: string): MountStep => ({ do: "mkdir", path });
const write = (path: string, text: string): MountStep => ({ do: "write", path, text });
const overlay = (options: string): MountStep => ({ do: "overlay", path: "m", options });
const metacopy = (path: string, size: number, redirect?: string): MountStep => ({
  do: "metacopy",
  path,
  size,
  ...(redirect === undefined ? {} : { redirect }),
});

/** Files whose attributes are in l or l2 and whose data are, or are not, somewhere below. */
const GROUND: readonly MountStep[] = [
  ...["l", "l2", "d", "d2", "u", "w", "d/dir"].map(mkdir),
  write("d/x", "data"),
  write("d/dir/y", "deep"),
  write("d/big", LARGE),
  write("d2/second", "second"),
  write("l2/real", "real"),
  { do: "symlink", path: "d/link", text: "x" },
  { do: "symlink", path: "d/by", text: "dir" },
  metacopy("l/absolute", 4, "/x"),
  metacopy("l/chain", 4),
  metacopy("l2/chain", 4, "/x"),
  metacopy("l/shown", 4, "/real"),
  metacopy("l/renamed", 4, "other"),
  metacopy("l2/other", 4, "/x"),
  metacopy("l2/nothing", 4),
  metacopy("l2/relative", 4, "x"),
  metacopy("l2/deep", 4, "/dir/y"),
  metacopy("l2/large", 3, "/big"),
  metacopy("l2/second", 6, "/second"),
  metacopy("l2/folder", 4, "/dir"),
  metacopy("l2/link", 4, "/link"),
  metacopy("l2/by", 4, "/by/y"),
  metacopy("l2/none", 5000, "/none"),
];
const NAMES = [
  "absolute",
  "chain",
  "shown",
  "renamed",
  "nothing",
  "relative",
  "deep",
  "large",
  "second",
  "folder",
  "link",
  "by",
  "none",
  "x",
];

const look = (name: string): MountStep[] => [
  { do: "stat", path: `m/${name}` },
  { do: "read", path: `m/${name}` },
];
/** Changes a file's mode, and looks at it in the mount and in the upper layer. */
const change = (name: string): MountStep[] => [
  { do: "chmod", path: `m/${name}` },
  { do: "stat", path: `m/${name}` },
  { do: "stat", path: `u/${name}` },
];
const twice = (name: string): MountStep[] => [...look(name), { do: "stat", path: `m/${name}` }];

function dataLayers(name: string, steps: readonly MountStep[], answers: readonly string[]): MountCase {
  return { name: `data-only layers: ${name}`, steps: [...GROUND, ...steps], answers: [...GROUND.map(() => "ok"), ...answers] };
}

/** What a mount and a look at each name give where files without data are not followed. */
const WITHOUT_METACOPY = [
  "ok",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "EPERM",
  "4 bytes, 8 blocks",
  "read deep",
  "3 bytes, 8 blocks",
  `read ${LARGE}`,
  "6 bytes, 8 blocks",
  "read second",
  "4 bytes, 8 blocks",
  "ENOENT",
  "4 bytes, 8 blocks",
  "ENOENT",
  "4 bytes, 8 blocks",
  "ENOENT",
  "5000 bytes, 16 blocks",
  "ENOENT",
  "ENOENT",
  "ENOENT",
];

export const DATA_LAYER_CASES: readonly MountCase[] = [
  dataLayers(
    "files are found with metacopy=on",
    [overlay("lowerdir=l:l2::d::d2,metacopy=on"), ...NAMES.flatMap(twice)],
    [
      "ok",
      "4 bytes, 8 blocks",
      "read data",
      "4 bytes, 8 blocks",
      "4 bytes, 8 blocks",
      "read data",
      "4 bytes, 8 blocks",
      "4 bytes, 8 blocks",
      "read real",
      "4 bytes, 8 blocks",
      "4 bytes, 8 blocks",
      "read data",
      "4 bytes, 8 blocks",
      "EIO",
      "EIO",
      "EIO",
      "EIO",
      "EIO",
      "EIO",
      "4 bytes, 8 blocks",
      "read deep",
      "4 bytes, 8 blocks",
      "3 bytes, 8 blocks",
      `read ${LARGE}`,
      "3 bytes, 24 blocks",
      "6 bytes, 8 blocks",
      "read second",
      "6 bytes, 8 blocks",
      "4 bytes, 8 blocks",
      "ENOENT",
      "4 bytes, 8 blocks",
      "4 bytes, 8 blocks",
      "ENOENT",
      "4 bytes, 8 blocks",
      "4 bytes, 8 blocks",
      "ENOENT",
      "4 bytes, 8 blocks",
      "5000 bytes, 16 blocks",
      "ENOENT",
      "5000 bytes, 16 blocks",
      "ENOENT",
      "ENOENT",
      "ENOENT",
    ],
  ),
  dataLayers(
    "only the lowest layer's files are found without it",
    [overlay("lowerdir=l:l2::d::d2"), ...NAMES.flatMap(look)],
    WITHOUT_METACOPY,
  ),
  dataLayers(
    "nor do redirects that are refused matter",
    [overlay("lowerdir=l:l2::d::d2,redirect_dir=nofollow"), ...NAMES.flatMap(look)],
    WITHOUT_METACOPY,
  ),
  dataLayers(
    "the upper layer's files without data need a lower one",
    [metacopy("u/here", 4, "/x"), overlay(`lowerdir=l2::d,${UPPER},metacopy=on`), ...look("here"), ...look("deep")],
    ["ok", "ok", "EIO", "EIO", "4 bytes, 8 blocks", "read deep"],
  ),
  dataLayers(
    "copy-up finds the data first",
    [
      overlay(`lowerdir=l2::d::d2,${UPPER}`),
      ...["none", "deep", "large"].flatMap(change),
      { do: "append", path: "m/second", text: "+" },
      ...look("second"),
      { do: "append", path: "m/folder", text: "+" },
      { do: "unlink", path: "m/none" },
      { do: "stat", path: "m/none" },
    ],
    [
      "ok",
      "ENOENT",
      "5000 bytes, 16 blocks",
      "ENOENT",
      "ok",
      "4 bytes, 8 blocks",
      "4 bytes, 8 blocks",
      "ok",
      "3 bytes, 8 blocks",
      "3 bytes, 8 blocks",
      "ok",
      "7 bytes, 8 blocks",
      "read second+",
      "ENOENT",
      "ok",
      "ENOENT",
    ],
  ),
  dataLayers(
    "with metacopy=on too",
    [
      overlay(`lowerdir=l2::d::d2,${UPPER},metacopy=on`),
      ...["none", "deep", "large"].flatMap(change),
      { do: "append", path: "m/large", text: "+" },
      { do: "stat", path: "m/large" },
      { do: "stat", path: "u/large" },
    ],
    [
      "ok",
      "ENOENT",
      "5000 bytes, 16 blocks",
      "ENOENT",
      "ok",
      "4 bytes, 8 blocks",
      "4 bytes, 0 blocks",
      "ok",
      "3 bytes, 24 blocks",
      "3 bytes, 0 blocks",
      "ok",
      "4 bytes, 8 blocks",
      "4 bytes, 8 blocks",
    ],
  ),
  ...(
    [
      ["on", "read data", "ok"],
      ["require", "EIO", "EIO"],
    ] as const
  ).map(([verity, read, changed]) =>
    dataLayers(
      `attributes without a digest under verity=${verity}`,
      [
        overlay(`lowerdir=l2:d,${UPPER},verity=${verity},metacopy=on`),
        { do: "stat", path: "m/chain" },
        { do: "read", path: "m/chain" },
        { do: "chmod", path: "m/chain" },
        { do: "chmod", path: "m/dir/y" },
        { do: "stat", path: "u/dir/y" },
        { do: "unlink", path: "m/chain" },
      ],
      ["ok", "4 bytes, 8 blocks", read, changed, "ok", verity === "on" ? "4 bytes, 0 blocks" : "4 bytes, 8 blocks", "ok"],
    ),
  ),
  ...(
    [
      ["lowerdir=l::", "EINVAL"],
      ["lowerdir=::d", "EINVAL"],
      ["lowerdir=l::d:l2", "EINVAL"],
      ["lowerdir=l:::d", "EINVAL"],
      ["lowerdir=l::d:", "EINVAL"],
      ["lowerdir=l::l", "ELOOP"],
      ["lowerdir=l::l2::l2", "ELOOP"],
      ["lowerdir=d::d/dir", "ELOOP"],
      ["lowerdir=l::nowhere", "ENOENT"],
      ["lowerdir+=l,datadir+=d", "ok"],
      ["lowerdir+=l,datadir+=d,lowerdir+=l2", "EINVAL"],
      ["datadir+=d", "EINVAL"],
      ["datadir+=d,datadir+=d2", "EINVAL"],
      [`datadir+=d,${UPPER}`, "EINVAL"],
      ["lowerdir=l::d,datadir+=d2", "EINVAL"],
      ["lowerdir=l,lowerdir+=l2", "EINVAL"],
      [`lowerdir=l,lowerdir+=l2,${UPPER}`, "EINVAL"],
      [`lowerdir=l,datadir+=d,${UPPER}`, "EINVAL"],
      ["lowerdir+=l,lowerdir=l:l2", "ok"],
      ["datadir+=d,lowerdir=l:l2", "ok"],
      [`lowerdir=l::d,${UPPER},index=on,nfs_export=on`, "ok"],
      ["lowerdir=l::d,userxattr", "ok"],
      ["lowerdir=l::d,metacopy=off,redirect_dir=off", "ok"],
    ] as const
  ).map(([options, answer]) => dataLayers(options, [overlay(options)], [answer])),
];
