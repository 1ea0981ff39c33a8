/**
 * The mount options of overlayfs, from the text that mount(8) gets (fs/overlayfs/params.c; union.md section 8).
 *
 * Interface: `parseOptions` tells the options or the Errno with the text of the kernel's log. Backslash takes the meaning from the colon or
 * backslash after it in lowerdir, and from the comma in any value. Options count in their order: the first that is wrong refuses the mount, and a path is
 * wrong where it leads to nothing that it can mean, even if a later option takes its place.
 */
import { EINVAL, type Errno } from "../../core/errno.ts";
import type { OverlayProfile } from "../../core/kernel-profile.ts";

type RedirectDir = "on" | "follow" | "off" | "nofollow";
type Xino = "on" | "auto" | "off";
type Verity = "off" | "on" | "require";
/** Which copies are written to the disk before they have their names: file data, also all attributes of files and directories, or nothing at all. */
type Fsync = "auto" | "strict" | "volatile";
type Uuid = "on" | "off" | "null" | "auto";

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
  /** Under "volatile" nobody's fsync does anything, and no later mount takes the work directory. */
  readonly fsync: Fsync;
  /** Whether the mount has a UUID of its own, which its upper layer keeps: under "auto" one that is new, or has it already. */
  readonly uuid: Uuid;
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
  fsync: "auto",
  uuid: "auto",
  userxattr: false,
  defaultPermissions: false,
};

/** What a mount was refused for: the errno, and the line in the kernel's log. */
export interface MountFailure {
  readonly errno: Errno;
  readonly message: string;
}

/** Whether a mount was refused. */
export function isMountFailure(value: unknown): value is MountFailure {
  return typeof value === "object" && value !== null && "errno" in value && "message" in value;
}

/** Options with what the paths of the layers lead to. */
export interface ParsedOptions<Layer> {
  /** Topmost first. */
  readonly lower: readonly Layer[];
  readonly dataOnly: readonly Layer[];
  readonly upper: Layer | undefined;
  readonly work: Layer | undefined;
  readonly options: OverlayOptions;
}

/** Follows the path of a layer. @param written - whether it is the upper layer's or the work directory's. @returns why it cannot be one. */
export type FindLayer<Layer> = (path: string, written: boolean) => Layer | MountFailure;

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

/** Options whose value is a path, or several. */
const PATH_OPTIONS: ReadonlySet<string> = new Set(["lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"]);

/** Layers while options are read. */
interface DraftLayers<Layer> {
  lower: Layer[];
  dataOnly: Layer[];
  upper: Layer | undefined;
  work: Layer | undefined;
  /** Whether lowerdir has named all lower ones. */
  isWhole: boolean;
}

/** An option with the value that it was given. */
interface Given {
  readonly key: string;
  readonly value: string;
}

/** Takes an option that names a layer, or with lowerdir all lower ones. */
function takeLayer<Layer>(layers: DraftLayers<Layer>, { key, value }: Given, find: FindLayer<Layer>): MountFailure | undefined {
  if (key === "lowerdir") return takeLowers(layers, value, find);
  if (value === "") return refuseOption(`Bad value for '${key}'`);
  const written = key === "upperdir" || key === "workdir";
  const layer = find(unescaped(value), written);
  if (isMountFailure(layer)) return layer;
  if (written) {
    layers[key === "upperdir" ? "upper" : "work"] = layer;
    return undefined;
  }
  if (layers.isWhole) return refuseOption("lowerdir+ and datadir+ cannot follow lowerdir");
  if (key === "lowerdir+" && layers.dataOnly.length > 0) {
    return refuseOption("regular lower layers cannot follow data layers");
  }
  if (layers.lower.length + layers.dataOnly.length >= LOWER_LAYERS_MAX) return refuseTooMany();
  (key === "datadir+" ? layers.dataOnly : layers.lower).push(layer);
  return undefined;
}

