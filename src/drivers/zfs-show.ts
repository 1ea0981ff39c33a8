/**
 * `zfs list` and `zfs get`: which datasets, which of their properties, and how they are written (cmd/zfs/zfs_main.c, zfs_do_list, zfs_do_get; zfs_iter.c;
 * lib/libzfs/libzfs_util.c, zprop_print_headers; module/zcommon/zprop_common.c, zprop_width; OpenZFS 2.1.11).
 */
import type { Dataset } from "../../sim/cow/zfs/dsl.ts";
import {
  allProperties,
  columnOf,
  isColumn,
  listColumns,
  propertiesOf,
  type Selection,
  selectDatasets,
} from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { poolValue } from "../../sim/cow/zfs/pool-properties.ts";
import { roundedValue } from "../../sim/cow/zfs/properties.ts";
import { findProperty, PROPERTIES } from "../../sim/cow/zfs/property-table.ts";
import { type Column, table, tableOfGet } from "./tool-table.ts";
import { type ToolAnswer, type ToolWords, usage } from "./tool-words.ts";
import type { ZfsMounts } from "./zfs-mounts.ts";

interface ShowCommand extends ToolWords {
  readonly pool: Pool;
  readonly mounts: ZfsMounts;
}

/** The words of -t. */
const TYPES: ReadonlyMap<string, Selection["type"]> = new Map<string, Selection["type"]>([
  ["filesystem", "filesystem"],
  ["snapshot", "snapshot"],
  ["snap", "snapshot"],
  ["volume", "none"],
  ["bookmark", "none"],
  ["all", "all"],
]);

/** Which datasets a command is about, by its options -r, -d, -t, -s and -S; a text is what is wrong. */
function selection(names: readonly string[], options: ShowCommand["options"], isSorted: boolean): Partial<Selection> | string {
  const words = options.get("t")?.flatMap((word) => word.split(","));
  const wrong = words?.find((word) => !TYPES.has(word));
  if (wrong !== undefined) return `invalid type '${wrong}'`;
  const types = new Set(words?.map((word) => TYPES.get(word) as Selection["type"]));
  if (types.size > 1) types.delete("none");
  const limit = options.get("d")?.[0];
  if (limit !== undefined && !/^\d+$/.test(limit)) return `${limit} is not an integer`;
  const by = (letter: string): { column: string; isReverse: boolean }[] =>
    isSorted ? (options.get(letter) ?? []).map((column) => ({ column, isReverse: letter === "S" })) : [];
  const order = [...by("s"), ...by("S")];
  const unknown = order.find(({ column }) => !isColumn(column));
  if (unknown !== undefined) return `invalid property '${unknown.column}'`;
  const depth = limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  return {
    names,
    order,
    ...(types.size === 0 ? {} : { type: types.size > 1 ? "all" : ([...types][0] as Selection["type"]) }),
    ...(options.has("r") || limit !== undefined ? { depth } : {}),
  };
}

/** What is wrong with a list of properties; undefined when nothing is (zprop_get_list). */
function listFault(words: readonly string[]): string | undefined {
  if (words.includes("")) return "bad property list: empty property name";
  const unknown = words.find((word) => !isColumn(word));
  return unknown === undefined ? undefined : `bad property list: invalid property '${unknown}'`;
}

/** How wide any value of a property is that has no more than five characters as a rounded number, or is one of a list. */
const NUMBER_WIDTH = 5;
/** "referenced" has the number among a dataset's properties that "health" has among a pool's, for which the tools keep so many. */
const HEALTH_WIDTH = 8;

/** A property's column. @param isLiteral - with -p */
function columnFor(word: string, isLiteral: boolean): Column {
  const property = findProperty(word);
  if (property === undefined) {
    const heading = word.toUpperCase();
    return { heading, width: word.length, isRight: false, grows: true };
  }
  const { heading, kind, name, choices } = property;
  const words = kind === "choice" ? Math.max(0, ...[...choices.keys()].map(({ length }) => length)) : 0;
  const least = name === "referenced" ? HEALTH_WIDTH : kind === "number" ? NUMBER_WIDTH : words;
  return {
    heading,
    width: Math.max(heading.length, least),
    isRight: kind === "number" && name !== "creation",
    grows: isLiteral || kind === "text" || name === "creation",
  };
}

