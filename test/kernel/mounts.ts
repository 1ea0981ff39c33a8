/**
 * Scripts of mounts whose answers are the kernel's, recorded on Linux 6.18: layers that contradict each other, options that do, directories
 * that another mount has. The same scripts are asked again where the machine's kernel can be.
 */
import type { MountStep } from "../../src/node/kernel-oracle.ts";

export interface MountCase {
  readonly name: string;
  readonly steps: readonly MountStep[];
  /** What Linux 6.18 answered, step by step. */
  readonly answers: readonly string[];
}

const FOLDERS = ["l1", "l2", "l3", "u", "w", "u2", "w2", "l1/in", "u/in"];
const folders: readonly MountStep[] = FOLDERS.map((path) => ({ do: "mkdir", path }));
const overlay = (options: string, path = "m"): MountStep => ({ do: "overlay", path, options });
const step = (what: MountStep["do"], path: string): MountStep => ({ do: what, path });
const UPPER = "upperdir=u,workdir=w";
/** mount(2) takes a page of options, of which the last byte ends the text: here what fills it but for `left` bytes. */
const filled = (left: number): string => `lowerdir=l1,${UPPER}`.padEnd(4095 - left, ",");

function mounts(name: string, steps: readonly MountStep[], answers: readonly string[]): MountCase {
  return { name, steps: [...folders, ...steps], answers: [...folders.map(() => "ok"), ...answers] };
}

const LOWERS_500 = Array.from({ length: 500 }, (_, at) => `x${at}`);
const manyFolders: readonly MountStep[] = [...LOWERS_500, "x500"].map((path) => ({ do: "mkdir", path }));

