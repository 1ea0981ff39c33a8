/**
 * zfs(8) as an administrator types it beside Docker, on the host's pools: `list` and `get` answer as with -Hp, one row a line, columns apart by a
 * tab; where -H is given alone, in round numbers.
 *
 * Interface: commands, options and refusals are those of OpenZFS 2.1; an option that is not here is refused, as the tool refuses an unknown one.
 */
import {
  createAncestors,
  findDataset,
  zfsClone,
  zfsCreate,
  zfsInherit,
  zfsPromote,
  zfsSetAll,
  zfsSnapshot,
} from "../../sim/cow/zfs/commands.ts";
import { type DestroyOptions, toldDestroy } from "../../sim/cow/zfs/destroy.ts";
import type { Dataset } from "../../sim/cow/zfs/dsl.ts";
import { zfsHold, zfsHolds, zfsRelease } from "../../sim/cow/zfs/holds.ts";
import {
  columnOf,
  isColumn,
  listColumns,
  propertiesOf,
  roundedValue,
  type Selection,
  selectDatasets,
} from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRename } from "../../sim/cow/zfs/rename.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import type { Host } from "../../sim/host.ts";
import { optionsOf, type ToolAnswer, type ToolWords } from "./tool-words.ts";

interface Command extends ToolWords {
  readonly pool: Pool;
}

/** Options of each command: letters, with a colon behind those that take a word (getopt). */
const OPTIONS: Readonly<Record<string, string>> = {
  list: "HS:d:o:prs:t:",
  get: "d:o:rt:Hp",
  set: "",
  inherit: "rS",
  create: "po:",
  snapshot: "r",
  clone: "po:",
  promote: "",
  rename: "pruf",
  rollback: "rR",
  hold: "r",
  release: "r",
  holds: "rH",
  destroy: "vpndfrR",
};

/** Commands whose first word is no dataset: properties, a tag. */
const NAMES_SECOND: readonly string[] = ["get", "inherit", "hold", "release"];
/** The words of -t. */
const TYPES: ReadonlyMap<string, Selection["type"]> = new Map([
  ["filesystem", "filesystem"],
  ["snapshot", "snapshot"],
  ["snap", "snapshot"],
  ["all", "all"],
]);

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

const table = (rows: readonly (readonly string[])[]): { out: string } => ({ out: rows.map((row) => row.join("\t")).join("\n") });

/** Which datasets a command is about, by its options -r, -d, -t, -s and -S; a text is what is wrong. */
function selection(names: readonly string[], options: Command["options"]): Partial<Selection> | string {
  const words = options.get("t")?.flatMap((word) => word.split(","));
  const wrong = words?.find((word) => !TYPES.has(word));
  if (wrong !== undefined) return `invalid type '${wrong}'`;
  const types = new Set(words?.map((word) => TYPES.get(word) as Selection["type"]));
  const limit = options.get("d")?.[0];
  if (limit !== undefined && !/^\d+$/.test(limit)) return `${limit} is not an integer`;
  const depth = limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  const by = (letter: string): { column: string; isReverse: boolean }[] =>
    (options.get(letter) ?? []).map((column) => ({ column, isReverse: letter === "S" }));
  return {
    names,
    order: [...by("s"), ...by("S")],
    ...(types.size === 0 ? {} : { type: types.size > 1 ? "all" : [...types][0] }),
    ...(options.has("r") || limit !== undefined ? { depth } : {}),
  } as Partial<Selection>;
}

/** Rows of the datasets that are selected, and what is wrong with names that lead to none. */
function rowsOf({ pool, options }: Command, names: readonly string[], rows: (dataset: Dataset) => string[][]): ToolAnswer {
  const selected = selection(names, options);
  if (typeof selected === "string") return { err: selected };
  const { found, wrong } = selectDatasets(pool, selected);
  const { out } = table(found.flatMap(rows));
  return wrong.length === 0 ? { out } : { err: wrong.join("\n"), ...(out === "" ? {} : { out }) };
}

/** How values are told: rounded with -H alone. */
function telling(options: Command["options"]): typeof roundedValue {
  return options.has("H") && !options.has("p") ? roundedValue : (_, value) => value;
}

function list(command: Command): ToolAnswer {
  const { pool, names, options } = command;
  const columns = listColumns(options.get("o")?.[0]?.split(","));
  const unknown = columns.find((column) => !isColumn(column));
  if (unknown !== undefined) return { err: `bad property list: invalid property '${unknown}'` };
  const told = telling(options);
  return rowsOf(command, names, (dataset) => [columns.map((column) => told(column, columnOf(pool, dataset, column)))]);
}

/** The columns of `zfs get`. */
const GET_COLUMNS: readonly string[] = ["name", "property", "value", "received", "source"];

