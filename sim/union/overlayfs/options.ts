/**
 * The mount options of overlayfs, from the text that mount(8) gets (fs/overlayfs/params.c; union.md section 8).
 *
 * Interface: `parseOptions` tells the options or the Errno with the text of the kernel's log. Backslash takes the meaning from the colon or
 * backslash after it in lowerdir, and from the comma in any value.
 */
import { EINVAL, type Errno } from "../../core/errno.ts";
import { k6_18, type OverlayProfile } from "../../core/kernel-profile.ts";

type RedirectDir = "on" | "follow" | "off" | "nofollow";
type Xino = "on" | "auto" | "off";
type Verity = "off" | "on" | "require";

/** How a mount behaves, apart from its layers. */
export interface OverlayOptions {
  readonly redirectDir: RedirectDir;
  readonly index: boolean;
  readonly metacopy: boolean;
  readonly nfsExport: boolean;
  /**
   * Whether the data of a file that has only attributes must have a digest (fs-verity). No file here has one, so that under require such data cannot be had,
   * and copy-up makes no such files.
   */
  readonly verity: Verity;
  readonly xino: Xino;
  readonly volatile: boolean;
  /** State is kept in user.overlay.* xattrs. */
  readonly userxattr: boolean;
  readonly defaultPermissions: boolean;
}

/** What the kernel of the recordings takes where nothing is said: redirects are followed but not made. */
export const DEFAULT_OPTIONS: OverlayOptions = {
  redirectDir: "follow",
  index: false,
  metacopy: false,
  nfsExport: false,
  verity: "off",
  xino: "off",
  volatile: false,
  userxattr: false,
  defaultPermissions: false,
};

/** What a mount was refused for: the errno, and the line in the kernel's log. */
export interface MountFailure {
  readonly errno: Errno;
  readonly message: string;
}

/** Options with the paths of the layers. */
export interface ParsedOptions {
  /** Topmost first; the data-only ones after them. */
  readonly lower: readonly string[];
  readonly dataOnly: readonly string[];
  readonly upper: string | undefined;
  readonly work: string | undefined;
  readonly options: OverlayOptions;
}

/** The most lower layers of one mount (OVL_MAX_STACK). */
export const LOWER_LAYERS_MAX = 500;

type Draft = { -readonly [Key in keyof OverlayOptions]: OverlayOptions[Key] };

/** Cuts a text at each `separator` that no backslash precedes; the backslashes stay. */
function cut(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    if (character === "\\" && at + 1 < text.length) {
      part += character + (text[at + 1] as string);
      at += 1;
    } else if (character === separator) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  parts.push(part);
  return parts;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, "$1");
}

const LAYER_OPTIONS: ReadonlySet<string> = new Set(["lowerdir", "lowerdir+", "datadir+"]);

interface DraftLayers {
  lower: readonly string[];
  dataOnly: readonly string[];
}

/** Adds what an option of layers names; lowerdir names them all. */
function addLayers(layers: DraftLayers, key: string, value: string): MountFailure | undefined {
  if (key === "datadir+") layers.dataOnly = [...layers.dataOnly, unescaped(value)];
  else if (key === "lowerdir+") {
    if (layers.dataOnly.length > 0) return refuseOption("regular lower layers cannot follow data layers");
    layers.lower = [...layers.lower, unescaped(value)];
  } else {
    const all = parseLowers(value);
    if ("errno" in all) return all;
    layers.lower = all.lower;
    layers.dataOnly = all.dataOnly;
  }
  return undefined;
}

/**
 * The layers of lowerdir: single colons between those that show names, double ones before those that are data-only (ovl_parse_param_lowerdir).
 */
function parseLowers(value: string): { readonly lower: readonly string[]; readonly dataOnly: readonly string[] } | MountFailure {
  const parts = cut(value, ":");
  if (parts[0] === "") return refuse("cannot append lower layer");
  if (parts.at(-1) === "") return refuse("unescaped trailing colons in lowerdir mount option.");
  const lower: string[] = [];
  const dataOnly: string[] = [];
  for (const [index, part] of parts.entries()) {
    if (part === "" && parts[index + 1] === "") {
      return refuse("only single ':' or double '::' sequences of unescaped colons in lowerdir mount option allowed.");
    }
    if (part === "") continue;
    const doubled = parts[index - 1] === "";
    if (!doubled && dataOnly.length > 0) return refuse("regular lower layers cannot follow data lower layers");
    (doubled ? dataOnly : lower).push(unescaped(part));
  }
  return { lower, dataOnly };
}

/** A refusal with the text of the kernel's log. */
export function refuse(message: string, errno: Errno = EINVAL): MountFailure {
  return { errno, message: `overlayfs: ${message}` };
}

/** The same by the parser of options, which names the type of the filesystem (fs/fs_parser.c; invalfc). */
export function refuseOption(message: string): MountFailure {
  return { errno: EINVAL, message: `overlay: ${message}` };
}

/** Options that each kernel knows. */
const ALWAYS: ReadonlySet<string> = new Set(["lowerdir", "upperdir", "workdir", "default_permissions"]);

/**
 * @param text - what follows mount's -o, such as "lowerdir=/l2:/l1,upperdir=/u,workdir=/w,index=off".
 * @param profile - whose kernel reads it
 */
