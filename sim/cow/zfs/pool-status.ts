/**
 * What `zpool status` writes of a pool (cmd/zpool/zpool_main.c: status_callback; lib/libzfs/libzfs_status.c; OpenZFS 2.1).
 */
import { ctime } from "../../core/calendar.ts";
import { niceBytes, niceNumber } from "./amounts.ts";
import type { ScanResult } from "./labels.ts";
import type { Pool } from "./pool.ts";
import type { Side, TopLevel } from "./vdev.ts";

type State = Side["state"] | "DEGRADED";

/** A line of the configuration, and those below it. */
interface Node {
  readonly name: string;
  readonly state: State;
  readonly side?: Side;
  readonly children: readonly Node[];
}

/** What is wrong with a pool, and what is to be done: the first that applies of these. */
const REPORTS: readonly {
  readonly applies: (pool: Pool, sides: readonly Side[]) => boolean;
  readonly status: string;
  readonly action: string;
  readonly see?: string;
}[] = [
  {
    applies: (pool) => pool.failure !== undefined,
    status: "One or more devices are faulted in response to IO failures.",
    action: "Make sure the affected devices are connected, then run 'zpool clear'.",
    see: "ZFS-8000-HC",
  },
  {
    applies: ({ scan }) => (scan?.errors ?? 0) > 0,
    status: "One or more devices has experienced an error resulting in data\n\tcorruption.  Applications may be affected.",
    action: "Restore the file in question if possible.  Otherwise restore the\n\tentire pool from backup.",
    see: "ZFS-8000-8A",
  },
  {
    applies: (_pool, sides) => sides.some(({ state }) => state === "FAULTED"),
    status:
      "One or more devices are faulted in response to persistent errors.\n\tSufficient replicas exist for the pool to continue functioning in a\n\tdegraded state.",
    action: "Replace the faulted device, or use 'zpool clear' to mark the device\n\trepaired.",
  },
  {
    applies: (_pool, sides) => sides.some(({ state }) => state === "UNAVAIL"),
    status:
      "One or more devices could not be used because the label is missing or\n\tinvalid.  Sufficient replicas exist for the pool to continue\n\tfunctioning in a degraded state.",
    action: "Replace the device using 'zpool replace'.",
    see: "ZFS-8000-4J",
  },
  {
    applies: (_pool, sides) => sides.some(({ errors }) => errors.read + errors.write + errors.checksum > 0),
    status:
      "One or more devices has experienced an unrecoverable error.  An\n\tattempt was made to correct the error.  Applications are unaffected.",
    action:
      "Determine if the device needs to be replaced, and clear the errors\n\tusing 'zpool clear' or replace the device with 'zpool replace'.",
    see: "ZFS-8000-9P",
  },
  {
    applies: (_pool, sides) => sides.some(({ state }) => state === "OFFLINE"),
    status:
      "One or more devices has been taken offline by the administrator.\n\tSufficient replicas exist for the pool to continue functioning in a\n\tdegraded state.",
    action: "Online the device using 'zpool online' or replace the device with\n\t'zpool replace'.",
  },
];

/** What stands at the end of a side's line. */
function remark({ state, name }: Side): string {
  if (state === "FAULTED") return "  too many errors";
  return state === "UNAVAIL" ? `  was /dev/${name}` : "";
}

function leaf(side: Side): Node {
  const isAbsent = side.state === "UNAVAIL";
  return { name: isAbsent ? String(side.guid) : side.name, state: side.state, side, children: [] };
}

function above(name: string, children: readonly Node[]): Node {
  return { name, state: children.every(({ state }) => state === "ONLINE") ? "ONLINE" : "DEGRADED", children };
}

/** A side, or the two that are one until a replacement is done. */
function sideNode(top: TopLevel, side: Side, at: number): Node {
  const next = top.sides.find(({ replaces }) => replaces === side);
  return next === undefined ? leaf(side) : above(`replacing-${at}`, [leaf(side), leaf(next)]);
}

function topNode(top: TopLevel, at: number): Node {
  const places = top.sides.filter(({ replaces }) => replaces === undefined);
  const [only] = places;
  return places.length === 1 && only !== undefined
    ? sideNode(top, only, at)
    : above(
        `mirror-${at}`,
        places.map((side, place) => sideNode(top, side, place)),
      );
}

function lines(node: Node, depth: number): string[][] {
  const { read, write, checksum } = node.side?.errors ?? { read: 0, write: 0, checksum: 0 };
  const counts = [read, write, checksum].map(niceNumber);
  const end = node.side === undefined ? "" : remark(node.side);
  return [
    [" ".repeat(depth) + node.name, node.state, ...counts, end],
    ...node.children.flatMap((child) => lines(child, depth + 2)),
  ];
}

function scanText({ kind, repaired, errors, start, end }: ScanResult): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const seconds = end - start;
  const days = Math.floor(seconds / 86_400);
  const clock = `${two((seconds / 3600) % 24)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
  const span = days > 0 ? `${days} days ${clock}` : clock;
  const done = kind === "scrub" ? "scrub repaired" : "resilvered";
  return `${done} ${niceBytes(repaired)} in ${span} with ${errors} errors on ${ctime(end)}`;
}

/** `zpool status` of one pool, without the last newline. */
export function zpoolStatus(pool: Pool): string {
  const { tops } = pool.store;
  const sides = tops.flatMap((top) => top.sides);
  const root = above(pool.name, tops.map(topNode));
  const state = pool.failure === undefined ? root.state : "SUSPENDED";
  const rows = lines({ ...root, state: pool.failure === undefined ? root.state : "UNAVAIL" } as Node, 0);
  const width = Math.max(10, ...rows.map(([name = ""]) => name.length));
  const row = ([name = "", stands = "", ...rest]: readonly string[]): string => {
    const [read = "", write = "", checksum = "", end = ""] = rest;
    const counts = [read, write, checksum].map((count) => count.padStart(5)).join(" ");
    return `\t${name.padEnd(width)}  ${stands.padEnd(8)} ${counts}${end}`;
  };
  const report = REPORTS.find(({ applies }) => applies(pool, sides));
  const text = [`  pool: ${pool.name}`, ` state: ${state}`];
  if (report !== undefined) text.push(`status: ${report.status}`, `action: ${report.action}`);
  if (report?.see !== undefined) text.push(`   see: https://openzfs.github.io/openzfs-docs/msg/${report.see}`);
  if (pool.scan !== undefined) text.push(`  scan: ${scanText(pool.scan)}`);
  text.push("config:", "", row(["NAME", "STATE", "READ", "WRITE", "CKSUM"]), ...rows.map(row), "");
  const damaged = pool.scan?.errors ?? 0;
  text.push(damaged === 0 ? "errors: No known data errors" : `errors: ${damaged} data errors, use '-v' for a list`);
  return text.join("\n");
}