function get(command: Command): ToolAnswer {
  const { pool, names, options } = command;
  const [wanted = "", ...of] = names;
  const properties = wanted.split(",");
  const unknown = properties.find((property) => !isColumn(property));
  if (unknown !== undefined) return { err: `bad property list: invalid property '${unknown}'` };
  const words = options.get("o")?.[0] ?? "name,property,value,source";
  const columns = words === "all" ? GET_COLUMNS : words.split(",");
  const wrong = columns.find((column) => !GET_COLUMNS.includes(column));
  if (wrong !== undefined) return { err: `invalid column name '${wrong}'` };
  const told = telling(options);
  return rowsOf(command, of, (dataset) =>
    propertiesOf(pool, dataset, properties).map(([name = "", property = "", value = "", source = ""]) => {
      // Nothing was received.
      const row = new Map(
        GET_COLUMNS.map((column, index) => [column, [name, property, told(property, value), "-", source][index] as string]),
      );
      return columns.map((column) => row.get(column) as string);
    }),
  );
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
  const wrong = names.map(run).filter((one) => one !== undefined);
  return wrong.length === 0 ? { out: "" } : { err: wrong.join("\n") };
}

function set({ pool, names }: Command): ToolAnswer {
  const at = names.findIndex((word) => !word.includes("="));
  if (at < 0) return { err: "missing dataset name(s)" };
  if (names.slice(at).some((word) => word.includes("="))) return { err: "invalid argument order" };
  const properties = assignments(names.slice(0, at));
  if (typeof properties === "string") return { err: properties };
  return forEach(names.slice(at), (name) => zfsSetAll(pool, properties, name));
}

function inherit({ pool, names: [property = "", ...names], options }: Command): ToolAnswer {
  const how = { recursive: options.has("r"), received: options.has("S") };
  return forEach(names, (name) => zfsInherit(pool, property, name, how));
}

const COMMANDS: Readonly<Record<string, (command: Command) => ToolAnswer>> = {
  list,
  get,
  set,
  inherit,
  create: ({ pool, names: [name = ""], options }) => {
    const missing = options.has("p") ? createAncestors(pool, name) : undefined;
    // With -p what is there is as good as made.
    if (options.has("p") && missing === undefined && findDataset(pool, name) !== undefined) return { out: "" };
    return answer(missing ?? zfsCreate(pool, name, properties(options)));
  },
  snapshot: ({ pool, names: [name = ""], options }) => answer(zfsSnapshot(pool, name, { recursive: options.has("r") })),
  clone: ({ pool, names: [origin = "", name = ""], options }) => {
    const missing = options.has("p") && findDataset(pool, origin) !== undefined ? createAncestors(pool, name) : undefined;
    return answer(missing ?? zfsClone(pool, origin, name, properties(options)));
  },
  promote: ({ pool, names: [name = ""] }) => answer(zfsPromote(pool, name)),
  rename: ({ pool, names: [from = "", to = ""], options }) =>
    answer(zfsRename(pool, from, to, { recursive: options.has("r"), parents: options.has("p") })),
  rollback: ({ pool, names: [name = ""], options }) =>
    answer(zfsRollback(pool, name, { recursive: options.has("r"), clones: options.has("R") })),
  hold: ({ pool, names: [tag = "", ...names], options }) =>
    forEach(names, (name) => zfsHold(pool, tag, name, { recursive: options.has("r") })),
  release: ({ pool, names: [tag = "", ...names], options }) =>
    forEach(names, (name) => zfsRelease(pool, tag, name, { recursive: options.has("r") })),
  holds: ({ pool, names: [name = ""], options }) => {
    const rows = zfsHolds(pool, name, { recursive: options.has("r") });
    return typeof rows === "string" ? { err: rows } : table(rows);
  },
  destroy: ({ pool, names: [name = ""], options }) => {
    const how: DestroyOptions = {
      recursive: options.has("r"),
      clones: options.has("R"),
      defer: options.has("d"),
      dryRun: options.has("n"),
      verbose: options.has("v"),
      parsable: options.has("p"),
    };
    const { out, err } = toldDestroy(pool, name, how);
    const told = out.join("\n");
    return err.length === 0 ? { out: told } : { err: err.join("\n"), ...(told === "" ? {} : { out: told }) };
  },
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
  if (run === undefined) return { err: `unrecognized command '${verb}'` };
  const command = optionsOf(words, OPTIONS[verb] ?? "");
  if (typeof command === "string") return { err: command };
  const named = command.names.find((word) => !word.includes("=")) ?? "";
  const wanted = NAMES_SECOND.includes(verb) ? (command.names[1] ?? "") : named;
  const pool = wanted === "" ? host.pools.values().next().value : host.pools.get(wanted.split(/[/@]/, 1)[0] ?? "");
  if (pool === undefined) return { err: host.pools.size === 0 ? "The ZFS modules are not loaded." : poolFault(verb, wanted) };
  return run({ pool, ...command });
}
