/**
 * How branches are written in aufs's mount options: PATH=PERMISSION+ATTRIBUTE… (fs/aufs/opts.c, au_br_perm_val and au_opt_add; fsctx.c,
 * au_fsctx_parse_br; aufs 6.1 [S]; spec/union.md section 10).
 */

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

/** Permissions; "rr" is for what is read-only by its nature. */
const PERMISSIONS = new Set(["rw", "ro", "rr"]);

/** Attributes that exclude each other: the last one that is given counts (AuBrAttr_CMOO_Mask). */
const ON_OPEN = new Set(["coo_reg", "coo_all", "moo"]);

/** The attributes that forgive xattrs which cannot be copied, and whose (AuBrAttr_ICEX…). */
const ICEX: ReadonlyMap<string, readonly XattrClass[]> = new Map<string, readonly XattrClass[]>([
  ["icex", XATTR_CLASSES],
  ["icexsec", ["security"]],
  ["icexsys", ["system"]],
  ["icextr", ["trusted"]],
  ["icexusr", ["user"]],
  ["icexoth", ["other"]],
]);

/** The others: unpin has no meaning any more, fhsm one for user space alone. */
const ATTRIBUTES = new Set([...ON_OPEN, ...ICEX.keys(), "wh", "nolwh", "fhsm", "unpin"]);

/** A permission's words. One that is not known is "ro", and from an attribute that is not known on, none counts: the kernel only warns. */
function parsePermission(text: string): BranchPermission {
  const [kind = "", ...given] = text.split("+");
  const isKnown = PERMISSIONS.has(kind);
  const unknown = given.findIndex((word) => !ATTRIBUTES.has(word));
  const attributes = isKnown ? given.slice(0, unknown < 0 ? given.length : unknown) : [];
  const onOpen = attributes.findLast((word) => ON_OPEN.has(word));
  const copyOnOpen = onOpen === "coo_reg" || onOpen === "coo_all" ? onOpen : "";
  const ignoredXattrs = new Set(attributes.flatMap((word) => ICEX.get(word) ?? []));
  const writable = kind === "rw";
  return {
    writable,
    whiteouts: writable || attributes.includes("wh"),
    unlinkedWhiteouts: writable && attributes.includes("nolwh"),
    copyOnOpen,
    moveOnOpen: writable && onOpen === "moo",
    ignoredXattrs,
  };
}

/** One PATH or PATH=PERMISSION. @param byDefault - the permission where none is written */
export function parseBranch(text: string, byDefault: "rw" | "ro"): BranchRequest {
  const equals = text.indexOf("=");
  if (equals < 0) return { path: text, permission: parsePermission(byDefault) };
  return { path: text.slice(0, equals), permission: parsePermission(text.slice(equals + 1)) };
}

/** PATHs or PATH=PERMISSIONs with colons between, up to the first that is empty. */
export function splitBranches(text: string): readonly string[] {
  const parts = text.split(":");
  const empty = parts.indexOf("");
  return empty < 0 ? parts : parts.slice(0, empty);
}
