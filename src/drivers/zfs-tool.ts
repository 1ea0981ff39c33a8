/**
 * zfs(8) as an administrator types it beside Docker, on the host's pools.
 *
 * Interface: commands, options and refusals are those of OpenZFS 2.1; an option that is not here is refused, as the tool refuses an unknown one.
 */
import {
  createAncestors,
  filesystemOf,
  findDataset,
  findDirectory,
  zfsClone,
  zfsCreate,
  zfsInherit,
  zfsPromote,
  zfsSetAll,
  zfsSnapshot,
} from "../../sim/cow/zfs/commands.ts";
import { type DestroyOptions, toldDestroy } from "../../sim/cow/zfs/destroy.ts";
import type { Dataset, Directory } from "../../sim/cow/zfs/dsl.ts";
import { zfsHold, zfsHolds, zfsRelease } from "../../sim/cow/zfs/holds.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { settingOf } from "../../sim/cow/zfs/properties.ts";
import { findProperty } from "../../sim/cow/zfs/property-table.ts";
import { zfsRename } from "../../sim/cow/zfs/rename.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import type { Host } from "../../sim/host.ts";
import { optionsOf, type ToolAnswer, type ToolWords, usage } from "./tool-words.ts";
import { noted } from "./zfs-history.ts";
import { type ChangeList, datasetNamed, joined, ZfsMounts } from "./zfs-mounts.ts";
import { get, list } from "./zfs-show.ts";

interface Command extends ToolWords {
  readonly pool: Pool;
  readonly mounts: ZfsMounts;
}

/** The exit code of a property that is given twice. */
const SEVERAL_STATUS = 255;
const SPECIAL = "special_small_blocks";
/** How wide the names are that `zfs mount` tells. */
const MOUNT_WIDTH = 30;

/** Options of each command: letters, with a colon behind those that take a word (getopt). */
const OPTIONS: Readonly<Record<string, string>> = {
  list: "HS:d:o:prs:t:",
  get: "d:o:rs:t:Hp",
  set: "",
  inherit: "rS",
  create: "po:uvnP",
  snapshot: "ro:",
  clone: "po:",
  promote: "",
  rename: "pruf",
  rollback: "rR",
  hold: "r",
  release: "r",
  holds: "rH",
  destroy: "vpndfrR",
  mount: "avOo:fl",
  unmount: "afu",
  umount: "afu",
};

/** Commands whose first word is no dataset: properties, a tag. */
const NAMES_SECOND: readonly string[] = ["get", "inherit", "hold", "release"];

function answer(err: string | undefined): ToolAnswer {
  return err === undefined ? { out: "" } : { err };
}

/** Properties by words "name=value"; a text is what is wrong (parseprop). */
function assignments(words: readonly string[]): Record<string, string> | string {
  const found: Record<string, string> = {};
  for (const word of words) {
    const [name = "", ...value] = word.split("=");
    if (Object.hasOwn(found, name)) return `property '${name}' specified multiple times`;
    found[name] = value.join("=");
  }
  return found;
}

/** Does the same to each of several names; what is wrong with any is told. */
function forEach(names: readonly string[], run: (name: string) => string | undefined): ToolAnswer {
  return answer(joined(names.map(run)));
}

/**
 * Changes properties of a filesystem, with what is mounted of it and below where that has to change too: a mountpoint moves its mount, canmount=off ends it, while
 * canmount's other values only speak of the next one.
 * @param values - of the properties that are set; of one that is inherited ""
 */
function change(
  { pool, mounts }: Command,
  path: string,
  values: Readonly<Record<string, string>>,
  work: () => string | undefined,
): string | undefined {
  const directory = findDirectory(pool, path);
  if (directory === undefined) return work();
  const names = Object.keys(values).map((name) => findProperty(name)?.name ?? name);
  const ends = values["canmount"] === "off" && mounts.placeOf(directory.head) !== undefined;
  const moves = names.includes("mountpoint") || names.includes("zoned");
  const list = moves || ends ? mounts.begin(directory, false) : undefined;
  if (typeof list === "string") return list;
  const wrong = work();
  const unmounted = list?.finish();
  return wrong ?? unmounted ?? mounts.follow(directory, names);
}

