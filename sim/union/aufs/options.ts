/**
 * The mount options of aufs (spec/union.md section 10; aufs(5); fs/aufs/opts.c).
 *
 * Interface: branches are `br:PATH=PERM:PATH=PERM…`, topmost first. What an option means here is told beside it; those that only tune the kernel's
 * own tables are known and change nothing.
 */
import { EINVAL, ENOSPC, type Errno } from "../../core/errno.ts";

/** A branch's permission, by the words of aufs(5). */
export interface BranchPermission {
  readonly writable: boolean;
  /** Whiteouts in it count: those of a writable branch, and of "+wh". */
  readonly whiteouts: boolean;
  /** Its whiteouts are files of their own (rw+nolwh). */
  readonly unlinkedWhiteouts: boolean;
  /** What is opened in it is copied up at once (coo_reg: files opened for writing; coo_all: also for reading). */
  readonly copyOnOpen: "" | "coo_reg" | "coo_all";
}

export interface BranchRequest {
  readonly path: string;
  readonly permission: BranchPermission;
}

/** What of the options outlives the mount call. */
export interface AufsOptions {
  /** Of a directory only the topmost branch's permissions count. */
  readonly dirperm1: boolean;
  /** Hard links outlive copy-up. */
  readonly plink: boolean;
  /** Each directory made is opaque, not only one that is made over a whiteout (diropq=always). */
  readonly alwaysOpaque: boolean;
  /** O_DIRECT is passed on. */
  readonly directIo: boolean;
}

export const DEFAULT_OPTIONS: AufsOptions = { dirperm1: false, plink: true, alwaysOpaque: false, directIo: false };

export interface ParsedOptions {
  /** Topmost first. */
  readonly branches: readonly BranchRequest[];
  /** Of a remount: branches that go below the others. */
  readonly appended: readonly BranchRequest[];
  readonly options: Partial<AufsOptions>;
  /** Where the file is to be made that maps inode numbers. */
  readonly xino: string | undefined;
}

/** Why a mount is refused: mount(2)'s error, and what the kernel logs. */
export interface AufsFailure {
  readonly errno: Errno;
  readonly message: string;
}

/** The most branches that a mount can have (CONFIG_AUFS_BRANCH_MAX_127). */
export const BRANCHES_MAX = 127;

/** A refusal with its log line. */
export function refuse(message: string, errno: Errno = EINVAL): AufsFailure {
  return { errno, message: `aufs: ${message}` };
}

/** The refusal of one branch too many. */
export function tooManyBranches(): AufsFailure {
  return refuse("number of branches exceeded", ENOSPC);
}

/** Permissions that are no writing; "rr" is for what is read-only by its nature. */
const READ_ONLY = new Set(["ro", "rr"]);

/** A permission's words. One that is not known is "ro", as the kernel takes it without a word. */
function parsePermission(text: string): BranchPermission {
  const [kind = "", ...attributes] = text.split("+");
  const copyOnOpen = attributes.includes("coo_all") ? "coo_all" : attributes.includes("coo_reg") ? "coo_reg" : "";
  if (kind === "rw") {
    return { writable: true, whiteouts: true, unlinkedWhiteouts: attributes.includes("nolwh"), copyOnOpen };
  }
  const whiteouts = READ_ONLY.has(kind) && attributes.includes("wh");
  return { writable: false, whiteouts, unlinkedWhiteouts: false, copyOnOpen };
}

/** One PATH or PATH=PERM. @param first - without a permission the first branch is writable, any other read-only. */
function parseBranch(text: string, first: boolean): BranchRequest {
  const equals = text.lastIndexOf("=");
  if (equals < 0) return { path: text, permission: parsePermission(first ? "rw" : "ro") };
  return { path: text.slice(0, equals), permission: parsePermission(text.slice(equals + 1)) };
}

function parseBranches(text: string): BranchRequest[] | AufsFailure {
  const branches = text.split(":").map((one, index) => parseBranch(one, index === 0));
  return branches.some(({ path }) => path === "") ? refuse(`bad branches ${text}`) : branches;
}

/** Words that mean something to a mount. */
const FLAGS: Readonly<Record<string, Partial<AufsOptions>>> = {
  dirperm1: { dirperm1: true },
  nodirperm1: { dirperm1: false },
  plink: { plink: true },
  noplink: { plink: false },
  "diropq=always": { alwaysOpaque: true },
  "diropq=a": { alwaysOpaque: true },
  "diropq=whiteouted": { alwaysOpaque: false },
  "diropq=w": { alwaysOpaque: false },
  dio: { directIo: true },
  nodio: { directIo: false },
};

/**
 * Words that change nothing here: tables that this engine has not (xino, rdcache …), checks for changes made behind the mount's back (udba),
 * and the policies, all of which choose the writable branch where there is one.
 */
const WITHOUT_EFFECT: readonly RegExp[] = [
  /^(no)?(xino|trunc_xino|trunc_xib|trunc_xino_v|xib|warn_perm|verbose|v|quiet|q|silent|acl|sum)$/,
  /^(itrunc_xino|trunc_xino_path)=./,
  /^udba=(none|reval|notify)$/,
  /^(create|create_policy)=(tdp|top-down-parent|rr|round-robin|mfs|most-free-space|mfsrr|pmfs|pmfsrr|tdmfs)(:\d+)*$/,
  /^(cpup|copyup|copyup_policy)=(tdp|top-down-parent|bup|bottom-up-parent|bu|bottom-up)$/,
  /^(dirwh|rdcache|rdblk|rdhash|plink_warn)=(\d+|def)$/,
  /^(nodirren|noshwh)$/,
  /^context=./,
];

const BRANCHES = /^(?:br|dirs)[:=](.*)$/;
const APPEND = /^append[:=](.*)$/;

/** Reads what stands behind -o. @returns EINVAL with the kernel's words for what it does not know, or what this engine does not do. */
export function parseOptions(data: string): ParsedOptions | AufsFailure {
  let branches: BranchRequest[] = [];
  const appended: BranchRequest[] = [];
  let options: Partial<AufsOptions> = {};
  let xino: string | undefined;
  for (const word of data.split(",").filter((one) => one !== "")) {
    const list = BRANCHES.exec(word)?.[1] ?? APPEND.exec(word)?.[1];
    if (list !== undefined) {
      const parsed = parseBranches(list);
      if ("errno" in parsed) return parsed;
      if (BRANCHES.test(word)) branches = parsed;
      else
        appended.push(
          ...parsed.map((one) => (one.permission.writable && !list.includes("=") ? parseBranch(one.path, false) : one)),
        );
      continue;
    }
    if (word.startsWith("xino=")) {
      xino = word.slice("xino=".length);
      continue;
    }
    const flag = FLAGS[word];
    if (flag !== undefined) options = { ...options, ...flag };
    else if (!WITHOUT_EFFECT.some((known) => known.test(word))) return refuse(`unknown option ${word}`);
  }
  return { branches, appended, options, xino };
}
