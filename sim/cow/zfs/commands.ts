/**
 * zfs(8): the commands as functions, their checks in its order and their errors in its words (cmd/zfs/zfs_main.c, lib/libzfs; texts as in spec/block-cow.md §3.4
 * and recorded on OpenZFS 2.1).
 *
 * Interface: a command returns what it would write to standard error, without the last newline; undefined when it worked.
 */
import { isErrno } from "../../core/errno.ts";
import type { Dataset, Directory } from "./dsl.ts";
import { logOf, readChain } from "./log-chain.ts";
import { createClone, createFilesystem, createSnapshots, setProperties, setUserProperties } from "./operations.ts";
import type { Pool } from "./pool.ts";
import { canPromote, promote } from "./promote.ts";
import { isInheritable, isOf, isSettable, isUserProperty, keep, zplVersionOf } from "./properties.ts";
import { findProperty } from "./property-table.ts";

/** The longest name of a dataset (ZFS_MAX_DATASET_NAME_LEN), its NUL included. */
const NAME_MAX = 256;
/** A character that no name of a dataset may have. */
const WRONG_CHARACTER = /[^A-Za-z0-9_\-.: /@]/u;
/** Where nothing stands before, behind or between delimiters. */
const EMPTY_COMPONENT = /(?:^|[/@])(?:[/@]|$)/;

/** Properties that promise room. */
const RESERVATION = /^(?:ref)?reservation$/;
/** Of what children do not inherit, that which a stream may bring. */
const RECEIVED = /^(?:ref)?(?:quota|reservation)$/;

type Properties = Readonly<Record<string, string>>;

/**
 * What a command says on a pool that can write no more (libzfs: EAGAIN of an ioctl with POOL_CHECK_SUSPENDED), or that came to it by this command, which
 * then waits for ever in reality.
 */
export function suspended(pool: Pool, doing: string): string | undefined {
  return pool.failure === undefined ? undefined : `${doing}: pool I/O is currently suspended`;
}

/** A dataset by its whole name; undefined when there is none. */
export function findDataset(pool: Pool, name: string): Dataset | undefined {
  const at = name.indexOf("@");
  if (at < 0) return findDirectory(pool, name)?.head;
  return findDirectory(pool, name.slice(0, at))?.named.get(name.slice(at + 1));
}

export function findDirectory(pool: Pool, path: string): Directory | undefined {
  let slash = path.indexOf("/");
  const top = slash < 0 ? path : path.slice(0, slash);
  let at: Directory | undefined = top === pool.root.name ? pool.root : undefined;
  while (slash >= 0 && at !== undefined) {
    const start = slash + 1;
    slash = path.indexOf("/", start);
    at = at.children.get(path.slice(start, slash < 0 ? path.length : slash));
  }
  return at;
}

/** What a command works on, or why it cannot be opened. */
export function opened<T extends Dataset | Directory>(pool: Pool, path: string, found: T | undefined): T | string {
  const doing = `cannot open '${path}'`;
  return suspended(pool, doing) ?? found ?? `${doing}: dataset does not exist`;
}

function openDirectory(pool: Pool, path: string): Directory | string {
  return opened(pool, path, findDirectory(pool, path));
}

/** The filesystem's name in that of a snapshot; a filesystem's own. */
export function filesystemOf(path: string): string {
  return path.split("@", 1)[0] ?? "";
}

/** What is wrong with a name; undefined when nothing is (zfs_validate_name). */
export function nameFault(pool: Pool, name: string): string | undefined {
  if (name.includes("#") && pool.profile.speaksOpenZfs) return "bookmark delimiter '#' is not expected here";
  const character = WRONG_CHARACTER.exec(name)?.[0];
  if (character !== undefined) {
    // One that only the pool's own names have is told of without quotes by all versions (zfs_validate_name).
    return pool.profile.speaksOpenZfs && character !== "%"
      ? `invalid character '${character}' in name`
      : `invalid character ${character} in name`;
  }
  if (name.length >= NAME_MAX) return "name is too long";
  if (name.indexOf("@") !== name.lastIndexOf("@")) return "multiple '@' and/or '#' delimiters in name";
  if (name.startsWith("/")) return "leading slash in name";
  if (name.endsWith("/")) return "trailing slash in name";
  return EMPTY_COMPONENT.test(name) ? "empty component or misplaced '@' or '#' delimiter in name" : undefined;
}