function set(command: Command): ToolAnswer {
  const { pool, names } = command;
  if (names.length < 2) return usage(names.length === 0 ? "missing arguments" : "missing dataset name(s)");
  const at = names.findIndex((word) => !word.includes("="));
  if (at < 0) return usage("missing dataset name(s)");
  if (names.slice(at).some((word) => word.includes("="))) return usage("invalid argument order");
  const values = assignments(names.slice(0, at));
  if (typeof values === "string") return { err: values, status: SEVERAL_STATUS };
  const told = forEach(names.slice(at), (name) => change(command, name, values, () => zfsSetAll(pool, values, name)));
  if (!Object.hasOwn(values, SPECIAL)) return told;
  const warning = `${SPECIAL}: property requires a special device in the pool`;
  return "err" in told ? { ...told, err: `${warning}\n${told.err}` } : { ...told, said: warning };
}

function inherit(command: Command): ToolAnswer {
  const { pool, names, options } = command;
  const [property = "", ...paths] = names;
  const how = { recursive: options.has("r"), received: options.has("S") };
  if (paths.length === 0) return usage(names.length === 0 ? "missing property argument" : "missing dataset argument");
  const told = forEach(paths, (name) => change(command, name, { [property]: "" }, () => zfsInherit(pool, property, name, how)));
  return "err" in told && told.err.startsWith("invalid property") ? usage(told.err) : told;
}

/** Mounts a filesystem that was just made, unless it says that it is not to be (zfs_mount_and_share). */
function mountNew({ pool, mounts }: Command, name: string): string | undefined {
  const directory = findDirectory(pool, name) as Directory;
  return settingOf(directory, "canmount", pool.profile) === "on" ? mounts.mount(directory) : undefined;
}

function create(command: Command): ToolAnswer {
  const { pool, names, options } = command;
  const [name = ""] = names;
  const chosen = assignments(options.get("o") ?? []);
  if (typeof chosen === "string") return { err: chosen };
  const lines = options.has("P")
    ? [`create\t${name}`, ...Object.entries(chosen).map(([key, value]) => `property\t${key}\t${value}`)]
    : [
        `${options.has("n") ? "would create" : "create"} ${name}`,
        ...Object.entries(chosen).map(([key, value]) => `\t${key}=${value}`),
      ];
  const out = options.has("v") || options.has("P") ? lines.join("\n") : "";
  const isThere = findDataset(pool, name) !== undefined;
  const missing =
    options.has("p") && !options.has("n") ? createAncestors(pool, name, (made) => void mountNew(command, made)) : undefined;
  // With -p what is there is as good as made.
  if (options.has("p") && missing === undefined && isThere) return { out: "" };
  if (options.has("n")) return { out };
  const failed = missing ?? zfsCreate(pool, name, chosen);
  if (failed !== undefined) return { err: failed };
  const unmounted = options.has("u") ? undefined : mountNew(command, name);
  return unmounted === undefined ? { out } : { err: `${unmounted}\nfilesystem successfully created, but not mounted`, out };
}

function clone(command: Command): ToolAnswer {
  const { pool, names, options } = command;
  const [origin = "", name = ""] = names;
  const chosen = assignments(options.get("o") ?? []);
  if (typeof chosen === "string") return { err: chosen };
  const parents = options.has("p") && findDataset(pool, origin) !== undefined;
  const missing = parents ? createAncestors(pool, name, (made) => void mountNew(command, made)) : undefined;
  if (parents && missing === undefined && findDataset(pool, name) !== undefined) return { out: "" };
  const failed = missing ?? zfsClone(pool, origin, name, chosen);
  if (failed !== undefined) return { err: failed };
  const said = mountNew(command, name);
  return said === undefined ? { out: "" } : { out: "", said };
}