export const MOUNT_CASES: readonly MountCase[] = [
  mounts("no options", [overlay("")], ["EINVAL"]),
  mounts("an upper layer alone", [overlay(UPPER)], ["EINVAL"]),
  mounts("one lower layer alone", [overlay("lowerdir=l1")], ["EINVAL"]),
  mounts("two lower layers alone", [overlay("lowerdir=l1:l2")], ["ok"]),
  mounts("an upper layer without a work directory", [overlay("lowerdir=l1,upperdir=u")], ["EINVAL"]),
  mounts("a work directory without an upper layer", [overlay("lowerdir=l1:l2,workdir=w")], ["ok"]),
  mounts("a lower layer that is not there", [overlay(`lowerdir=nowhere,${UPPER}`)], ["ENOENT"]),
  mounts("a lower layer that is a file", [step("file", "f"), overlay(`lowerdir=f,${UPPER}`)], ["ok", "EINVAL"]),
  mounts("an upper layer that is a lower one", [overlay("lowerdir=u,upperdir=u,workdir=w")], ["ELOOP"]),
  mounts("one lower layer twice", [overlay(`lowerdir=l1:l1,${UPPER}`)], ["ELOOP"]),
  mounts("lower layers in each other", [overlay(`lowerdir=l1:l1/in,${UPPER}`)], ["ELOOP"]),
  mounts("lower layers in each other, the other way", [overlay(`lowerdir=l1/in:l1,${UPPER}`)], ["ELOOP"]),
  mounts("a lower layer in the upper one", [overlay(`lowerdir=u/in,${UPPER}`)], ["ELOOP"]),
  mounts("the upper layer in a lower one", [overlay("lowerdir=l1,upperdir=l1/in,workdir=w")], ["ok"]),
  mounts("a work directory that is the upper layer", [overlay("lowerdir=l1,upperdir=u,workdir=u")], ["EINVAL"]),
  mounts("a work directory in the upper layer", [overlay("lowerdir=l1,upperdir=u,workdir=u/in")], ["EINVAL"]),
  mounts("an unknown option", [overlay(`lowerdir=l1,${UPPER},nonsense=1`)], ["EINVAL"]),
  mounts("a bad value", [overlay(`lowerdir=l1,${UPPER},index=maybe`)], ["EINVAL"]),
  mounts("an empty lower layer in front", [overlay(`lowerdir=:l1,${UPPER}`)], ["EINVAL"]),
  mounts("an empty lower layer behind", [overlay(`lowerdir=l1:,${UPPER}`)], ["EINVAL"]),
  mounts("two empty lower layers", [overlay(`lowerdir=l1:::l2,${UPPER}`)], ["EINVAL"]),
  mounts("metacopy without redirects", [overlay(`lowerdir=l1,${UPPER},metacopy=on,redirect_dir=off`)], ["EINVAL"]),
  mounts(
    "metacopy with redirects that are only followed",
    [overlay(`lowerdir=l1,${UPPER},metacopy=on,redirect_dir=follow`)],
    ["EINVAL"],
  ),
  mounts("metacopy with redirects refused", [overlay(`lowerdir=l1,${UPPER},metacopy=on,redirect_dir=nofollow`)], ["EINVAL"]),
  mounts("metacopy alone", [overlay(`lowerdir=l1,${UPPER},metacopy=on`)], ["ok"]),
  mounts("nfs_export without an index", [overlay(`lowerdir=l1,${UPPER},nfs_export=on,index=off`)], ["EINVAL"]),
  mounts("nfs_export with metacopy", [overlay(`lowerdir=l1,${UPPER},nfs_export=on,metacopy=on`)], ["EINVAL"]),
  mounts("userxattr with metacopy", [overlay(`lowerdir=l1,${UPPER},userxattr,metacopy=on`)], ["EINVAL"]),
  mounts("userxattr with redirects", [overlay(`lowerdir=l1,${UPPER},userxattr,redirect_dir=on`)], ["EINVAL"]),
  mounts("userxattr alone", [overlay(`lowerdir=l1,${UPPER},userxattr`)], ["ok"]),
  ...(
    [
      [`lowerdir=l1,${UPPER},verity=require,nfs_export=on`, "ok"],
      [`lowerdir=l1,${UPPER},verity=maybe`, "EINVAL"],
      [`lowerdir=l1,${UPPER},userxattr,redirect_dir=follow`, "EINVAL"],
      [`lowerdir=l1,${UPPER},userxattr,redirect_dir=off`, "EINVAL"],
      [`lowerdir=l1,${UPPER},userxattr,redirect_dir=nofollow`, "ok"],
      [`lowerdir=l1,${UPPER},userxattr=1`, "EINVAL"],
      ["lowerdir=l1:l2,nfs_export=on,index=off", "ok"],
      ["lowerdir=l1:l2,nfs_export=on,index=off,redirect_dir=nofollow", "EINVAL"],
      ["lowerdir=l1:l2,nfs_export=on,index=on,redirect_dir=nofollow", "ok"],
      ["lowerdir=l1:l2,metacopy=on,redirect_dir=follow", "ok"],
      ["lowerdir=l1:l2,metacopy=on,redirect_dir=nofollow", "EINVAL"],
      ["lowerdir=l1:l2,volatile", "ok"],
      [`lowerdir=l1,${UPPER},fsync=strict`, "ok"],
      [`lowerdir=l1,${UPPER},fsync=ordered`, "EINVAL"],
      [`lowerdir=l1,${UPPER},override_creds`, "ok"],
      [`lowerdir=l1,${UPPER},nooverride_creds`, "ok"],
      ["lowerdir=nowhere,index=bad", "ENOENT"],
      [`lowerdir=nowhere,lowerdir=l1,${UPPER}`, "ENOENT"],
      [`lowerdir+=l1:l2,${UPPER}`, "ENOENT"],
      [`lowerdir=w,${UPPER}`, "ELOOP"],
      [`lowerdir=l1,${UPPER},workdir=`, "EINVAL"],
    ] as const
  ).map(([options, answer]) => mounts(options, [overlay(options)], [answer])),
  mounts("all accepted switches", [overlay(`lowerdir=l1,${UPPER},index=on,nfs_export=on,xino=on,uuid=on`)], ["ok"]),
  mounts(
    "one upper layer in two mounts",
    [overlay(`lowerdir=l1,${UPPER},index=off`), overlay(`lowerdir=l1,${UPPER},index=off`, "m2")],
    ["ok", "ok"],
  ),
  mounts(
    "one upper layer in two mounts with an index",
    [
      overlay(`lowerdir=l1,${UPPER},index=on`),
      overlay("lowerdir=l1,upperdir=u,workdir=w2,index=on", "m2"),
      step("umount", "m"),
      overlay(`lowerdir=l1,${UPPER},index=on`, "m2"),
    ],
    ["ok", "EBUSY", "ok", "ok"],
  ),
  mounts(
    "one work directory in two mounts with an index",
    [overlay(`lowerdir=l1,${UPPER},index=on`), overlay("lowerdir=l1,upperdir=u2,workdir=w,index=on", "m2")],
    ["ok", "EBUSY"],
  ),
  mounts(
    "a lower layer that is another's upper one, with an index",
    [
      overlay(`lowerdir=l1,${UPPER},index=off`),
      overlay("lowerdir=u,upperdir=u2,workdir=w2,index=off", "m2"),
      step("umount", "m2"),
      overlay("lowerdir=u,upperdir=u2,workdir=w2,index=on", "m2"),
    ],
    ["ok", "ok", "ok", "EBUSY"],
  ),
  mounts(
    "another lower layer under an upper one with an index",
    [
      overlay(`lowerdir=l1,${UPPER},index=on`),
      step("umount", "m"),
      overlay(`lowerdir=l2,${UPPER},index=on`),
      overlay(`lowerdir=l2,${UPPER},index=off`),
    ],
    ["ok", "ok", "ESTALE", "ok"],
  ),
  mounts(
    "another upper layer with a used work directory with an index",
    [overlay(`lowerdir=l1,${UPPER},index=on`), step("umount", "m"), overlay("lowerdir=l1,upperdir=u2,workdir=w,index=on")],
    ["ok", "ok", "ESTALE"],
  ),
  mounts(
    "after a volatile mount",
    [
      overlay(`lowerdir=l1,${UPPER},volatile`),
      step("exists", "w/work/incompat/volatile/dirty"),
      step("umount", "m"),
      overlay(`lowerdir=l1,${UPPER}`),
      overlay(`lowerdir=l1,${UPPER},volatile`),
      step("rmdir", "w/work/incompat"),
      overlay(`lowerdir=l1,${UPPER}`),
    ],
    ["ok", "ok", "ok", "EINVAL", "EINVAL", "ok", "ok"],
  ),
  mounts(
    "a union over a union, and over that",
    [
      overlay(`lowerdir=l1,${UPPER}`),
      overlay("lowerdir=m,upperdir=u2,workdir=w2", "m2"),
      step("mkdir", "u3"),
      step("mkdir", "w3"),
      overlay("lowerdir=m2,upperdir=u3,workdir=w3", "m3"),
    ],
    ["ok", "ok", "ok", "ok", "EINVAL"],
  ),
  mounts(
    "an upper layer on a union",
    [
      step("mkdir", "l1/up"),
      step("mkdir", "l1/wk"),
      overlay(`lowerdir=l1,${UPPER}`),
      overlay("lowerdir=l2,upperdir=m/up,workdir=m/wk", "m2"),
    ],
    ["ok", "ok", "ok", "EINVAL"],
  ),
  mounts(
    "500 lower layers, and 501",
    [
      ...manyFolders,
      overlay(`lowerdir=${LOWERS_500.join(":")},${UPPER}`),
      step("umount", "m"),
      overlay(`lowerdir=${LOWERS_500.join(":")}:x500,${UPPER}`),
    ],
    [...manyFolders.map(() => "ok"), "ok", "ok", "EINVAL"],
  ),
  mounts(
    "options of a remount, which nobody reads",
    [
      overlay(`lowerdir=l1,${UPPER}`),
      { do: "remount", path: "m", options: "lowerdir=l2,nonsense=1,metacopy=on" },
      { do: "append", path: "m/f", text: "a" },
      step("read", "u/f"),
    ],
    ["ok", "ok", "ok", "read a"],
  ),
  mounts(
    "lower layers alone, remounted to be written",
    [
      overlay("lowerdir=l1:l2"),
      { do: "remount", path: "m", options: "ro,lowerdir=l3" },
      { do: "remount", path: "m", options: `lowerdir=l3,${UPPER}` },
      { do: "append", path: "m/f", text: "a" },
    ],
    ["ok", "ok", "EROFS", "EROFS"],
  ),
  mounts(
    "options behind a page of them, and in its last bytes",
    [
      overlay(`${filled(0)},nonsense=1`),
      step("umount", "m"),
      overlay(`${filled(8)}index=on,nonsense=1`),
      step("exists", "w/index"),
      step("umount", "m"),
      overlay(`${filled(7)}index=on`),
    ],
    ["ok", "ok", "ok", "ok", "ok", "EINVAL"],
  ),
  mounts(
    "what lies in work/ goes, what lies beside it stays",
    [
      step("mkdir", "w/work/left"),
      step("mkdir", "w/other"),
      overlay(`lowerdir=l1,${UPPER}`),
      step("exists", "w/work/left"),
      step("exists", "w/other"),
      step("exists", "w/index"),
      step("umount", "m"),
      overlay(`lowerdir=l1,${UPPER},index=on`),
      step("exists", "w/index"),
    ],
    ["ok", "ok", "ok", "ENOENT", "ok", "ENOENT", "ok", "ok", "ok"],
  ),
];