/** The parent of a name that is to be made, or what is wrong. @param doing - "cannot create 'a/b'". */
function placeOf(pool: Pool, path: string, doing: string): Place | string {
  const fault = nameFault(pool, path);
  if (fault !== undefined) return `${doing}: ${fault}`;
  const failed = suspended(pool, doing);
  if (failed !== undefined) return failed;
  const place = parentOf(pool, path);
  return findDirectory(pool, path) === undefined || typeof place === "string" ? place : `${doing}: dataset already exists`;
}

/** Where a name is to be. */
export interface Place {
  readonly parent: Directory;
  readonly name: string;
}

/** The parent of a name, or why there is none (check_parents). */
export function parentOf(pool: Pool, path: string): Place | string {
  const doing = `cannot create '${path}'`;
  const slash = path.lastIndexOf("/");
  if (slash < 0) return `${doing}: missing dataset name`;
  const parent = findDirectory(pool, path.slice(0, slash));
  if (parent !== undefined) return { parent, name: path.slice(slash + 1) };
  const top = path.slice(0, path.indexOf("/"));
  return top === pool.root.name ? `${doing}: parent does not exist` : `${doing}: no such pool '${top}'`;
}

/** Makes the filesystems above a name that are missing (zfs_create_ancestors). @param made - is told each of them. @returns what is wrong */
export function createAncestors(pool: Pool, path: string, made?: (path: string) => void): string | undefined {
  const parts = path.split("/");
  if (parts[0] !== pool.root.name) return `cannot create '${path}': no such pool '${parts[0]}'`;
  for (let depth = 2; depth < parts.length; depth++) {
    const above = parts.slice(0, depth).join("/");
    if (findDirectory(pool, above) !== undefined) continue;
    const failed = zfsCreate(pool, above);
    if (failed !== undefined) return failed;
    made?.(above);
  }
  return undefined;
}

/** Properties as they are kept, or what is wrong with one (zfs_valid_proplist). @param isNew - of a filesystem that is about to be made */
function keptProperties(properties: Properties, doing: string, isNew: boolean): [string, string][] | string {
  const kept: [string, string][] = [];
  for (const [word, value] of Object.entries(properties)) {
    const property = findProperty(word);
    if (property === undefined && !isUserProperty(word)) return `${doing}: invalid property '${word}'`;
    const name = property?.name ?? word;
    if (!isOf(name, "f") && property?.of === "v") return `${doing}: '${name}' does not apply to datasets of this type`;
    if (!isSettable(name) && !(isNew && property?.attribute === "once")) return `${doing}: '${name}' is readonly`;
    const one = keep(name, value);
    if ("wrong" in one) return `${doing}: ${one.wrong}`;
    kept.push([name, one.value]);
  }
  // Names that are compared by their normal form are in UTF-8.
  if (kept.some(([name, value]) => name === "normalization" && value !== "none")) kept.push(["utf8only", "on"]);
  return kept;
}

/**
 * Whether what a dataset is promised when it is made is there: its properties are set behind its creation, which is taken back when one cannot be
 * (zfs_ioc_create, zfs_set_prop_nvlist; libzfs tells any ENOSPC of it as "out of space").
 */
function canPromise(pool: Pool, parent: Directory, kept: readonly (readonly [string, string])[]): boolean {
  const most = Math.max(0, pool.free(parent));
  const limits = new Map(kept.map(([name, value]) => [name, Number(value)]));
  return ["", "ref"].every((kind) => {
    const promised = limits.get(`${kind}reservation`) ?? 0;
    return promised <= most && promised <= (limits.get(`${kind}quota`) || Number.POSITIVE_INFINITY);
  });
}

/** zfs create. */
export function zfsCreate(pool: Pool, path: string, properties: Properties = {}): string | undefined {
  const doing = `cannot create '${path}'`;
  if (path.includes("@")) return `${doing}: snapshot delimiter '@' is not expected here`;
  const place = placeOf(pool, path, doing);
  if (typeof place === "string") return place;
  const kept = keptProperties(properties, doing, true);
  if (typeof kept === "string") return kept;
  if (!canPromise(pool, place.parent, kept)) return `${doing}: out of space`;
  createFilesystem(pool, place.name, place.parent, kept);
  return suspended(pool, doing);
}

