/** What a group of workloads is given and what a group is. */
import type { Series } from "./measure.ts";
import type { Peer } from "./peer.ts";

export interface Bench {
  readonly peer: Peer;
  /** How often each workload is repeated; the median counts. */
  readonly rounds: number;
  /** `full` operations, or what of them the peer and a quick run are given, at least `least`. */
  count(full: number, least?: number): number;
  /** Takes a finished series into the result. */
  report(series: Series): void;
}

/** Workloads that share their set-up; each group of each peer runs in a process of its own. */
export interface Group {
  readonly name: string;
  /** How its workloads' names begin, for --only. */
  readonly workloads: readonly string[];
  /** Whether it says something only of filesystems with layers. */
  readonly needsLayers: boolean;
  run(bench: Bench): void;
}
