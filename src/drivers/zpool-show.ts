/**
 * `zpool list`, `zpool get` and `zpool history`: what of pools, and how it is written (cmd/zpool/zpool_main.c; OpenZFS 2.1.11).
 */
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { commandsOf } from "../../sim/cow/zfs/pool-notes.ts";
import { findPoolProperty, poolProperties, poolValue, roundedPoolValue } from "../../sim/cow/zfs/pool-properties.ts";
import type { Host } from "../../sim/host.ts";
import { type Column, table, tableOfGet } from "./tool-table.ts";
import { type ToolAnswer, type ToolWords, usage } from "./tool-words.ts";

/** How wide any rounded number is, and the word for a pool's health, which counts as one. */
const NUMBER_WIDTH = 5;
const HEALTH_WIDTH = 8;

function columnFor(word: string, isLiteral: boolean): Column {
  const property = findPoolProperty(word);
  if (property === undefined) return { heading: word.toUpperCase(), width: word.length, isRight: false, grows: true };
  const { heading, kind, name, values = "" } = property;
  const longest = Math.max(...values.split(" | ").map(({ length }) => length));
  const least = name === "health" ? HEALTH_WIDTH : kind === "number" ? NUMBER_WIDTH : kind === "choice" ? longest : 0;
  // The number of "size" among a pool's properties is that of a dataset's "creation", whose width the tools do not know.
  const grows = isLiteral || kind === "text" || name === "size";
  return { heading, width: Math.max(heading.length, least), isRight: kind === "number", grows };
}

/** The pools that are named, or all by name; a text is what is wrong. */
function poolsOf({ pools }: Host, names: readonly string[]): Pool[] | string {
  const found: Pool[] = [];
  for (const name of names.length === 0 ? [...pools.keys()].sort() : names) {
    const pool = pools.get(name);
    if (pool === undefined) return `cannot open '${name}': no such pool`;
    found.push(pool);
  }
  return found;
}

function textOf(pool: Pool, word: string, isLiteral: boolean): string {
  const value = word === "name" ? pool.name : (poolValue(pool, word)?.value ?? "-");
  return isLiteral ? value : roundedPoolValue(word, value);
}

const isColumn = (word: string): boolean =>
  word === "name" || findPoolProperty(word) !== undefined || word.startsWith("feature@");

/** zpool list. */
export function list(host: Host, { names, options }: ToolWords): ToolAnswer {
  const asked = options.get("o")?.[0]?.split(",");
  const unknown = asked?.find((word) => !isColumn(word));
  if (unknown !== undefined) return usage(`bad property list: invalid property '${unknown}'`);
  const found = poolsOf(host, names);
  if (typeof found === "string") return { err: found };
  const [first] = found;
  if (first === undefined) return { out: options.has("H") ? "" : "no pools available" };
  const columns = asked ?? first.profile.poolColumns;
  const isLiteral = options.has("p");
  const rows = found.map((pool) => columns.map((column) => textOf(pool, column, isLiteral)));
  return {
    out: table(
      columns.map((word) => columnFor(word, isLiteral)),
      rows,
      options.has("H"),
    ),
  };
}

const GET_COLUMNS: readonly string[] = ["name", "property", "value", "source"];

/** zpool get. */
export function get(host: Host, { names, options }: ToolWords): ToolAnswer {
  const [wanted, ...of] = names;
  if (wanted === undefined) return usage("missing property argument");
  const words = options.get("o")?.[0]?.split(",") ?? GET_COLUMNS;
  const columns = words[0] === "all" ? GET_COLUMNS : words;
  const wrong = columns.find((column) => !GET_COLUMNS.includes(column));
  if (wrong !== undefined) return usage(`invalid column name '${wrong}'`);
  const asked = wanted === "all" ? undefined : wanted.split(",");
  const unknown = asked?.find((word) => word === "name" || !isColumn(word));
  if (unknown !== undefined) return usage(`bad property list: invalid property '${unknown}'`);
  const found = poolsOf(host, of);
  if (typeof found === "string") return { err: found };
  const isLiteral = options.has("p");
  const rows = found.flatMap((pool) =>
    (asked ?? poolProperties(pool)).flatMap((word) => {
      const property = findPoolProperty(word)?.name ?? word;
      const of = poolValue(pool, property);
      return of === undefined ? [] : [[pool.name, property, textOf(pool, property, isLiteral), of.source]];
    }),
  );
  if (rows.length === 0) return { out: "" };
  const properties = (asked ?? found.flatMap(poolProperties)).map((property) => ({
    property,
    column: columnFor(property, isLiteral),
  }));
  return { out: tableOfGet(GET_COLUMNS, columns, { properties, all: rows, rows }, options.has("H")) };
}

/** A second as the history tells it where the clock shows UTC: "2026-11-28.12:25:42". */
function stamp(second: number): string {
  return new Date(second * 1000).toISOString().slice(0, 19).replace("T", ".");
}

/** zpool history. */
export function history(host: Host, { names }: ToolWords): ToolAnswer {
  const found = poolsOf(host, names);
  if (typeof found === "string") return { err: found };
  const told = found.map((pool) => {
    const lines = commandsOf(pool.meta.notes).map(({ line, second }) => `${stamp(second)} ${line}`);
    return [`History for '${pool.name}':`, ...lines, ""].join("\n");
  });
  return { out: told.join("\n").trimEnd() };
}