function rename(command: Command): ToolAnswer {
  const { pool, mounts, names, options } = command;
  const [from = "", to = ""] = names;
  const lists: ChangeList[] = [];
  const begin = (directory: Directory): string | undefined => {
    const list = options.has("u") ? undefined : mounts.begin(directory, true);
    if (typeof list === "object") lists.push(list);
    return typeof list === "string" ? list : undefined;
  };
  const made = (name: string): void => void mountNew(command, name);
  const wrong = zfsRename(pool, from, to, { recursive: options.has("r"), parents: options.has("p"), begin, made });
  const unmounted = lists[0]?.finish();
  return answer(wrong ?? unmounted);
}

/** The pool's filesystems, what is below one behind it: the order in which they are mounted. */
function all(pool: Pool): Directory[] {
  return [...pool.root.below()];
}

/** zfs mount: one filesystem, all (-a), or which are. */
function mount({ pool, mounts, names: [name], options }: Command): ToolAnswer {
  const chosen = options.get("o")?.join();
  const how = { overlays: options.has("O"), ...(chosen === undefined ? {} : { options: chosen }) };
  if (options.has("a")) {
    const waiting = all(pool).filter(({ head }) => mounts.placeOf(head) === undefined && mounts.isMountable(head.directory));
    return answer(joined(waiting.filter((one) => mounts.isAutomatic(one)).map((one) => mounts.mount(one, how))));
  }
  if (name === undefined) {
    return {
      out: mounts
        .shown()
        .map(([path, at]) => `${path.padEnd(MOUNT_WIDTH)}  ${at}`)
        .join("\n"),
    };
  }
  const directory = filesystemAt(pool, name);
  if (typeof directory === "string") return { err: directory };
  return answer(mounts.refusal(directory) ?? mounts.mount(directory, how));
}

/** zfs unmount: a filesystem by its name or its place, or all (-a), the lowest first. */
function unmount({ pool, mounts, names: [name], options }: Command): ToolAnswer {
  if (options.has("a"))
    return answer(
      joined(
        all(pool)
          .reverse()
          .map(({ head }) => mounts.unmount(head)),
      ),
    );
  if (name === undefined) return usage("missing filesystem argument");
  const directory = name.startsWith("/") ? all(pool).find(({ head }) => mounts.placeOf(head) === name) : filesystemAt(pool, name);
  if (typeof directory === "string") return { err: directory };
  if (directory === undefined) return { err: `cannot unmount '${name}': not a mountpoint` };
  const list = mounts.unmountRefusal(directory) ?? mounts.begin(directory, false);
  return answer(typeof list === "string" ? list : undefined);
}

function filesystemAt(pool: Pool, name: string): Directory | string {
  if (name.includes("@")) return `cannot open '${name}': snapshot delimiter '@' is not expected here`;
  return findDirectory(pool, name) ?? `cannot open '${name}': dataset does not exist`;
}

/** zfs snapshot: one, or several of different filesystems. */
function snapshot({ pool, names, options }: Command): ToolAnswer {
  const chosen = assignments(options.get("o") ?? []);
  if (typeof chosen === "string") return { err: chosen };
  if (pool.profile.speaksOpenZfs && names.some((name) => !name.includes("@"))) return usage("");
  if (new Set(names.map(filesystemOf)).size < names.length)
    return { err: "cannot create snapshots : multiple snapshots of same fs not allowed\nno snapshots were created" };
  for (const name of names) {
    const wrong = zfsSnapshot(pool, name, { recursive: options.has("r") });
    // What cannot be opened counts as wrong usage.
    if (wrong !== undefined) return wrong.startsWith("cannot open") ? usage(wrong) : { err: wrong };
    const refused = options.has("o") ? zfsSetAll(pool, chosen, name) : undefined;
    if (refused !== undefined) return { err: refused };
  }
  return { out: "" };
}

