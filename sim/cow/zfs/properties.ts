/**
 * Properties of datasets: what may be set to what, what children inherit, and how values are kept and told (lib/libzfs/libzfs_util.c, zprop_parse_value;
 * libzfs_dataset.c, zfs_valid_proplist, zfs_prop_get).
 */
import { ctime } from "../../core/calendar.ts";
import { niceBytes, niceNumber } from "./amounts.ts";
import type { Compression } from "./compress.ts";
import type { Directory } from "./dsl.ts";
import type { ZfsProfile } from "./profile.ts";
import { findProperty, NO_COUNT, PROPERTIES, type Property } from "./property-table.ts";

const SIZE = /^(\d+(?:\.\d+)?)([kmgtpe]?)i?b?$/i;
const POWERS = "kmgtpe";
const RECORD_MIN = 512;
const RECORD_MAX: number = 2 ** 20;

/** A size as zfs(8) takes it: "10M" is 10 × 2^20; undefined for anything else. */
function parseZfsSize(text: string): number | undefined {
  const parts = SIZE.exec(text);
  if (parts === null) return undefined;
  const unit = (parts[2] as string).toLowerCase();
  return Math.floor(Number(parts[1]) * 1024 ** (unit === "" ? 0 : POWERS.indexOf(unit) + 1));
}

/** A property that an administrator makes up: a colon in it, small letters and digits (zfs_prop_user). */
const USER = /^[a-z0-9\-_.]*:[a-z0-9\-_.:]*$/;

/** Whether a name is that of a property which somebody made up. */
export function isUserProperty(name: string): boolean {
  return USER.test(name);
}

/** Whether a name is that of a property that can be set on a filesystem that is there. */
export function isSettable(name: string): boolean {
  const attribute = findProperty(name)?.attribute;
  return attribute === "inherit" || attribute === "own" || isUserProperty(name);
}

/** Whether datasets of a kind have a property. */
export function isOf(name: string, kind: "f" | "s"): boolean {
  return isUserProperty(name) || findProperty(name)?.of.includes(kind) === true;
}

/** Whether children have what is set here. */
export function isInheritable(name: string): boolean {
  return findProperty(name)?.attribute !== "own";
}

/** What may be kept of a value, or what is wrong with it. */
export type Kept = { readonly value: string } | { readonly wrong: string };

function isPowerOf2(size: number): boolean {
  return size > 0 && 2 ** Math.round(Math.log2(size)) === size;
}

function keptNumber({ name, initial, values }: Property, word: string): Kept {
  if (word === "none" && values.endsWith("| none")) return { value: initial === NO_COUNT ? NO_COUNT : "0" };
  const size = parseZfsSize(word);
  if (size === undefined) return { wrong: `bad numeric value '${word}'` };
  const isSize = isPowerOf2(size) && size >= RECORD_MIN && size <= RECORD_MAX;
  if (name === "recordsize" && !isSize) return { wrong: "'recordsize' must be power of 2 from 512B to 1M" };
  if (name === "special_small_blocks" && size !== 0 && !isSize)
    return { wrong: `invalid '${name}=${word}' property: must be zero or a power of 2 from 512B to 1M` };
  return { value: String(size) };
}

function keptText(name: string, word: string): Kept {
  if (name === "mlslabel" && word !== "none") return { wrong: "mlslabels are unsupported" };
  const isPath = name !== "mountpoint" || word === "none" || word === "legacy" || word.startsWith("/");
  return isPath ? { value: word } : { wrong: "'mountpoint' must be an absolute path, 'none', or 'legacy'" };
}

/** A value as it is kept. @param word - as it was typed */
export function keep(name: string, word: string): Kept {
  const property = findProperty(name);
  if (property === undefined) return { value: word };
  if (property.kind === "number") return keptNumber(property, word);
  if (property.kind === "text") return keptText(property.name, word);
  const value = property.choices.get(word);
  return value === undefined ? { wrong: `'${property.name}' must be one of '${property.values}'` } : { value };
}