/** Whether a power cut left calls in the log of a filesystem that no mount has done again. */
function isLogUnplayed(pool: Pool, head: Dataset): boolean {
  if (head.set !== undefined || head.pointer === undefined) return false;
  const log = logOf(pool.store, head.pointer);
  return log !== undefined && !isErrno(log) && readChain(pool.store, log).isWritten;
}

/** zfs snapshot; with `recursive` (-r) of every filesystem below too, all or none. */
export function zfsSnapshot(pool: Pool, path: string, options: { readonly recursive?: boolean } = {}): string | undefined {
  const at = path.indexOf("@");
  if (at < 0) return `cannot snapshot '${path}': missing '@' delimiter in snapshot name`;
  const fault = nameFault(pool, path);
  if (fault !== undefined) return `cannot create snapshot '${path}': ${fault}`;
  const directory = openDirectory(pool, path.slice(0, at));
  if (typeof directory === "string") return directory;
  const name = path.slice(at + 1);
  const directories = options.recursive === true ? [...directory.below()] : [directory];
  for (const one of directories) {
    const why = snapshotFault(pool, one, name);
    if (why !== undefined) return `cannot create snapshot '${one.path}@${name}': ${why}`;
  }
  createSnapshots(
    pool,
    directories.map(({ head }) => head),
    name,
  );
  return suspended(pool, `cannot create snapshot '${path}'`);
}

/** Why a filesystem cannot have a snapshot of a name (dsl_dataset_snapshot_check_impl); undefined when it can. */
function snapshotFault(pool: Pool, { named, head }: Directory, name: string): string | undefined {
  if (named.has(name)) return "dataset already exists";
  if (pool.profile.suspendsLog && isLogUnplayed(pool, head)) return "dataset is busy";
  // Blocks that become the snapshot's are promised to the head once more.
  const reserved = head.directory.limit("refreservation");
  return reserved > 0 && Math.min(head.written, reserved) > pool.free(head.directory) ? "out of space" : undefined;
}

/** zfs clone. */
export function zfsClone(pool: Pool, origin: string, path: string, properties: Properties = {}): string | undefined {
  if (!origin.includes("@")) return `cannot open '${origin}': operation not applicable to datasets of this type`;
  const snapshot = opened(pool, origin, findDataset(pool, origin));
  if (typeof snapshot === "string") return snapshot;
  const doing = `cannot create '${path}'`;
  const place = placeOf(pool, path, doing);
  if (typeof place === "string") return place;
  const kept = keptProperties(properties, doing, true);
  if (typeof kept === "string") return kept;
  if (!canPromise(pool, place.parent, kept)) return `${doing}: out of space`;
  createClone(pool, snapshot, place, kept);
  return suspended(pool, doing);
}

/** zfs promote. */
export function zfsPromote(pool: Pool, path: string): string | undefined {
  const directory = openDirectory(pool, path);
  if (typeof directory === "string") return directory;
  const { origin } = directory;
  if (origin === undefined) return `cannot promote '${path}': not a cloned filesystem`;
  const own = new Set(directory.snapshots.map(({ name }) => name));
  const clash = origin.directory.snapshots.find(({ group, name }) => group <= origin.group && own.has(name));
  if (clash !== undefined)
    return `cannot promote '${path}': conflicting snapshot '${clash.name as string}' from parent '${origin.path}'`;
  if (!canPromote(pool, directory)) return `cannot promote '${path}': out of space`;
  promote(pool, directory);
  return suspended(pool, `cannot promote '${path}'`);
}

/** Below what a quota cannot be set (dsl_dir_set_quota_check, dsl_dataset_set_refquota_check); 0 for other properties. */
function leastLimit(directory: Directory, name: string): number {
  if (name === "quota") return Math.max(directory.used, directory.limit("reservation"));
  return name === "refquota" ? Math.max(directory.head.referenced, directory.limit("refreservation")) : 0;
}

