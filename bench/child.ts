/** One peer, one group of workloads: what a child process of the benchmark runs. Its last line on stdout is the result as JSON. */
import { GROUPS } from "./groups.ts";
import { type Memory, memory, type Sample, type Series, setCap } from "./measure.ts";
import { CannotRun } from "./peer.ts";
import { OPTIONAL_PEERS, PEERS } from "./peers/index.ts";
import type { Bench } from "./workload.ts";

export interface ChildResult {
  readonly samples: readonly Sample[];
  /** After a full collection, the peer loaded and nothing mounted; and the most resident memory at any time, in bytes. */
  readonly loaded?: Memory;
  readonly peak?: number;
  /** Why the peer cannot run here. */
  readonly skipped?: string;
  /** How the group ended, if not well. What was measured before is in `samples`. */
  readonly failed?: string;
}

export interface ChildOptions {
  readonly peer: string;
  readonly group: string;
  readonly quick: boolean;
}

/** How much of the operations a quick run does. */
const QUICK_SHARE = 0.04;

/** Runs the group and prints its result. */
export async function runChild(options: ChildOptions): Promise<void> {
  const result = await measureGroup(options);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function measureGroup({ peer: peerName, group: groupName, quick }: ChildOptions): Promise<ChildResult> {
  const entry = [...PEERS, ...OPTIONAL_PEERS].find(({ name }) => name === peerName);
  const group = GROUPS.find(({ name }) => name === groupName);
  if (entry === undefined || group === undefined) throw new Error(`no peer ${peerName} or no group ${groupName}`);
  const finished: Series[] = [];
  try {
    const peer = await entry.load();
    const loaded = memory();
    setCap(quick ? 100 : 1500);
    const share = peer.share * (quick ? QUICK_SHARE : 1);
    const bench: Bench = {
      peer,
      rounds: quick ? 2 : 3,
      count: (full, least = 1) => Math.min(full, Math.max(least, Math.round(full * share))),
      report: (series) => finished.push(series),
    };
    group.run(bench);
    return { samples: samplesOf(finished), loaded, peak: process.resourceUsage().maxRSS * 1024 };
  } catch (error) {
    if (error instanceof CannotRun) return { samples: [], skipped: error.message };
    return { samples: samplesOf(finished), failed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function samplesOf(finished: readonly Series[]): Sample[] {
  return finished.map((series) => series.sample());
}