/** What is said of a command whose words are too few, by how many there are. */
const MISSING: Readonly<Record<string, readonly string[]>> = {
  snapshot: ["missing snapshot argument"],
  clone: ["missing source dataset argument", "missing target dataset argument"],
  create: ["missing filesystem argument"],
  destroy: ["missing dataset argument"],
  rename: ["missing source dataset argument", "missing target dataset argument"],
  promote: ["missing clone filesystem argument"],
  rollback: ["missing dataset argument"],
  hold: ["", ""],
  release: ["", ""],
  holds: [""],
};

const COMMANDS: Readonly<Record<string, (command: Command) => ToolAnswer>> = {
  list,
  get,
  set,
  inherit,
  create,
  snapshot,
  clone,
  promote: ({ pool, names: [name = ""] }) => answer(zfsPromote(pool, name)),
  rename,
  rollback: ({ pool, mounts, names: [name = ""], options }) => {
    const unmount = (head: Dataset): string | undefined => mounts.unmount(head);
    return answer(zfsRollback(pool, name, { recursive: options.has("r"), clones: options.has("R"), unmount }));
  },
  hold: ({ pool, names: [tag = "", ...names], options }) =>
    forEach(names, (name) => zfsHold(pool, tag, name, { recursive: options.has("r") })),
  release: ({ pool, names: [tag = "", ...names], options }) =>
    forEach(names, (name) => zfsRelease(pool, tag, name, { recursive: options.has("r") })),
  holds: ({ pool, names: [name = ""], options }) => {
    const rows = zfsHolds(pool, name, { recursive: options.has("r") });
    return typeof rows === "string" ? { err: rows } : { out: rows.map((row) => row.join("\t")).join("\n") };
  },
  destroy: ({ pool, mounts, names: [name = ""], options }) => {
    const how: DestroyOptions = {
      recursive: options.has("r"),
      clones: options.has("R"),
      defer: options.has("d"),
      dryRun: options.has("n"),
      verbose: options.has("v"),
      parsable: options.has("p"),
      unmount: (head) => mounts.unmount(head),
      gone: (directory) => mounts.removeDirectory(directory),
    };
    const { out, err } = toldDestroy(pool, name, how);
    const told = out.join("\n");
    return err.length === 0 ? { out: told } : { err: err.join("\n"), ...(told === "" ? {} : { out: told }) };
  },
  mount,
  unmount,
  umount: unmount,
};

/** What a command says of a dataset whose pool is not there. */
function poolFault(verb: string, name: string): string {
  return verb === "create" && name.includes("/")
    ? `cannot create '${name}': no such pool '${name.split("/", 1)[0]}'`
    : `cannot open '${name}': dataset does not exist`;
}

/** Runs one command; `words` begin with its name. */
export function runZfs(host: Host, [verb = "", ...words]: readonly string[]): ToolAnswer {
  const run = COMMANDS[verb];
  if (run === undefined) return usage(verb === "" ? "missing command" : `unrecognized command '${verb}'`);
  const typed = optionsOf(words, OPTIONS[verb] ?? "");
  if (typeof typed === "string") return usage(typed);
  const isShown = verb === "list" || verb === "get";
  const command = { ...typed, names: isShown ? typed.names.map((name) => datasetNamed(host, name)) : typed.names };
  const missing = MISSING[verb]?.[command.names.length];
  if (missing !== undefined) return usage(missing);
  const named = command.names.find((word) => !word.includes("=")) ?? "";
  const wanted = NAMES_SECOND.includes(verb) ? (command.names[1] ?? "") : named;
  const pool = wanted === "" ? host.pools.values().next().value : host.pools.get(wanted.split(/[/@]/, 1)[0] ?? "");
  if (pool === undefined) {
    if (host.pools.size === 0) return { err: "The ZFS modules are not loaded." };
    const wrong = poolFault(verb, wanted);
    return verb === "snapshot" ? usage(wrong) : { err: wrong };
  }
  const told = run({ pool, mounts: new ZfsMounts(host, pool), ...command });
  return noted(host, pool, ["zfs", verb, ...words], told);
}
