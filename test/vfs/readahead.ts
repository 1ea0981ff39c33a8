/** Histories of reads of one file, made on a fresh filesystem here as test/kernel/readahead.py makes them on this machine's kernel. */
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { isMountFailure } from "../../sim/host/types.ts";
import { Host } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Advised } from "../../sim/vfs/other.ts";

/** What a step does, with the number of the open file, and bytes. */
type ReadStep =
  | readonly ["read", file: number, offset: number, length: number]
  | readonly ["map", file: number]
  | readonly ["advise", file: number, advice: Advised, offset: number, length: number]
  | readonly ["drop"];

export interface ReadScript {
  readonly fs: "ext4" | "xfs" | "btrfs";
  /** The file's bytes. */
  readonly size: number;
  /** read_ahead_kb of the device, in KiB. */
  readonly readAhead: number;
  readonly steps: readonly ReadStep[];
}

/** Runs of pages in memory, as first page and count. */
export type Resident = readonly (readonly [first: number, pages: number])[];

/** A script, and what the kernel had in memory after each step. */
export interface ReadCase extends ReadScript {
  readonly resident: readonly Resident[];
}

/** max_sectors_kb of a loop device. */
const LOOP_REQUEST = KIB(1280);

function resident(host: Host): Resident {
  const { table } = host.cache;
  const rows = Array.from({ length: table.owner.length }, (_, row) => row).filter(
    (row) => table.owner.get(row)?.pinned === false,
  );
  rows.sort((a, b) => (table.first[a] as number) - (table.first[b] as number));
  const runs: [number, number][] = [];
  for (const row of rows) {
    const first = table.first[row] as number;
    const pages = table.pages[row] as number;
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === first) last[1] += pages;
    else runs.push([first, pages]);
  }
  return runs;
}

/** The runs in memory after each step. */
export function ourReads({ fs, size, readAhead, steps }: ReadScript): Resident[] {
  const host = new Host({ memory: MIB(512), readahead: { window: KIB(readAhead), request: LOOP_REQUEST } });
  const { task } = host;
  host.addDisk({ size: MIB(512) });
  if (host.mkfs(fs, "vda") !== undefined || isMountFailure(host.mount({ type: fs, source: "vda", target: "/dev/shm" })))
    throw new Error(`${fs} is not there`);
  const path = "/dev/shm/f";
  const writer = task.open(path, O_WRONLY | O_CREAT, 0o644);
  if (isErrno(writer)) throw new Error("no file");
  task.write(writer, Content.pattern(1, size));
  task.fsync(writer);
  task.fadvise(writer);
  const open = (): number => {
    const fd = task.open(path, O_RDONLY, 0);
    if (isErrno(fd)) throw new Error("not opened");
    return fd;
  };
  const fds = new Map<number, number>();
  return steps.map((step) => {
    if (step[0] === "drop") task.fadvise(writer);
    else {
      const fd = fds.get(step[1]) ?? open();
      fds.set(step[1], fd);
      if (step[0] === "read") task.pread(fd, step[3], step[2]);
      else if (step[0] === "map") task.mmap(fd, "r", "shared");
      else task.fadvise(fd, step[2], step[3], step[4]);
    }
    host.cache.check();
    return resident(host);
  });
}
