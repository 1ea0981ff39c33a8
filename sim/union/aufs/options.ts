/**
 * The mount options of aufs (spec/union.md section 10; aufs(5); fs/aufs/fsctx.c, aufs_fsctx_paramspec, and opts.c, aufs 6.1 [S]).
 *
 * Interface: branches are `br:PATH=PERM:PATH=PERM…`, topmost first. What an option means here is told beside it; those that only tune the kernel's
 * own tables are known, their values looked at, and change nothing.
 */
import { EINVAL, ENOSPC, type Errno } from "../../core/errno.ts";
import { type BranchRequest, parseBranch, splitBranches } from "./branch-words.ts";
import { type CopyUpPolicy, type CreatePolicy, copyUpPolicy, createPolicy, integer, SPACE_SECONDS } from "./option-values.ts";

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

/** How long listings are given again, and the most that can be (AUFS_RDCACHE_DEF, AUFS_RDCACHE_MAX). */
const LISTING_SECONDS = 10;
const LISTING_SECONDS_MAX = 3600;
/** A listing's block holds at least one name (NAME_MAX), and is one allocation at most (KMALLOC_MAX_SIZE), as its hash table of 8-byte heads is. */
const LISTING_BLOCK_MIN = 255;
const ALLOCATION_MAX = 2 ** 22;
const HASH_HEAD_BYTES = 8;

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

/** A change of branches; without an index a branch goes behind the last. */
export type ChangeRequest =
  | { readonly kind: "add"; readonly index: number | undefined; readonly branch: BranchRequest }
  | { readonly kind: "del" | "mod"; readonly branch: BranchRequest };

export interface ParsedOptions {
  /** How the branches come about, in the order given: each of `br` is an addition. */
  readonly changes: readonly ChangeRequest[];
  readonly options: Partial<AufsOptions>;
  /** Where the file is to be made that maps inode numbers. */
  readonly xino: string | undefined;
  /** Branches whose map is to be cut, by index or path: there must be such a branch (itrunc_xino, trunc_xino). */
  readonly cutMaps: readonly (number | string)[];
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

/** Words without a value. One of those without an effect only tunes a table that this engine has not, or is for the kernel's log. */
const FLAGS: ReadonlyMap<string, Partial<AufsOptions>> = new Map([
  ["dirperm1", { dirperm1: true }],
  ["nodirperm1", { dirperm1: false }],
  ["plink", { plink: true }],
  ["noplink", { plink: false }],
  ["dio", { directIo: true }],
  // Ignored: what is open for direct I/O stays so.
  ["nodio", {}],
  ["shwh", { showWhiteouts: true }],
  ["noshwh", { showWhiteouts: false }],
  ["sum", { sum: true }],
  ["nosum", { sum: false }],
  // The weighted sum was never written: the topmost branch alone is told of.
  ["wsum", { sum: false }],
  ["dirren", { dirren: true }],
  ["nodirren", { dirren: false }],
  ["acl", { acl: true }],
  ["noacl", { acl: false }],
  ...["trunc_xino", "trunc_xib", "warn_perm", "verbose"].flatMap((word): [string, object][] => [
    [word, {}],
    [`no${word}`, {}],
  ]),
  ...["noxino", "v", "quiet", "q", "silent", "relatime", "nodlgt", "clean_plink"].map((word): [string, object] => [word, {}]),
]);

/** The values of options that have few. */
const DIROPQ: ReadonlyMap<string, Partial<AufsOptions>> = new Map([
  ["always", { alwaysOpaque: true }],
  ["a", { alwaysOpaque: true }],
  ["whiteouted", { alwaysOpaque: false }],
  ["w", { alwaysOpaque: false }],
]);
const UDBA: ReadonlyMap<string, Partial<AufsOptions>> = new Map([
  ["none", { udba: "none" }],
  ["reval", { udba: "reval" }],
  ["notify", { udba: "notify" }],
  ["fsnotify", { udba: "notify" }],
]);

/** A value that is looked at and changes nothing. */
function looked(isGood: boolean): Partial<AufsOptions> | undefined {
  return isGood ? {} : undefined;
}

/** A number that says how large a table is, or "def". */
function tableSize(value: string, isGood: (size: number) => boolean): Partial<AufsOptions> | undefined {
  const size = integer(value);
  return looked(value === "def" || (size !== undefined && size >= 0 && isGood(size)));
}

function create(value: string): Partial<AufsOptions> | undefined {
  const policy = createPolicy(value);
  return policy === undefined ? undefined : { create: policy };
}

function copyUp(value: string): Partial<AufsOptions> | undefined {
  const policy = copyUpPolicy(value);
  return policy === undefined ? undefined : { copyUp: policy };
}

/** Seconds below zero are for ever (msecs_to_jiffies). */
function listingSeconds(value: string): Partial<AufsOptions> | undefined {
  const seconds = integer(value);
  if (seconds === undefined || seconds > LISTING_SECONDS_MAX) return undefined;
  return { listingSeconds: seconds < 0 ? Number.POSITIVE_INFINITY : seconds };
}

/** Options with a value, which is not empty, and what each makes of it; undefined for a value that it does not take. */
const VALUES: ReadonlyMap<string, (value: string) => Partial<AufsOptions> | undefined> = new Map([
  ["diropq", (value) => DIROPQ.get(value)],
  ["udba", (value) => UDBA.get(value)],
  ["create", create],
  ["create_policy", create],
  ["cpup", copyUp],
  ["copyup", copyUp],
  ["copyup_policy", copyUp],
  ["rdcache", listingSeconds],
  ["rdblk", (value) => tableSize(value, (size) => size === 0 || (size >= LISTING_BLOCK_MIN && size <= ALLOCATION_MAX))],
  ["rdhash", (value) => tableSize(value, (size) => size * HASH_HEAD_BYTES <= ALLOCATION_MAX)],
  ["dirwh", (value) => looked(integer(value) !== undefined)],
  ["fhsm_sec", (value) => looked((integer(value) ?? -1) >= 0)],
  ["debug", (value) => looked((integer(value) ?? -1) >= 0)],
  // Taken by the security module, or by scripts alone, or by earlier kernels.
  ...["context", "si", "delete", "imap"].map((word): [string, () => object] => [word, () => ({})]),
]);

/** All options that take a value. */
const TAKES_VALUE = new Set([
  ...VALUES.keys(),
  ...["br", "dirs", "add", "ins", "append", "prepend", "del", "mod", "xino", "trunc_xino", "itrunc_xino"],
]);

/** Options whose name a colon may follow instead of "=". */
const WITH_COLON = /^(br|add|ins|append|prepend|del|mod):/;

/** Reads the options of one mount or remount. */
class OptionReader {
  readonly changes: ChangeRequest[] = [];
  readonly cutMaps: (number | string)[] = [];
  options: Partial<AufsOptions> = {};
  xino: string | undefined;
  /** The place of the next branch of `br`. */
  #index = 0;
  readonly #readOnly: boolean;

