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
  /** What is opened in it is copied up at once (coo_reg: regular files; coo_all: directories too). */
  readonly copyOnOpen: "" | "coo_reg" | "coo_all";
  /** A file that is opened in it, a writable branch, moves to the writable one above (moo). */
  readonly moveOnOpen: boolean;
  /** Whose extended attributes may fail to be copied into it: the first words of their names, up to the dot (icex…). */
  readonly ignoredXattrs: ReadonlySet<XattrClass>;
}

/** A namespace of extended attributes; "other" is for all but the four that the kernel has. */
export const XATTR_CLASSES = ["security", "system", "trusted", "user", "other"] as const;
export type XattrClass = (typeof XATTR_CLASSES)[number];

export interface BranchRequest {
  readonly path: string;
  readonly permission: BranchPermission;
}

/** How the branch of a new name is chosen: `create=`. */
interface CreatePolicy {
  /**
   * tdp: the topmost branch that has the folder. rr: in turn. mfs: the one with most free space. mfsrr: mfs, then rr under a limit. tdmfs: the
   * topmost above a limit, then mfs. pmfs: of the branches that have the folder, the one with most space. pmfsrr: pmfs, then mfsrr under a limit.
   */
  readonly kind: "tdp" | "rr" | "mfs" | "mfsrr" | "tdmfs" | "pmfs" | "pmfsrr";
  /** How long a look at free space holds, from 0 to 3600 s. */
  readonly seconds: number;
  /** The limit in bytes. */
  readonly limit: number;
}

/** How the branch of a copy is chosen: `cpup=`. bup: the nearest above that has the folder. bu: the nearest above. */
type CopyUpPolicy = "tdp" | "bup" | "bu";

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
  /** Names that begin with ".wh." are shown and found (shwh). */
  readonly showWhiteouts: boolean;
  /** statfs tells of all branches, not of the topmost alone (sum). */
  readonly sum: boolean;
  /** Directories can be renamed together with what lies below (dirren). */
  readonly dirren: boolean;
  /** Access control lists of the branches count (acl: SB_POSIXACL). */
  readonly acl: boolean;
  /** How changes that are made beside the mount are seen, where the options say it (udba.ts). */
  readonly udba: "none" | "reval" | "notify" | undefined;
  /** How long a listing may be given again where branches are changed beside the mount, in seconds (rdcache). */
  readonly listingSeconds: number;
  readonly create: CreatePolicy;
  readonly copyUp: CopyUpPolicy;
}

/** How long a look at free space holds where no seconds are given, and the most that can be (AUFS_MFS_DEF_SEC, AUFS_MFS_MAX_SEC). */
const SPACE_SECONDS = 30;
const SPACE_SECONDS_MAX = 3600;
/** The same of listings (AUFS_RDCACHE_DEF, AUFS_RDCACHE_MAX). */
const LISTING_SECONDS = 10;
const LISTING_SECONDS_MAX = 3600;

export const DEFAULT_OPTIONS: AufsOptions = {
  dirperm1: false,
  plink: true,
  alwaysOpaque: false,
  directIo: false,
  showWhiteouts: false,
  sum: false,
  dirren: false,
  acl: false,
  udba: undefined,
  listingSeconds: LISTING_SECONDS,
  create: { kind: "tdp", seconds: SPACE_SECONDS, limit: 0 },
  copyUp: "tdp",
};

/** A change of branches in a remount's options. */
export type ChangeRequest =
  | { readonly kind: "add"; readonly index: number | undefined; readonly branch: BranchRequest }
  | { readonly kind: "del" | "mod"; readonly branch: BranchRequest };

