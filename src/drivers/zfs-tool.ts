/**
 * zfs(8) as an administrator types it beside Docker, on the host's pools: `list` and `get` answer as with -Hp, one row a line, columns apart by a tab.
 *
 * Interface: commands, options and refusals are those of OpenZFS 2.1; an option that is not here is refused, as the tool refuses an unknown one.
 */
import { findDataset, zfsClone, zfsCreate, zfsPromote, zfsRename, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { type DestroyOptions, zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsHold, zfsHolds, zfsRelease } from "../../sim/cow/zfs/holds.ts";
import { columnOf, listColumns, zfsGet, zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import type { Host } from "../../sim/host.ts";
import { optionsOf, type ToolAnswer, type ToolWords } from "./tool-words.ts";

interface Command extends ToolWords {
  readonly pool: Pool;
}

/** Options of each command: letters, with a colon behind those that take a word (getopt). */
const OPTIONS: Readonly<Record<string, string>> = {
  list: "Hpro:t:",
  get: "Hp",
  set: "",
  create: "o:",
  snapshot: "r",
  clone: "o:",
  promote: "",
  rename: "",
  rollback: "rR",
  hold: "",
  release: "",
  holds: "H",
  destroy: "rRd",
};

/** Commands whose first word is no dataset: properties, a tag. */
const NAMES_SECOND: readonly string[] = ["get", "hold", "release"];
const KINDS: readonly string[] = ["filesystem", "snapshot", "all"];

function properties(options: Command["options"]): Record<string, string> {
  const pairs = (options.get("o") ?? []).map((text) => {
    const [name = "", ...value] = text.split("=");
    return [name, value.join("=")] as const;
  });
  return Object.fromEntries(pairs);
}

function answer(err: string | undefined): ToolAnswer {
  return err === undefined ? { out: "" } : { err };
}

const table = (rows: readonly (readonly string[])[]): ToolAnswer => ({ out: rows.map((row) => row.join("\t")).join("\n") });

function list({ pool, names, options }: Command): ToolAnswer {
  const type = options.get("t")?.[0] ?? "filesystem";
  if (!KINDS.includes(type)) return { err: `invalid type '${type}'` };
  const columns = listColumns(options.get("o")?.[0]?.split(","));
  const how = { type: type as "all", columns };
  if (names.length === 0) return table(zfsList(pool, how));
  const rows: string[][] = [];
  for (const name of names) {
    const dataset = findDataset(pool, name);
    if (dataset === undefined) return { err: `cannot open '${name}': dataset does not exist` };
    if (options.has("r") && !dataset.isSnapshot) rows.push(...zfsList(pool, { ...how, top: dataset.directory }));
    else rows.push(columns.map((column) => columnOf(pool, dataset, column)));
  }
  return table(rows);
}

const COMMANDS: Readonly<Record<string, (command: Command) => ToolAnswer>> = {
  list,
  get: ({ pool, names: [wanted = "", name = ""] }) => {
    const rows = zfsGet(pool, wanted.split(","), name);
    return rows === undefined ? { err: `cannot open '${name}': dataset does not exist` } : table(rows);
  },
  set: ({ pool, names: [assignment = "", name = ""] }) => {
    const [property = "", ...value] = assignment.split("=");
    return answer(zfsSet(pool, property, value.join("="), name));
  },
  create: ({ pool, names: [name = ""], options }) => answer(zfsCreate(pool, name, properties(options))),
  snapshot: ({ pool, names: [name = ""], options }) => answer(zfsSnapshot(pool, name, { recursive: options.has("r") })),
  clone: ({ pool, names: [origin = "", name = ""], options }) => answer(zfsClone(pool, origin, name, properties(options))),
  promote: ({ pool, names: [name = ""] }) => answer(zfsPromote(pool, name)),
  rename: ({ pool, names: [from = "", to = ""] }) => answer(zfsRename(pool, from, to)),
  rollback: ({ pool, names: [name = ""], options }) =>
    answer(zfsRollback(pool, name, { recursive: options.has("r"), clones: options.has("R") })),
  hold: ({ pool, names: [tag = "", name = ""] }) => answer(zfsHold(pool, tag, name)),
  release: ({ pool, names: [tag = "", name = ""] }) => answer(zfsRelease(pool, tag, name)),
  holds: ({ pool, names: [name = ""] }) => {
    const rows = zfsHolds(pool, name);
    return typeof rows === "string" ? { err: rows } : table(rows);
  },
  destroy: ({ pool, names: [name = ""], options }) => {
    const how: DestroyOptions = { recursive: options.has("r"), clones: options.has("R"), defer: options.has("d") };
    return answer(zfsDestroy(pool, name, how));
  },
};

/** Runs one command; `words` begin with its name. */
export function runZfs(host: Host, [verb = "", ...words]: readonly string[]): ToolAnswer {
  const run = COMMANDS[verb];
  if (run === undefined) return { err: `unrecognized command '${verb}'` };
  const command = optionsOf(words, OPTIONS[verb] ?? "");
  if (typeof command === "string") return { err: command };
  const named = command.names.find((word) => !word.includes("=")) ?? "";
  const wanted = NAMES_SECOND.includes(verb) ? (command.names[1] ?? "") : named;
  const pool = wanted === "" ? host.pools.values().next().value : host.pools.get(wanted.split(/[/@]/, 1)[0] ?? "");
  if (pool === undefined)
    return { err: host.pools.size === 0 ? "The ZFS modules are not loaded." : `cannot open '${wanted}': no such pool` };
  return run({ pool, ...command });
}
