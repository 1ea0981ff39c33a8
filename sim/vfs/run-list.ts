/**
 * The few runs of one mapping in the order of their first pages, linked through the run table's own rows: most mappings have one or two,
 * and a RunIndex (run-index.ts) would weigh more than all the rest of them.
 *
 * Interface: a list is named by its first row; 0 is the empty list.
 */
import type { RunTable } from "./run-table.ts";

/** A mapping with more runs than this has an index. */
export const LISTED_RUNS = 8;

/** The row with the greatest first page that is not behind `page`, or 0. */
export function listedBelow(table: RunTable, list: number, page: number): number {
  let found = 0;
  for (let row = list; row !== 0 && (table.first[row] as number) <= page; row = table.following[row] as number) found = row;
  return found;
}

/** The row with the smallest first page behind `page`, or 0. */
export function listedAbove(table: RunTable, list: number, page: number): number {
  let row = list;
  while (row !== 0 && (table.first[row] as number) <= page) row = table.following[row] as number;
  return row;
}

export function listedCount(table: RunTable, list: number): number {
  let count = 0;
  for (let row = list; row !== 0; row = table.following[row] as number) count += 1;
  return count;
}

/** Puts a row into a list. @returns the list. */
export function addListed(table: RunTable, list: number, row: number): number {
  const before = listedBelow(table, list, table.first[row] as number);
  if (before === 0) {
    table.following[row] = list;
    return row;
  }
  table.following[row] = table.following[before] as number;
  table.following[before] = row;
  return list;
}

/** Takes a row out of a list. @returns the list. */
export function removeListed(table: RunTable, list: number, row: number): number {
  const rest = table.following[row] as number;
  if (list === row) return rest;
  table.following[listedBelow(table, list, (table.first[row] as number) - 1)] = rest;
  return list;
}
