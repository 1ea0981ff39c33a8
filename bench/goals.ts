/** The goals: what cowlab promises of its speed, as figures to hit or miss in each run. */
import type { Sample } from "./measure.ts";

/** A run's samples by peer and workload. */
export type Samples = ReadonlyMap<string, ReadonlyMap<string, Sample>>;

export interface Goal {
  readonly text: string;
  readonly measured: string;
  /** Undefined when a figure it needs was not measured. */
  readonly hit: boolean | undefined;
}

const US = "cowlab";
/** Workload, and how many times faster than a peer it has to be. */
const FASTER = ["stat-depth-4", "stat-depth-12", "open-read4k-close", "rename", "unlink", "create-empty", "create-100-bytes"];
const PEER_FACTORS = [
  ["memfs", 8],
  ["overlayfs-tmpfs", 10],
] as const;
const DEPTH_RATIO_MAX = 1.2;
const COPY_UP_NANOSECONDS_MAX = 20_000;
const COPY_UP_BYTES_MAX = 1024;
const COPY_UP_SIZES = ["1-MiB", "64-MiB", "1-GiB", "64-GiB"];
const WRITE_NANOSECONDS_MAX = 1000;
const WRITE_MEMORY_MAX = 16 * 2 ** 20;
const FILE_BYTES_MAX = 300;
/** A rename of 100,000 entries beside one of 10; what is above 1 is noise. */
const RENAME_RATIO_MAX = 1.5;
const START_SECONDS_MAX = 2;
const PROVISION_NANOSECONDS_MAX = 1000;
const COUNTED_NANOSECONDS_MAX = 200;
const FIRST_FIT_NANOSECONDS_MAX = 200;
const SNAPSHOT_NANOSECONDS_MAX = 2000;
const TREE_SNAPSHOT_NANOSECONDS_MAX = 20_000;
/** 200 MB for 10,000 snapshots. */
const TREE_SNAPSHOT_BYTES_MAX = 20_000;
/** 256 MB for the 16,153,826 blocks of a pool of 1 TiB that are mapped at 96 percent. */
const MAPPED_BLOCK_BYTES_MAX = 256e6 / 16_153_826;

/** @param startSeconds - the wall time of `npm start` to its first line, if it was measured. */
export function judgeGoals(samples: Samples, startSeconds: number | undefined): Goal[] {
  return [
    ...FASTER.flatMap((workload) => PEER_FACTORS.map(([peer, factor]) => faster(samples, workload, peer, factor))),
    ...["stat", "miss"].map((workload) =>
      ratio(samples, `${workload}-L127`, `${workload}-L1`, DEPTH_RATIO_MAX, `${workload} through 127 layers beside 1 layer`),
    ),
    ...COPY_UP_SIZES.flatMap((size) => copyUp(samples, size)),
    ...writes(samples),
    ...["memory-empty-files", "memory-100-byte-files"].map((workload) => fileBytes(samples, workload)),
    ratio(
      samples,
      "rename-directory-100000",
      "rename-directory-10",
      RENAME_RATIO_MAX,
      "rename of a directory of 100,000 files beside one of 10",
    ),
    ...thinPool(samples),
    ...trees(samples),
    {
      text: `npm start: first line within ${START_SECONDS_MAX} s`,
      measured: startSeconds === undefined ? "" : `${startSeconds.toFixed(2)} s`,
      hit: startSeconds === undefined ? undefined : startSeconds <= START_SECONDS_MAX,
    },
  ];
}

function nanosecondsOf(samples: Samples, peer: string, workload: string): number | undefined {
  return samples.get(peer)?.get(workload)?.nanoseconds;
}

function faster(samples: Samples, workload: string, peer: string, factor: number): Goal {
  const ours = nanosecondsOf(samples, US, workload);
  const theirs = nanosecondsOf(samples, peer, workload);
  const text = `${workload}: at least ${factor} × as fast as ${peer}`;
  if (ours === undefined || theirs === undefined) return { text, measured: "", hit: undefined };
  return { text, measured: `× ${(theirs / ours).toFixed(1)}`, hit: theirs >= factor * ours };
}

function ratio(samples: Samples, much: string, little: string, most: number, what: string): Goal {
  const dear = nanosecondsOf(samples, US, much);
  const cheap = nanosecondsOf(samples, US, little);
  const text = `${what}: at most × ${most}`;
  if (dear === undefined || cheap === undefined) return { text, measured: "", hit: undefined };
  return { text, measured: `× ${(dear / cheap).toFixed(2)}`, hit: dear <= most * cheap };
}