/** Why a limit cannot be set; undefined when it can. */
function limitFault(pool: Pool, directory: Directory, name: string, limit: number): string | undefined {
  if (limit > 0 && limit < leastLimit(directory, name)) return "size is less than current used or reserved space";
  if (!RESERVATION.test(name)) return undefined;
  const most = directory.limit(name === "reservation" ? "quota" : "refquota");
  if (most > 0 && limit > most) return "size is greater than available space";
  const more = name === "refreservation" ? limit - directory.head.written - directory.usage.promised : limit - directory.used;
  return more > Math.max(0, pool.free(directory)) ? "size is greater than available space" : undefined;
}

/** zfs set. */
export function zfsSet(pool: Pool, name: string, value: string, path: string): string | undefined {
  return zfsSetAll(pool, { [name]: value }, path);
}

/** zfs set on a snapshot: only what somebody made up. */
function setOnSnapshot(pool: Pool, properties: Properties, path: string): string | undefined {
  const snapshot = opened(pool, path, findDataset(pool, path));
  if (typeof snapshot === "string") return snapshot;
  const doing = `cannot set property for '${path}'`;
  const kept = keptProperties(properties, doing, false);
  if (typeof kept === "string") return kept;
  if (!kept.every(([name]) => isUserProperty(name))) return `${doing}: this property can not be modified for snapshots`;
  setUserProperties(pool, snapshot, kept);
  return suspended(pool, doing);
}

/** zfs set, of several properties: limits each in a group of its own, the others together behind them (zfs_set_prop_nvlist). */
export function zfsSetAll(pool: Pool, properties: Properties, path: string): string | undefined {
  if (path.includes("@")) return setOnSnapshot(pool, properties, path);
  const directory = openDirectory(pool, path);
  if (typeof directory === "string") return directory;
  const doing = `cannot set property for '${path}'`;
  const kept = keptProperties(properties, doing, false);
  if (typeof kept === "string") return kept;
  const current = zplVersionOf(pool.profile);
  if (kept.some(([name, value]) => name === "version" && Number(value) < current))
    return `${doing}: Can not downgrade; already at version ${current}`;
  let wrong: string | undefined;
  for (const [name, value] of kept) {
    if (isInheritable(name)) continue;
    const fault = limitFault(pool, directory, name, Number(value));
    if (fault === undefined) setProperties(pool, directory, [[name, value]]);
    else wrong ??= `${doing}: ${fault}`;
  }
  setProperties(
    pool,
    directory,
    kept.filter(([name]) => isInheritable(name)),
  );
  return wrong ?? suspended(pool, doing);
}

export interface InheritOptions {
  /** Everything below too (-r). */
  readonly recursive?: boolean;
  /** What was received serves again (-S): nothing was. */
  readonly received?: boolean;
}

/** zfs inherit. */
export function zfsInherit(pool: Pool, word: string, path: string, options: InheritOptions = {}): string | undefined {
  const property = findProperty(word);
  const name = property?.name ?? word;
  if (property === undefined && !isUserProperty(name)) return `invalid property '${name}'`;
  if (property?.attribute === "readonly" || property?.attribute === "once") return `${name} property is read-only`;
  if (!isInheritable(name) && (options.received !== true || !RECEIVED.test(name))) {
    const clear = [`use 'zfs set ${name}=none' to clear`, `use 'zfs inherit -S ${name}' to revert to received value`];
    return [`'${name}' property cannot be inherited`, ...(RECEIVED.test(name) ? clear : [])].join("\n");
  }
  const dataset = opened(pool, path, findDataset(pool, path));
  if (typeof dataset === "string") return dataset;
  const directories = dataset.isSnapshot ? [] : options.recursive === true ? [...dataset.directory.below()] : [dataset.directory];
  for (const one of directories) setProperties(pool, one, [[name, undefined]]);
  // Those of snapshots go with -r too.
  const snapshots = dataset.isSnapshot
    ? [dataset]
    : options.recursive === true
      ? directories.flatMap((one) => one.snapshots)
      : [];
  for (const one of snapshots)
    if (one.properties.some(([has]) => has === name)) setUserProperties(pool, one, [[name, undefined]]);
  return suspended(pool, `cannot inherit ${name} for '${path}'`);
}