  constructor(readOnly: boolean) {
    this.#readOnly = readOnly;
  }

  /** @returns why not: EINVAL with the kernel's words. */
  read(word: string): AufsFailure | undefined {
    const text = word.replace(WITH_COLON, "$1=");
    const equals = text.indexOf("=");
    if (equals === 0) return undefined;
    return equals < 0 ? this.#flag(text) : this.#assignment(text.slice(0, equals), text.slice(equals + 1));
  }

  #flag(name: string): AufsFailure | undefined {
    const option = FLAGS.get(name);
    if (option === undefined) return refuse(TAKES_VALUE.has(name) ? `Bad value for '${name}'` : `Unknown parameter '${name}'`);
    this.options = { ...this.options, ...option };
    return undefined;
  }

  #assignment(name: string, value: string): AufsFailure | undefined {
    const taken = value === "" ? undefined : (this.#branchChange(name, value) ?? this.#mapOption(name, value));
    if (taken !== undefined) return taken === "taken" ? undefined : taken;
    if (!TAKES_VALUE.has(name)) return refuse(FLAGS.has(name) ? `Unexpected value for '${name}'` : `Unknown parameter '${name}'`);
    const change = value === "" ? undefined : VALUES.get(name)?.(value);
    if (change === undefined) return refuse(`Bad value for '${name}'`);
    this.options = { ...this.options, ...change };
    return undefined;
  }

  /** An option about branches; undefined for one that is not. One that comes first of all is writable where nothing is said, any other read-only. */
  #branchChange(name: string, value: string): "taken" | AufsFailure | undefined {
    switch (name) {
      case "br":
      case "dirs":
        return this.#branches(value);
      case "add":
      case "ins":
        return this.#addAt(value);
      case "append":
        return this.#add(value, undefined);
      case "prepend":
        return this.#add(value, 0);
      case "del":
        this.changes.push({ kind: "del", branch: { ...parseBranch(value, "ro"), path: value } });
        return "taken";
      case "mod":
        if (!value.includes("=")) return refuse(`no permission ${value}`);
        this.changes.push({ kind: "mod", branch: parseBranch(value, "ro") });
        return "taken";
      default:
        return undefined;
    }
  }

  #branches(value: string): "taken" | AufsFailure {
    const parts = splitBranches(value);
    if (parts.length === 0) return refuse(`bad branches ${value}`);
    for (const part of parts) this.#add(part, this.#index++);
    return "taken";
  }

  #add(text: string, index: number | undefined): "taken" {
    this.changes.push({ kind: "add", index, branch: parseBranch(text, index === 0 && !this.#readOnly ? "rw" : "ro") });
    return "taken";
  }

  #addAt(value: string): "taken" | AufsFailure {
    const colon = value.indexOf(":");
    if (colon < 0) return refuse(`bad arg in ${value}`);
    const index = integer(value.slice(0, colon));
    return index === undefined ? refuse(`bad integer in ${value.slice(0, colon)}`) : this.#add(value.slice(colon + 1), index);
  }

  /** An option about the maps of inode numbers. */
  #mapOption(name: string, value: string): "taken" | AufsFailure | undefined {
    if (name === "xino") this.xino = value;
    else if (name === "trunc_xino") this.cutMaps.push(value);
    else if (name === "itrunc_xino") {
      const index = integer(value);
      if (index === undefined) return refuse(`Bad value for '${name}'`);
      this.cutMaps.push(index);
    } else return undefined;
    return "taken";
  }
}

/** Reads what stands behind -o. @param readOnly - the mount is to be read-only @returns EINVAL with the kernel's words for what it does not know. */
export function parseOptions(data: string, readOnly = false): ParsedOptions | AufsFailure {
  const reader = new OptionReader(readOnly);
  for (const word of data.split(",").filter((one) => one !== "")) {
    const refused = reader.read(word);
    if (refused !== undefined) return refused;
  }
  const { changes, options, xino, cutMaps } = reader;
  return { changes, options, xino, cutMaps };
}