/** The datasets that are selected, told row by row; and what is wrong with names that lead to none. */
function shown(
  { pool, options }: ShowCommand,
  selected: Partial<Selection>,
  tell: (found: readonly Dataset[]) => string,
): ToolAnswer {
  const { found, wrong } = selectDatasets(pool, selected);
  const out = tell(found);
  if (wrong.length > 0) return { err: wrong.join("\n"), ...(out === "" ? {} : { out }) };
  return found.length === 0 && !options.has("H") ? { out, said: "no datasets available" } : { out };
}

/** zfs list. */
export function list(command: ShowCommand): ToolAnswer {
  const { pool, mounts, names, options } = command;
  const columns = listColumns(options.get("o")?.[0]?.split(","));
  const wrong = listFault(columns);
  if (wrong !== undefined) return usage(wrong);
  const chosen = selection(names, options, true);
  if (typeof chosen === "string") return usage(chosen);
  const listsSnapshots = poolValue(pool, "listsnapshots")?.value === "on";
  const selected: Partial<Selection> = listsSnapshots ? { type: "all", ...chosen } : chosen;
  const isLiteral = options.has("p");
  const told = (dataset: Dataset, column: string): string => {
    const value = mounts.temporary(dataset, findProperty(column)?.name ?? column) ?? columnOf(pool, dataset, column);
    return isLiteral ? value : roundedValue(column, value);
  };
  return shown(command, selected, (found) =>
    found.length === 0
      ? ""
      : table(
          columns.map((word) => columnFor(word, isLiteral)),
          found.map((dataset) => columns.map((column) => told(dataset, column))),
          options.has("H"),
        ),
  );
}

/** The columns of `zfs get`, and those that it has without -o. */
const GET_COLUMNS: readonly string[] = ["name", "property", "value", "received", "source"];
const GET_DEFAULT: readonly string[] = ["name", "property", "value", "source"];
/** The words of -s. */
const SOURCES: readonly string[] = ["local", "default", "inherited", "received", "temporary", "none"];

/** Which of SOURCES tells where a value is from. */
function kindOfSource(source: string): string {
  return source === "-" ? "none" : (source.split(" ", 1)[0] as string);
}

/** zfs get. */
export function get(command: ShowCommand): ToolAnswer {
  const { pool, mounts, names, options } = command;
  const [wanted, ...of] = names;
  if (wanted === undefined) return usage("missing property argument");
  const words = options.get("o")?.[0]?.split(",") ?? GET_DEFAULT;
  const columns = words[0] === "all" ? GET_COLUMNS : words;
  const unknown = columns.find((column) => !GET_COLUMNS.includes(column));
  if (unknown !== undefined) return usage(`invalid column name '${unknown}'`);
  const sources = options.get("s")?.flatMap((word) => word.split(",")) ?? SOURCES;
  const noSource = sources.find((source) => !SOURCES.includes(source));
  if (noSource !== undefined) return usage(`invalid source '${noSource}'`);
  const asked = wanted === "all" ? undefined : wanted.split(",");
  const wrong = asked === undefined ? undefined : listFault(asked);
  if (wrong !== undefined) return usage(wrong);
  const selected = selection(of, options, false);
  if (typeof selected === "string") return usage(selected);
  return shown(command, { type: "all", ...selected }, (found) => {
    const all = found
      .flatMap((dataset) =>
        propertiesOf(pool, dataset, asked ?? allProperties(pool, dataset)).map((row) => {
          const [path = "", property = ""] = row;
          const temporary = mounts.temporary(dataset, findProperty(property)?.name ?? property);
          return temporary === undefined ? row : [path, property, temporary, "temporary"];
        }),
      )
      .map(([name = "", property = "", value = "", source = ""]) => {
        const told = options.has("p") ? value : roundedValue(property, value);
        // Nothing was received.
        return [name, property, told, "-", source];
      });
    const rows = all.filter((row) => sources.includes(kindOfSource(row.at(-1) as string)));
    if (rows.length === 0) return "";
    const listed = asked ?? [...new Set([...PROPERTIES.keys(), ...all.map(([, property = ""]) => property)])];
    const properties = listed.map((property) => ({ property, column: columnFor(property, options.has("p")) }));
    return tableOfGet(GET_COLUMNS, columns, { properties, all, rows }, options.has("H"));
  });
}