export function parseOptions(text: string, profile: OverlayProfile = k6_18.overlay): ParsedOptions | MountFailure {
  const draft: Draft = { ...DEFAULT_OPTIONS };
  const given = new Set<string>();
  const layers: DraftLayers = { lower: [], dataOnly: [] };
  let upper: string | undefined;
  let work: string | undefined;
  for (const part of cut(text, ",")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const key = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? undefined : part.slice(equals + 1);
    given.add(key);
    if (!ALWAYS.has(key) && !profile.options.has(key)) return refuseUnknown(part, key, profile);
    if (LAYER_OPTIONS.has(key) && value !== undefined) {
      if (key !== "lowerdir" && given.has("lowerdir")) return refuseOption("lowerdir+ and datadir+ cannot follow lowerdir");
      const failed = addLayers(layers, key, value);
      if (failed !== undefined) return failed;
    } else if (key === "upperdir" && value !== undefined) upper = unescaped(value);
    else if (key === "workdir" && value !== undefined) work = unescaped(value);
    else {
      const failed = setOption(draft, key, value);
      if (failed !== undefined) return failed;
    }
  }
  const { lower, dataOnly } = layers;
  if (lower.length + dataOnly.length > LOWER_LAYERS_MAX)
    return refuse(`too many lower directories, limit is ${LOWER_LAYERS_MAX}`);
  const failed = settle(draft, given, upper !== undefined);
  return failed ?? { lower, dataOnly, upper, work, options: draft };
}

function refuseUnknown(part: string, key: string, { fsContext }: OverlayProfile): MountFailure {
  return fsContext ? refuseOption(`Unknown parameter '${key}'`) : refuse(`unrecognized mount option "${part}" or missing value`);
}

const SWITCHES: ReadonlyMap<string, "index" | "metacopy" | "nfsExport"> = new Map([
  ["index", "index"],
  ["metacopy", "metacopy"],
  ["nfs_export", "nfsExport"],
]);

const FLAGS: ReadonlyMap<string, "volatile" | "userxattr" | "defaultPermissions"> = new Map([
  ["volatile", "volatile"],
  ["userxattr", "userxattr"],
  ["default_permissions", "defaultPermissions"],
]);
const REDIRECTS: ReadonlySet<string> = new Set(["on", "off", "follow", "nofollow"]);
const XINO: ReadonlySet<string> = new Set(["on", "off", "auto"]);
const UUID: ReadonlySet<string> = new Set(["on", "off", "null", "auto"]);
const VERITY: ReadonlySet<string> = new Set(["on", "off", "require"]);

/** Sets an option that the kernel knows. @returns EINVAL for a value that it does not know, and a value of one that has none. */
function setOption(draft: Draft, key: string, value: string | undefined): MountFailure | undefined {
  const flag = FLAGS.get(key);
  if (flag !== undefined) {
    draft[flag] = true;
    return value === undefined ? undefined : refuseOption(`Unexpected value for '${key}'`);
  }
  return setValue(draft, key, value) ? undefined : refuseOption(`Bad value for '${key}'`);
}

/** @returns false for a value that the option does not know. */
function setValue(draft: Draft, key: string, value = ""): boolean {
  const onOff = SWITCHES.get(key);
  if (onOff !== undefined) {
    draft[onOff] = value === "on";
    return value === "on" || value === "off";
  }
  switch (key) {
    case "redirect_dir":
      // The kernel's module follows redirects also when it makes none.
      draft.redirectDir = value === "off" ? "follow" : (value as RedirectDir);
      return REDIRECTS.has(value);
    case "xino":
      draft.xino = value as Xino;
      return XINO.has(value);
    case "verity":
      draft.verity = value as Verity;
      return VERITY.has(value);
    case "uuid":
      return UUID.has(value);
    default:
      // An option of layers without a value.
      return false;
  }
}

/** Settles what options imply, and refuses what contradicts, in the kernel's order (ovl_fs_params_verify; recorded on Linux 6.18). */
function settle(draft: Draft, given: ReadonlySet<string>, hasUpper: boolean): MountFailure | undefined {
  const asked = new Set(given);
  if (!hasUpper) {
    // Without an upper layer these are useless, and ignored.
    if (draft.index) asked.delete("index");
    draft.index = false;
    draft.volatile = false;
    if (draft.redirectDir === "follow") draft.redirectDir = "on";
  }
  if (draft.metacopy && draft.redirectDir !== "on") {
    if (asked.has("redirect_dir")) {
      if (asked.has("metacopy")) return refuse(`conflicting options: metacopy=on,redirect_dir=${draft.redirectDir}`);
      draft.metacopy = false;
    } else draft.redirectDir = "on";
  }
  if (draft.nfsExport && !draft.index) {
    // NFS export requires "redirect_dir=nofollow" on non-upper mount, falling back to nfs_export=off.
    if (!hasUpper && draft.redirectDir !== "nofollow") draft.nfsExport = false;
    else if (asked.has("index")) return refuse("conflicting options: nfs_export=on,index=off");
    else draft.index = hasUpper;
  }
  if (draft.nfsExport && draft.metacopy) return refuse("conflicting options: nfs_export=on,metacopy=on");
  if (!draft.userxattr) return undefined;
  if (asked.has("redirect_dir") && draft.redirectDir !== "nofollow")
    return refuse(`conflicting options: userxattr,redirect_dir=${draft.redirectDir}`);
  if (draft.metacopy && asked.has("metacopy")) return refuse("conflicting options: userxattr,metacopy=on");
  draft.redirectDir = "nofollow";
  draft.metacopy = false;
  return undefined;
}