/**
 * The layers of lowerdir: single colons between those that show names, double ones before those that are data-only (ovl_parse_param_lowerdir). They take
 * the place of all that were named before; of an empty one nothing is left.
 */
function takeLowers<Layer>(layers: DraftLayers<Layer>, value: string, find: FindLayer<Layer>): MountFailure | undefined {
  const parts = value === "" ? [] : cut(value, ":");
  if (parts[0] === "") return refuse("cannot append lower layer");
  if (parts.some((part, index) => part === "" && parts[index + 1] === "" && index + 2 < parts.length)) {
    return refuse("only single ':' or double '::' sequences of unescaped colons in lowerdir mount option allowed.");
  }
  if (parts.at(-1) === "") return refuse("unescaped trailing colons in lowerdir mount option.");
  if (parts.filter((part) => part !== "").length > LOWER_LAYERS_MAX) return refuseTooMany();
  const lower: Layer[] = [];
  const dataOnly: Layer[] = [];
  for (const [index, part] of parts.entries()) {
    if (part === "") continue;
    const doubled = parts[index - 1] === "";
    if (!doubled && dataOnly.length > 0) return refuse("regular lower layers cannot follow data lower layers");
    const layer = find(unescaped(part), false);
    if (isMountFailure(layer)) return layer;
    (doubled ? dataOnly : lower).push(layer);
  }
  layers.lower = lower;
  layers.dataOnly = dataOnly;
  layers.isWhole = value !== "";
  return undefined;
}

function refuseTooMany(): MountFailure {
  return refuse(`too many lower directories, limit is ${LOWER_LAYERS_MAX}`);
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
export function parseOptions<Layer>(
  text: string,
  profile: OverlayProfile,
  find: FindLayer<Layer>,
): ParsedOptions<Layer> | MountFailure {
  const draft: Draft = { ...DEFAULT_OPTIONS };
  const given = new Set<string>();
  const layers: DraftLayers<Layer> = { lower: [], dataOnly: [], upper: undefined, work: undefined, isWhole: false };
  for (const part of cut(text, ",")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const key = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? undefined : part.slice(equals + 1);
    given.add(key);
    if (!ALWAYS.has(key) && !profile.options.has(key)) return refuseUnknown(part, key, profile);
    const failed =
      PATH_OPTIONS.has(key) && value !== undefined ? takeLayer(layers, { key, value }, find) : setOption(draft, key, value);
    if (failed !== undefined) return failed;
  }
  const { lower, dataOnly, upper, work } = layers;
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

/** Options without a value. Whose rights a mount uses below (from 6.15) are those of who mounts, unless fsconfig(2) says otherwise. */
const FLAGS: ReadonlyMap<string, Partial<OverlayOptions>> = new Map([
  ["volatile", { fsync: "volatile" }],
  ["userxattr", { userxattr: true }],
  ["default_permissions", { defaultPermissions: true }],
  ["override_creds", {}],
  ["nooverride_creds", {}],
]);
const FSYNC: ReadonlySet<string> = new Set(["auto", "strict", "volatile"]);
const REDIRECTS: ReadonlySet<string> = new Set(["on", "off", "follow", "nofollow"]);
const XINO: ReadonlySet<string> = new Set(["on", "off", "auto"]);
const UUID: ReadonlySet<string> = new Set(["on", "off", "null", "auto"]);
const VERITY: ReadonlySet<string> = new Set(["on", "off", "require"]);

/** Sets an option that the kernel knows. @returns EINVAL for a value that it does not know, and a value of one that has none. */
function setOption(draft: Draft, key: string, value: string | undefined): MountFailure | undefined {
  const flag = FLAGS.get(key);
  if (flag !== undefined) {
    Object.assign(draft, flag);
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
    case "fsync":
      draft.fsync = value as Fsync;
      return FSYNC.has(value);
    case "uuid":
      draft.uuid = value as Uuid;
      return UUID.has(value);
    default:
      // The path of a layer that is not given.
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
    if (draft.fsync === "volatile") draft.fsync = "auto";
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