export interface ParsedOptions {
  /** Topmost first. */
  readonly branches: readonly BranchRequest[];
  /** What changes in them, in the order given; in a mount's options, after them. Without an index a branch goes behind the last. */
  readonly changes: readonly ChangeRequest[];
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

/** The attributes that forgive xattrs which cannot be copied, and whose (AuBrAttr_ICEX…). */
const ICEX: Readonly<Record<string, readonly XattrClass[]>> = {
  icex: XATTR_CLASSES,
  icexsec: ["security"],
  icexsys: ["system"],
  icextr: ["trusted"],
  icexusr: ["user"],
  icexoth: ["other"],
};

/** A permission's words. One that is not known is "ro", as the kernel takes it without a word. */
function parsePermission(text: string): BranchPermission {
  const [kind = "", ...attributes] = text.split("+");
  const copyOnOpen = attributes.includes("coo_all") ? "coo_all" : attributes.includes("coo_reg") ? "coo_reg" : "";
  const ignoredXattrs = new Set(attributes.flatMap((word) => (Object.hasOwn(ICEX, word) ? (ICEX[word] ?? []) : [])));
  const common = { copyOnOpen, ignoredXattrs } as const;
  if (kind === "rw") {
    const [unlinkedWhiteouts, moveOnOpen] = [attributes.includes("nolwh"), attributes.includes("moo")];
    return { writable: true, whiteouts: true, unlinkedWhiteouts, moveOnOpen, ...common };
  }
  const whiteouts = READ_ONLY.has(kind) && attributes.includes("wh");
  return { writable: false, whiteouts, unlinkedWhiteouts: false, moveOnOpen: false, ...common };
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
  shwh: { showWhiteouts: true },
  noshwh: { showWhiteouts: false },
  sum: { sum: true },
  nosum: { sum: false },
  dirren: { dirren: true },
  nodirren: { dirren: false },
  acl: { acl: true },
  noacl: { acl: false },
  "udba=none": { udba: "none" },
  "udba=reval": { udba: "reval" },
  "udba=notify": { udba: "notify" },
  "udba=fsnotify": { udba: "notify" },
};

/** Words that change nothing here: tables that this engine has not (xino, rdblk …). */
const WITHOUT_EFFECT: readonly RegExp[] = [
  /^(no)?(xino|trunc_xino|trunc_xib|trunc_xino_v|xib|warn_perm|verbose)$/,
  /^(v|quiet|q|silent|wsum)$/,
  /^(itrunc_xino|trunc_xino_path)=./,
  /^(dirwh|rdblk|rdhash|plink_warn|fhsm_sec)=(\d+|def)$/,
  /^context=./,
];

const CREATE = /^(?:create|create_policy)=(.*)$/;
const COPY_UP = /^(?:cpup|copyup|copyup_policy)=(.*)$/;
/** The create policies by their words, and how many numbers each takes at least and at most: a limit comes before the seconds. */
const CREATE_KINDS: Readonly<Record<string, readonly [kind: CreatePolicy["kind"], least: number, most: number]>> = {
  tdp: ["tdp", 0, 0],
  "top-down-parent": ["tdp", 0, 0],
  rr: ["rr", 0, 0],
  "round-robin": ["rr", 0, 0],
  mfs: ["mfs", 0, 1],
  "most-free-space": ["mfs", 0, 1],
  mfsrr: ["mfsrr", 1, 2],
  tdmfs: ["tdmfs", 1, 2],
  pmfs: ["pmfs", 0, 1],
  pmfsrr: ["pmfsrr", 1, 2],
};
const COPY_UP_KINDS: Readonly<Record<string, CopyUpPolicy>> = {
  tdp: "tdp",
  "top-down-parent": "tdp",
  bup: "bup",
  "bottom-up-parent": "bup",
  bu: "bu",
  "bottom-up": "bu",
};

/** A create policy; undefined for what is none. */
function parseCreate(text: string): CreatePolicy | undefined {
  const [word = "", ...numbers] = text.split(":");
  const known = Object.hasOwn(CREATE_KINDS, word) ? CREATE_KINDS[word] : undefined;
  if (known === undefined || numbers.some((number) => !/^\d+$/.test(number))) return undefined;
  const [kind, least, most] = known;
  if (numbers.length < least || numbers.length > most) return undefined;
  const seconds = Number(numbers[least] ?? SPACE_SECONDS);
  return seconds > SPACE_SECONDS_MAX ? undefined : { kind, seconds, limit: least === 0 ? 0 : Number(numbers[0]) };
}

const LISTINGS = /^rdcache=(\d+|def)$/;

/** How long listings are given again; undefined for what is too long. */
function parseListingSeconds(text: string): Partial<AufsOptions> | undefined {
  const listingSeconds = text === "def" ? LISTING_SECONDS : Number(text);
  return listingSeconds > LISTING_SECONDS_MAX ? undefined : { listingSeconds };
}

const BRANCHES = /^(?:br|dirs)[:=](.*)$/;
const ADD = /^(?:add|ins)[:=](-?\d+):(.*)$/;
const AT_AN_END = /^(append|prepend)[:=](.*)$/;
const CHANGE = /^(del|mod)[:=](.*)$/;

/** A change of branches; undefined for a word that is none. One that is added without a permission is read-only. */
function parseChange(word: string): ChangeRequest | undefined {
  const add = ADD.exec(word);
  if (add !== null) return { kind: "add", index: Number(add[1]), branch: parseBranch(add[2] as string, false) };
  const end = AT_AN_END.exec(word);
  if (end !== null) {
    return { kind: "add", index: end[1] === "append" ? undefined : 0, branch: parseBranch(end[2] as string, false) };
  }
  const change = CHANGE.exec(word);
  if (change === null) return undefined;
  return { kind: change[1] === "del" ? "del" : "mod", branch: parseBranch(change[2] as string, false) };
}

/** A word that changes an option; undefined for one that does not, or that says what cannot be. */
function parseOption(word: string): Partial<AufsOptions> | undefined {
  if (Object.hasOwn(FLAGS, word)) return FLAGS[word];
  const create = CREATE.exec(word);
  if (create !== null) {
    const policy = parseCreate(create[1] as string);
    return policy === undefined ? undefined : { create: policy };
  }
  const copyUp = COPY_UP.exec(word)?.[1];
  const seconds = LISTINGS.exec(word)?.[1];
  if (seconds !== undefined) return parseListingSeconds(seconds);
  if (copyUp !== undefined && Object.hasOwn(COPY_UP_KINDS, copyUp)) return { copyUp: COPY_UP_KINDS[copyUp] as CopyUpPolicy };
  return WITHOUT_EFFECT.some((known) => known.test(word)) ? {} : undefined;
}

/** Reads what stands behind -o. @returns EINVAL with the kernel's words for what it does not know. */
export function parseOptions(data: string): ParsedOptions | AufsFailure {
  let branches: BranchRequest[] = [];
  const changes: ChangeRequest[] = [];
  let options: Partial<AufsOptions> = {};
  let xino: string | undefined;
  for (const word of data.split(",").filter((one) => one !== "")) {
    const list = BRANCHES.exec(word)?.[1];
    const change = parseChange(word);
    if (list !== undefined) {
      const parsed = parseBranches(list);
      if ("errno" in parsed) return parsed;
      branches = parsed;
    } else if (change !== undefined) {
      if (change.branch.path === "") return refuse(`bad branches ${word}`);
      changes.push(change);
    } else if (word.startsWith("xino=")) xino = word.slice("xino=".length);
    else {
      const option = parseOption(word);
      if (option === undefined) return refuse(`unknown option ${word}`);
      options = { ...options, ...option };
    }
  }
  return { branches, changes, options, xino };
}