function atMost(text: string, value: number | undefined, most: number, show: (value: number) => string): Goal {
  if (value === undefined) return { text, measured: "", hit: undefined };
  return { text, measured: show(value), hit: value <= most };
}

/** Bytes that one operation (of the writes: all of them) left on the heap and in array buffers; what the process holds besides is noise of the collector. */
function keptBytes(sample: Sample | undefined): number | undefined {
  return sample?.bytes === undefined ? undefined : sample.bytes.heap + sample.bytes.arrayBuffers;
}

function copyUp(samples: Samples, size: string): Goal[] {
  const sample = samples.get(US)?.get(`copy-up-described-${size}`);
  return [
    atMost(`copy-up of a ${size} file: at most 20 µs`, sample?.nanoseconds, COPY_UP_NANOSECONDS_MAX, microseconds),
    atMost(`copy-up of a ${size} file: at most 1 KiB of memory`, keptBytes(sample), COPY_UP_BYTES_MAX, wholeBytes),
  ];
}

function writes(samples: Samples): Goal[] {
  const sample = samples.get(US)?.get("write-4-KiB-scattered-described");
  const text = "200,000 scattered 4 KiB writes";
  return [
    atMost(`${text}: at most 1 µs each`, sample?.nanoseconds, WRITE_NANOSECONDS_MAX, microseconds),
    atMost(
      `${text}: at most 16 MiB in all`,
      keptBytes(sample),
      WRITE_MEMORY_MAX,
      (value) => `${(value / 2 ** 20).toFixed(1)} MiB`,
    ),
  ];
}

function thinPool(samples: Samples): Goal[] {
  const ours = samples.get(US);
  const time = (workload: string, most: number): Goal =>
    atMost(`${workload}: at most ${most} ns`, ours?.get(workload)?.nanoseconds, most, (value) => `${Math.round(value)} ns`);
  return [
    time("thin-provision-sequential", PROVISION_NANOSECONDS_MAX),
    time("thin-provision-scattered", PROVISION_NANOSECONDS_MAX),
    time("thin-provision-sequential-counted", COUNTED_NANOSECONDS_MAX),
    time("thin-provision-scattered-counted", COUNTED_NANOSECONDS_MAX),
    time("thin-first-fit-99-full", FIRST_FIT_NANOSECONDS_MAX),
    time("thin-snapshot-of-400000", SNAPSHOT_NANOSECONDS_MAX),
    ratio(
      samples,
      "thin-snapshot-of-400000",
      "thin-snapshot-of-100",
      RENAME_RATIO_MAX,
      "snapshot of 400,000 mapped blocks beside one of 100",
    ),
    atMost(
      "memory-thin-block: 256 MB for a pool of 1 TiB, 96 % mapped",
      keptBytes(ours?.get("memory-thin-block")),
      MAPPED_BLOCK_BYTES_MAX,
      (value) => `${value.toFixed(1)} bytes a block`,
    ),
  ];
}

function trees(samples: Samples): Goal[] {
  const ours = samples.get(US);
  const kinds = ["tree-snapshot", "btrfs-snapshot", "zfs-snapshot", "zfs-clone"].map((kind) => `${kind}-of-1000000`);
  return [
    ...kinds.map((workload) =>
      atMost(`${workload}: at most 20 µs`, ours?.get(workload)?.nanoseconds, TREE_SNAPSHOT_NANOSECONDS_MAX, microseconds),
    ),
    ...kinds
      .slice(1, 3)
      .map((workload) =>
        atMost(
          `${workload}: at most 200 MB for 10,000`,
          keptBytes(ours?.get(workload)),
          TREE_SNAPSHOT_BYTES_MAX,
          (value) => `${((value * 10_000) / 1e6).toFixed(0)} MB`,
        ),
      ),
  ];
}

function fileBytes(samples: Samples, workload: string): Goal {
  return atMost(
    `${workload}: at most ${FILE_BYTES_MAX} bytes a file`,
    keptBytes(samples.get(US)?.get(workload)),
    FILE_BYTES_MAX,
    wholeBytes,
  );
}

function microseconds(value: number): string {
  return `${(value / 1000).toFixed(2)} µs`;
}
function wholeBytes(value: number): string {
  return `${Math.round(value)} bytes`;
}
