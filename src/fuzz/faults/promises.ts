/**
 * What fsync, fdatasync and sync promised, and whether a machine that starts again keeps it.
 *
 * A promise is what a path showed when the call returned. Later calls may or may not have reached the disk: each state that the path has had
 * since then is allowed, and none before it. fsync of a file promises its row and content; fdatasync its content; of a directory, which names
 * are in it; sync everything.
 */
import { Content } from "../../../sim/core/content.ts";
import { isErrno } from "../../../sim/core/errno.ts";
import type { Json } from "../../calls/json.ts";
import type { CallSession } from "../../calls/session.ts";
import { shown } from "../../calls/show.ts";
import type { Step } from "../../calls/step.ts";
import { type TreeRow, treeOf } from "../../calls/tree.ts";
import { isDriverError } from "../../drivers/driver.ts";
import type { Lab } from "../../layers/lab.ts";

/** What a tree shows: a row of its listing by each path. Content is told from content by its runs: nobody hashes what a run wrote. */
export type Rows = ReadonlyMap<string, TreeRow>;

/** A promise: of the step at `from`, about a path. */
export interface Promised {
  readonly from: number;
  readonly path: string;
  readonly what: "row" | "content" | "names";
}

/** A tree does not list its root, which is there. */
const ROOT: TreeRow = { path: "/", type: "dir", mode: "", uid: 0, gid: 0, nlink: null, content: null, attributes: {} };

/** Everything that a tree shows, by path; undefined where it cannot be shown. */
export function rowsOf(lab: Lab, name: string): Rows | undefined {
  const session = lab.session(name);
  return isDriverError(session) ? undefined : rowsIn(session);
}

/** Everything that a process sees below its root, by path; undefined where it cannot be shown. */
export function rowsIn(session: CallSession): Rows | undefined {
  const listed = treeOf(session.task, "/");
  return isErrno(listed) ? undefined : new Map([ROOT, ...listed].map((row) => [row.path, row]));
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
      for (const [at, row] of rows ?? []) promised.push({ from, path: at, what: row.type === "dir" ? "names" : "row" });
    } else if ((call === "fsync" || call === "fdatasync") && typeof fd === "string") {
      const at = paths.get(fd) ?? "";
      const row = rows?.get(at);
      // Where a symbolic link leads is another path's affair.
      if (row === undefined || row.type === "symlink") continue;
      promised.push({ from, path: at, what: row.type === "dir" ? "names" : call === "fsync" ? "row" : "content" });
    }
  }
  return promised;
}

function namesIn(rows: Rows, directory: string): string[] {
  const prefix = directory === "/" ? "/" : `${directory}/`;
  return [...rows.keys()].filter((path) => path !== "/" && path.startsWith(prefix) && !path.slice(prefix.length).includes("/"));
}

function sameContent(one: TreeRow["content"], other: TreeRow["content"]): boolean {
  return one instanceof Content && other instanceof Content ? one.equals(other) : one === other;
}

function sameAttributes(one: TreeRow["attributes"], other: TreeRow["attributes"]): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/** Whether two rows are alike in what a promise is about: type and content, or mode, owners and attributes too. Of the count of links nothing is promised. */
function keeps(promised: TreeRow | undefined, found: TreeRow | undefined, what: Promised["what"]): boolean {
  if (promised === undefined || found === undefined) return promised === found;
  if (promised.type !== found.type || !sameContent(promised.content, found.content)) return false;
  if (what === "content") return true;
  const { mode, uid, gid, attributes } = promised;
  return mode === found.mode && uid === found.uid && gid === found.gid && sameAttributes(attributes, found.attributes);
}

/** What is promised of a row, as a message tells it. */
function promisedText(row: TreeRow | undefined, what: Promised["what"]): string {
  if (row === undefined) return "null";
  const content: Json = row.content instanceof Content ? shown(row.content) : row.content;
  const part = what === "content" ? [row.type, content] : [row.type, row.mode, row.uid, row.gid, content, row.attributes];
  return JSON.stringify(part);
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
  const here = found.get(path);
  if (states.some((rows) => keeps(rows.get(path), here, what))) return undefined;
  const before = states[0]?.get(path);
  const written = states.some((rows) => !sameContent(rows.get(path)?.content ?? null, before?.content ?? null));
  // While it was being written anything between may be there; a name that was never taken away is.
  if (written && here !== undefined) return undefined;
  return `${path} is ${promisedText(here, what)}, not ${promisedText(before, what)}`;
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