/** Where a property is set: in the directory, or in the nearest above that it inherits from; undefined: nowhere. */
function setIn(directory: Directory, name: string): Directory | undefined {
  if (directory.properties.has(name) || !isInheritable(name)) return directory;
  let at = directory.parent;
  while (at !== undefined && !at.properties.has(name)) at = at.parent;
  return at;
}

/** The version of filesystems: 5 has system attributes. */
export function zplVersionOf(profile: ZfsProfile): number {
  return profile.systemAttributes ? 5 : 4;
}

function defaultOf(directory: Directory, name: string, profile: ZfsProfile): string {
  if (name === "mountpoint") return `/${directory.path}`;
  if (name === "version") return String(zplVersionOf(profile));
  return name === "compression" ? profile.defaultCompression : (PROPERTIES.get(name)?.initial ?? "-");
}

/** A property's value, and where it comes from, as `zfs get` tells. */
export function propertyOf(directory: Directory, name: string, profile: ZfsProfile): { value: string; source: string } {
  const at = setIn(directory, name);
  const value = at?.properties.get(name);
  if (at === undefined || value === undefined) {
    const hasSource = !isUserProperty(name) && PROPERTIES.get(name)?.attribute !== "readonly" && !isOneTime(name);
    return { value: defaultOf(directory, name, profile), source: hasSource ? "default" : "-" };
  }
  if (at === directory) return { value, source: isOneTime(name) ? "-" : "local" };
  const inherited = name === "mountpoint" && value !== "legacy" && value !== "none";
  const rest = directory.path.slice(at.path.length);
  return { value: inherited ? `${value}${rest}` : value, source: `inherited from ${at.path}` };
}

/** Whether a property is told without where it comes from: how names are compared, and the version of the filesystem. */
function isOneTime(name: string): boolean {
  return name === "version" || name === "utf8only" || name === "normalization" || name === "casesensitivity";
}

/** A property's value alone, of any but "mountpoint": what each block that is written asks for. */
export function settingOf(directory: Directory, name: string, profile: ZfsProfile): string {
  return setIn(directory, name)?.properties.get(name) ?? defaultOf(directory, name, profile);
}

/** How many copies of a data block are written. */
export function copiesOf(directory: Directory, profile: ZfsProfile): number {
  return Number(settingOf(directory, "copies", profile));
}

/** How data blocks are compressed: what "on" stands for, too. */
export function compressionOf(directory: Directory, profile: ZfsProfile): Compression {
  const compression = settingOf(directory, "compression", profile);
  return compression === "on" ? profile.onCompression : (compression as Compression);
}

/** Numbers that are told as they are. */
const PLAIN: ReadonlySet<string> = new Set(["createtxg", "guid", "objsetid", "userrefs", "pbkdf2iters"]);
/** Numbers that are no bytes to the tool (zfs_nicenum): 0 of them has no unit. */
const UNITLESS: ReadonlySet<string> = new Set(["written", "recordsize", "special_small_blocks"]);

/** A second since 1970 as zfs(8) tells it where the clock shows UTC: "Sat Nov 28 11:48 2026". */
function dateText(second: number): string {
  const [day, month, date = "", time = "", year] = ctime(second).split(/ +/);
  const [hour = "", minute] = time.split(":");
  return `${day} ${month} ${date.padStart(2)} ${String(Number(hour)).padStart(2)}:${minute} ${year}`;
}

/** A value as it is told without -p: rounded (zfs_prop_get). */
export function roundedValue(name: string, value: string): string {
  if (value === "-") return value;
  if (name.startsWith("written@")) return niceBytes(Number(value));
  const property = findProperty(name);
  if (property?.kind !== "number" || PLAIN.has(property.name)) return value;
  const { attribute, initial } = property;
  if (property.name === "creation") return dateText(Number(value));
  if (initial === NO_COUNT) return value === NO_COUNT ? "none" : value;
  if (property.name.endsWith("ratio")) return `${value}x`;
  if (attribute === "own" && value === "0") return "none";
  return UNITLESS.has(property.name) ? niceNumber(Number(value)) : niceBytes(Number(value));
}
