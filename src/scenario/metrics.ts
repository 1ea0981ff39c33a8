/**
 * What a scenario can measure: the words of `measure`, `expect` and `compare.metrics`, with their units.
 *
 * Interface: an *amount* grows and is told as the difference over a step or a phase; a *level* is told as it stands at the end of it. Where a
 * figure comes from is the probe's business (probe.ts); here are the names, so that the language can be read without a simulator.
 */

/** The parts of a run, in order: images are built, containers are created and started, steps are done. */
export const PHASES = ["build", "create", "steps"] as const;
export type Phase = (typeof PHASES)[number];

export type Unit = "bytes" | "count" | "pages" | "nanoseconds" | "ratio";

export interface Metric {
  readonly id: MetricId;
  /** A table's heading. */
  readonly title: string;
  readonly unit: Unit;
  /** Whether it is told as a difference or as it stands. */
  readonly kind: "amount" | "level";
  readonly about: string;
  /** How it is told that there was none, where the title does not make a sentence of "no". */
  readonly none?: string;
}

/** Every metric's name, in the order of reports. */
export const METRIC_IDS = [
  "data_copied",
  "copy_ups",
  "files_copied",
  "space_allocated",
  "inodes_allocated",
  "device_bytes_written",
  "device_bytes_read",
  "device_flushes",
  "cached_pages",
  "arc_bytes",
  "modelled_time",
  "calls",
  "refused",
  "bytes_read",
  "bytes_written",
] as const;
export type MetricId = (typeof METRIC_IDS)[number];
/** Those that count the steps' own calls. */
export type CallMetric = "calls" | "refused" | "bytes_read" | "bytes_written";

const TABLE: Readonly<Record<MetricId, Omit<Metric, "id">>> = {
  data_copied: {
    title: "data copied",
    unit: "bytes",
    kind: "amount",
    about:
      "bytes that the driver copied: copy-ups of a union mount, whole trees of the vfs driver, blocks of a thin pool; a hole of a file is not copied",
  },
  copy_ups: {
    title: "copy-ups",
    unit: "count",
    kind: "amount",
    about: "files, directories and links that a union mount copied up",
  },
  files_copied: {
    title: "files copied",
    unit: "count",
    kind: "amount",
    about: "files and directories of the trees that the driver copied whole",
  },
  space_allocated: {
    title: "allocated",
    unit: "bytes",
    kind: "amount",
    about: "bytes that the backing filesystem has less of, data and metadata, as statfs tells; negative when space came back",
    none: "nothing allocated",
  },
  inodes_allocated: { title: "inodes", unit: "count", kind: "amount", about: "inodes that the backing filesystem has less of" },
  device_bytes_written: {
    title: "device written",
    unit: "bytes",
    kind: "amount",
    about: "bytes written to the disk, journal included",
    none: "nothing written to the disk",
  },
  device_bytes_read: {
    title: "device read",
    unit: "bytes",
    kind: "amount",
    about: "bytes read from the disk",
    none: "nothing read from the disk",
  },
  device_flushes: { title: "flushes", unit: "count", kind: "amount", about: "flushes of the disk's write cache" },
  cached_pages: {
    title: "cached pages",
    unit: "pages",
    kind: "level",
    about: "pages of 4 KiB in the page cache of the backing filesystem",
  },
  arc_bytes: {
    title: "ARC",
    unit: "bytes",
    kind: "level",
    about: "bytes of file data in the ARC of zfs, which keeps a block once for all clones that share it",
  },
  modelled_time: {
    title: "modelled time",
    unit: "nanoseconds",
    kind: "amount",
    about: "virtual time by the disk's cost profile; no promise about a real disk",
  },
  calls: { title: "calls", unit: "count", kind: "amount", about: "system calls of the steps" },
  refused: {
    title: "refused",
    unit: "count",
    kind: "amount",
    about: "system calls of the steps that were answered with an errno",
    none: "nothing refused",
  },
  bytes_read: {
    title: "read by calls",
    unit: "bytes",
    kind: "amount",
    about: "bytes that the steps' own calls read, those that mv and cp copy among them; the kernel's copies are data_copied",
    none: "nothing read by calls",
  },
  bytes_written: {
    title: "written by calls",
    unit: "bytes",
    kind: "amount",
    about: "bytes that the steps' own calls wrote, those that mv and cp copy among them",
    none: "nothing written by calls",
  },
};

/** A metric over the whole run or over one phase: `data_copied`, `data_copied_at_create`. */
export interface Column {
  readonly metric: MetricId;
  readonly phase?: Phase;
}

/** The metric of an id. */
export function metricOf(id: MetricId): Metric {
  return { id, ...TABLE[id] };
}

/** Every name that a column can have. */
export const COLUMN_NAMES: readonly string[] = METRIC_IDS.flatMap((id) => [id, ...PHASES.map((phase) => `${id}_at_${phase}`)]);

/** The column of a name, or undefined for a name that is none. */
export function columnNamed(name: string): Column | undefined {
  const [, stem, phase] = /^(.*?)(?:_at_(build|create|steps))?$/.exec(name) ?? [];
  const metric = METRIC_IDS.find((id) => id === stem);
  if (metric === undefined) return undefined;
  return phase === undefined ? { metric } : { metric, phase: phase as Phase };
}

/** A column's name as scenario files write it. */
export function columnName(column: Column): string {
  return column.phase === undefined ? column.metric : `${column.metric}_at_${column.phase}`;
}

/** Figures of one step, phase or run by metric. */
export type Figures = Readonly<Record<MetricId, number>>;
