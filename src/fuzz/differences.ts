/**
 * What a driver answers otherwise than one plain filesystem, as data: each difference by name, with who has it and where that is written. The
 * plain tree follows them (model/rules.ts), so that everything else is held to the letter.
 */
import { isList } from "../calls/json.ts";
import type { Step } from "../calls/step.ts";
import type { Ground } from "./ground.ts";
import type { ModelRules } from "./model/rules.ts";

/** One way in which drivers differ. */
export interface KnownDifference {
  readonly name: string;
  readonly drivers: readonly string[];
  /** Whether it is so on this ground; by default on every one. */
  readonly when?: (ground: Ground) => boolean;
  readonly source: string;
  /** Whether the lowest layer does not have it, which is no union mount. */
  readonly aboveOnly?: true;
  /** What it changes in the plain tree. */
  readonly rules: Partial<ModelRules>;
  /** Steps whose answers the plain tree does not foretell because of it: random operations leave them out. */
  readonly leavesOut?: (step: Step) => boolean;
}

const without =
  (option: string) =>
  ({ mountOptions }: Ground): boolean =>
    !mountOptions.split(",").includes(option);

const allocates = (step: Step, flag: string): boolean =>
  step["call"] === "fallocate" && isList(step["flags"]) && step["flags"].includes(flag);

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    name: "rename of a lower directory",
    drivers: ["overlay", "overlay2"],
    when: without("redirect_dir=on"),
    source: "EXDEV without redirect_dir=on (spec/union.md A; fs/overlayfs/dir.c, Linux 6.18: ovl_can_move)",
    rules: { lowerDirectoryRename: "EXDEV" },
  },
  {
    name: "rename of a lower directory",
    drivers: ["aufs"],
    source: "EXDEV for a directory that shows entries of lower branches (spec/union.md 15; fs/aufs/i_op_ren.c: au_ren_may_dir)",
    rules: { lowerDirectoryRename: "EXDEV where lower names show" },
  },
  {
    name: "copy-up breaks hard links",
    drivers: ["overlay", "overlay2"],
    when: without("index=on"),
    source:
      "the other names keep the lower file, without index=on (spec/reliability.md; Documentation/filesystems/overlayfs.rst)",
    rules: { breaksLinks: true },
  },
  {
    name: "an unlinked lower file cannot change",
    drivers: ["overlay", "overlay2"],
    source:
      "fchmod(2) has to copy it up, and its name is taken by a whiteout: EEXIST (Linux 6.18: ovl_copy_up_tmpfile links it there)",
    rules: { copiesUnlinked: false },
  },
  {
    name: "lower files count the names of other layers",
    drivers: ["overlay"],
    source:
      "a layer over another begins as hard links to its files (moby v20.10.27 daemon/graphdriver/overlay, copy.DirCopy with Hardlink)",
    rules: { countsOtherLayers: true },
  },
  {
    name: "attributes of directories stay behind",
    drivers: ["overlay"],
    source:
      "a layer over another begins as a copy of its folders, without their extended attributes but security.capability (moby, copy.DirCopy)",
    rules: {},
    leavesOut: (step) => step["call"] === "setxattr",
  },
  {
    name: "covered names stay counted",
    drivers: ["aufs"],
    source: "st_nlink of a lower file is its branch's, and a copied one has one more name in .wh..wh.plnk (spec/union.md 15)",
    rules: { keepsCoveredLinks: true },
  },
  {
    name: "a replaced file is forgotten",
    drivers: ["aufs"],
    source: "fstat of what a rename replaced is ESTALE where it had not been copied up (spec/union.md C10)",
    aboveOnly: true,
    rules: { forgetsReplaced: true },
  },
  {
    name: "times are whole seconds",
    drivers: ["aufs"],
    source: "the mount's granularity of times is a second (spec/union.md C2)",
    aboveOnly: true,
    rules: { timesInSeconds: true },
  },
  {
    name: "removexattr leaves an empty value",
    drivers: ["aufs"],
    source: "spec/union.md C3 (fs/aufs/xattr.c: au_xattr_set)",
    aboveOnly: true,
    rules: { emptiesXattrs: true },
  },
  {
    name: "attributes with nothing in them stay behind",
    drivers: ["aufs"],
    source: "a copy is given only what has a value (fs/aufs/xattr.c: au_do_cpup_xattr)",
    rules: {},
    leavesOut: (step) => step["call"] === "removexattr" || (step["call"] === "setxattr" && step["value"] === ""),
  },
  {
    name: "copying up changes the folder's mtime",
    drivers: ["aufs"],
    source: "the writable branch's folder receives the copy, and that gets a new mtime (spec/union.md C1)",
    aboveOnly: true,
    rules: { keepsDirectoryTimes: false },
  },
  {
    name: "pseudo-links end with the mount",
    drivers: ["aufs"],
    source:
      "names of one lower file are told apart again by the next mount, for no auplink flushes them (spec/union.md 16, spec/drivers.md 5.1)",
    rules: {},
    leavesOut: (step) => step["call"] === "link",
  },
  {
    name: "every branch's folder must let a user in",
    drivers: ["aufs"],
    source:
      "removing or moving what the writable branch has asks the next folder below who may search it (spec/union.md part D, P)",
    aboveOnly: true,
    rules: { asksLowerDirectories: true },
  },
  {
    name: "exchange asks what lies where",
    drivers: ["aufs"],
    source: "a file and a directory change places only where both are on the writable branch (spec/union.md C7)",
    aboveOnly: true,
    rules: { exchangesByBranch: true },
  },
  {
    name: "rename takes no flags",
    drivers: ["zfs"],
    source: "zpl_rename2 answers EINVAL to any flag (module/os/linux/zfs/zpl_inode.c before OpenZFS 2.2)",
    rules: { renameFlags: false },
  },
  {
    name: "chown takes set-id bits from directories",
    drivers: ["zfs"],
    source: "recorded on OpenZFS 2.1.11: 6555 becomes 0555 (spec/union.md part D, pjdfstest chown/00)",
    rules: { dropsSetIdOfDirectories: true },
  },
  {
    name: "fallocate moves no data",
    drivers: ["btrfs", "zfs"],
    source: "COLLAPSE_RANGE and INSERT_RANGE are EOPNOTSUPP (fs/btrfs/file.c, btrfs_fallocate; zpl_file.c, zpl_fallocate_common)",
    rules: {},
    leavesOut: (step) => allocates(step, "COLLAPSE_RANGE") || allocates(step, "INSERT_RANGE"),
  },
  {
    name: "listxattr shows trusted.* to everybody",
    drivers: ["btrfs"],
    source: "btrfs_listxattr does not ask for CAP_SYS_ADMIN (fs/btrfs/xattr.c, Linux 6.18)",
    rules: { listsTrusted: true },
  },
];

const PLAIN: ModelRules = {
  lowerDirectoryRename: "ok",
  breaksLinks: false,
  countsOtherLayers: false,
  keepsCoveredLinks: false,
  renameFlags: true,
  timesInSeconds: false,
  emptiesXattrs: false,
  dropsSetIdOfDirectories: false,
  keepsDirectoryTimes: true,
  copiesUnlinked: true,
  forgetsReplaced: false,
  asksLowerDirectories: false,
  exchangesByBranch: false,
  listsTrusted: false,
};

/** The differences that a driver has on a ground. */
export function differencesOf(ground: Ground): readonly KnownDifference[] {
  return KNOWN_DIFFERENCES.filter(({ drivers, when }) => drivers.includes(ground.target) && when?.(ground) !== false);
}

/** The rules of the plain tree for a ground. @param above - of layers that stand on others, or of the lowest. */
export function rulesOf(ground: Ground, above: boolean): ModelRules {
  const has = differencesOf(ground).filter(({ aboveOnly }) => above || aboveOnly === undefined);
  return Object.assign({}, PLAIN, ...has.map(({ rules }) => rules)) as ModelRules;
}
