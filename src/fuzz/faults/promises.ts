/**
 * What fsync, fdatasync and sync promised, and whether a machine that starts again keeps it.
 *
 * A promise is what a path showed when the call returned. Later calls may or may not have reached the disk: each state that the path has had
 * since then is allowed, and none before it. fsync of a file promises its row and content; fdatasync its content; of a directory, which names
 * are in it; sync everything.
 */
import { isList, type Json, sameJson } from "../../calls/json.ts";
import { perform } from "../../calls/perform.ts";
import type { CallSession } from "../../calls/session.ts";
import type { Step } from "../../calls/step.ts";
import { isDriverError } from "../../drivers/driver.ts";
import type { Lab } from "../../layers/lab.ts";

/** What a tree shows: a row of its listing by each path. */
export type Rows = ReadonlyMap<string, readonly Json[]>;

/** A promise: of the step at `from`, about a path. */
export interface Promised {
  readonly from: number;
  readonly path: string;
  readonly what: "row" | "content" | "names";
}

/** Everything that a tree shows, by path; undefined where it cannot be shown. */
export function rowsOf(lab: Lab, name: string): Rows | undefined {
  const session = lab.session(name);
  return isDriverError(session) ? undefined : rowsIn(session);
}

/** Everything that a process sees below its root, by path; undefined where it cannot be shown. */
export function rowsIn(session: CallSession): Rows | undefined {
  const told = perform(session, { call: "tree" });
  if (!("value" in told) || !isList(told.value)) return undefined;
  const rows = new Map<string, readonly Json[]>([["/", ["/", "dir"]]]);
  for (const row of told.value) if (isList(row)) rows.set(String(row[0]), row);
  return rows;
}

/** Calls after which a path may show another file than before. */
const MOVING: ReadonlySet<Json | undefined> = new Set(["rename", "unlink", "rmdir", "link", "symlink", "mknod"]);

/** Whether a call may have put another file at `path`; an empty path stands for any. */
function moves(step: Step, path: string): boolean {
  if (!MOVING.has(step["call"])) return false;
  return [step["path"], step["to"]].some((at) => typeof at === "string" && (path === at || path.startsWith(`${at}/`)));
}

/**
 * What each step from `begin` on promises.
 * @param states - what the tree shows after each step
 * @param failed - whether a step gave an error
 */
export function promisesOf(
  steps: readonly Step[],
  begin: number,
  states: readonly (Rows | undefined)[],
  failed: (step: number) => boolean = () => false,
): Promised[] {
  const promised: Promised[] = [];
  const paths = new Map<string, string>();
  for (const [from, step] of steps.entries()) {
    const { call, fd, path } = step;
    if (failed(from)) continue;
    for (const [opened, at] of paths) if (moves(step, at)) paths.delete(opened);
    if (call === "open" && typeof fd === "string" && typeof path === "string") paths.set(fd, path);
    if (from < begin) continue;
    const rows = states[from];
    if (call === "sync") {
      for (const [at, row] of rows ?? []) promised.push({ from, path: at, what: row[1] === "dir" ? "names" : "row" });
    } else if ((call === "fsync" || call === "fdatasync") && typeof fd === "string") {
      const at = paths.get(fd) ?? "";
      const row = rows?.get(at);
      // Where a symbolic link leads is another path's affair.
      if (row === undefined || row[1] === "symlink") continue;
      promised.push({ from, path: at, what: row[1] === "dir" ? "names" : call === "fsync" ? "row" : "content" });
    }
  }
  return promised;
}

function namesIn(rows: Rows, directory: string): string[] {
  const prefix = directory === "/" ? "/" : `${directory}/`;
  return [...rows.keys()].filter((path) => path !== "/" && path.startsWith(prefix) && !path.slice(prefix.length).includes("/"));
}

/** Type, mode, owners, content and attributes: without the count of links, of which nothing is promised. */
function promisedPart(row: readonly Json[] | undefined, what: Promised["what"]): Json {
  if (row === undefined) return null;
  return what === "content" ? [row[1] ?? null, row[6] ?? null] : row.filter((_, index) => index !== 0 && index !== 5);
}

/** Why a promise is broken. @param states - what was shown from the promise up to the step that was cut. */
function brokenPromise(promise: Promised, found: Rows, states: readonly Rows[]): string | undefined {
  const { path, what } = promise;
  if (what === "names") {
    if (!states.every((rows) => rows.has(path))) return undefined;
    if (!found.has(path)) return `${path} is gone`;
    const always = namesIn(states[0] as Rows, path).filter((name) => states.every((rows) => rows.has(name)));
    const lost = always.find((name) => !found.has(name));
    return lost === undefined ? undefined : `${lost} is gone`;
  }
  const here = promisedPart(found.get(path), what);
  if (states.some((rows) => sameJson(promisedPart(rows.get(path), what), here))) return undefined;
  const written = new Set(states.map((rows) => JSON.stringify(rows.get(path)?.[6] ?? null))).size > 1;
  // While it was being written anything between may be there; a name that was never taken away is.
  if (written && found.has(path)) return undefined;
  return `${path} is ${JSON.stringify(here)}, not ${JSON.stringify(promisedPart(states[0]?.get(path), what))}`;
}

/** The first of some promises that is broken. @param states - what each step showed, up to the last that was made. */
export function firstBroken(
  promises: readonly Promised[],
  found: Rows,
  states: readonly (Rows | undefined)[],
): string | undefined {
  for (const promise of promises) {
    const since = states.slice(promise.from).flatMap((rows) => rows ?? []);
    const broken = brokenPromise(promise, found, since);
    if (broken !== undefined) return `promised by step ${promise.from}: ${broken}`;
  }
  return undefined;
}
