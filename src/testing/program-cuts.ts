/**
 * Power cuts under a program that uses node:fs: it runs once in a container; its disk is cut after every command, with every choice of what was in
 * the drive's cache; and the files of each machine that starts again are shown to a check of the program's own.
 *
 * Interface: what `prepare` does is durable, and no cut falls there. The same program, options and seed make the same cuts in the same order.
 */
import type { Disk } from "../../sim/block/disk.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import { Random } from "../../sim/core/random.ts";
import { seconds } from "../../sim/core/units.ts";
import { type NodeFs, nodeFs } from "../fs/face.ts";
import type { Lower } from "../fs/lower.ts";
import { addLayers } from "../fs/overlay-fs.ts";
import { type CrashOptions, choicesOf, type KeptWrites } from "../fuzz/faults/crash.ts";
import { faultyMachine, rebooted } from "../fuzz/faults/machine.ts";
import type { Ground } from "../fuzz/ground.ts";
import { must } from "../layers/open-lab.ts";
import { syncAll } from "../scenario/machine.ts";

/** A program, and what must be there whenever the power goes. */
export interface CutProgram {
  readonly ground: Ground;
  /** The image's layers, the topmost first. Default none. */
  readonly lower?: readonly Lower[];
  /** Makes what is there before the program runs. */
  readonly prepare?: (fs: NodeFs) => void | Promise<void>;
  /** @param passed - tells that the program has come to a point, such as "saved", from which on the check may ask for more. */
  readonly run: (fs: NodeFs, passed: (point: string) => void) => void | Promise<void>;
  /**
   * Looks at the files of a machine that has started again; throws where they are not right.
   * @param passed - the points that the program had come to when the power went
   */
  readonly check: (fs: NodeFs, passed: readonly string[]) => void | Promise<void>;
}

export interface CutProgramOptions extends CrashOptions {
  /** The number of one cut, as a failure tells it: no other is made. */
  readonly only?: number;
}

export interface CutProgramResult {
  /** Power cuts that were looked at. */
  readonly cuts: number;
  /** Commands of the disk that the program made. */
  readonly commands: number;
}

/** A check failed after a power cut. The message tells which one, and how to make it alone; `cause` is what the check threw. */
export class CutFailure extends Error {
  override readonly name = "CutFailure";
}

/** Longer than dirty pages stay in memory, and than a journal or a group of transactions stays open. */
const WRITEBACK_TIME = seconds(40);
const CONTAINER = "program";
/** btrfs trusts its superblock of 4 KiB to be written whole. */
const WHOLE_SECTOR = 4096;

interface Point {
  readonly name: string;
  /** Commands of the disk until then. */
  readonly commands: number;
}

interface Recorded {
  readonly history: DiskHistory;
  readonly points: readonly Point[];
  readonly id: string;
}

async function record({ ground, lower = [], prepare, run }: CutProgram): Promise<Recorded> {
  const machine = faultyMachine(ground, ground.backing === "btrfs" ? { sectorSize: WHOLE_SECTOR } : {});
  if (typeof machine === "string") throw new Error(machine);
  const { lab, host, disk } = machine;
  must(lab.addContainer(CONTAINER, addLayers(lab, lower)));
  const fs = nodeFs(must(lab.task(CONTAINER)));
  await prepare?.(fs);
  syncAll(host);
  disk.flush();
  const history = new DiskHistory(disk);
  const points: Point[] = [];
  await run(fs, (name) => points.push({ name, commands: history.commands }));
  // What is dirty is written back, as it is in time: what was promised holds meanwhile.
  host.clock.advance(WRITEBACK_TIME);
  syncAll(host);
  history.stop();
  return { history, points, id: lab.idOf(CONTAINER) };
}

async function look({ ground, check }: CutProgram, disk: Disk, id: string, passed: readonly string[]): Promise<void> {
  const machine = rebooted(ground, disk);
  if (typeof machine === "string") throw new Error(machine);
  machine.host.check();
  machine.lab.adopt(CONTAINER, id);
  await check(nodeFs(must(machine.lab.task(CONTAINER))), passed);
  machine.host.check();
}

/** What a cut kept, in words. */
function told({ keep }: KeptWrites, unflushed: number): string {
  if (unflushed === 0) return "with nothing unflushed";
  const kept = keep === "random" ? "some" : typeof keep === "string" ? keep : `number ${keep.join(", ")}`;
  return `keeping ${kept} of ${unflushed} unflushed write${unflushed === 1 ? "" : "s"}`;
}

/**
 * Cuts the power under a program after every command that it makes of the disk.
 * @throws CutFailure at the first cut after which the check throws, or the machine does not start again
 */
export async function cutProgram(program: CutProgram, options: CutProgramOptions = {}): Promise<CutProgramResult> {
  const { history, points, id } = await record(program);
  const { every = 1, seed = 1, subsetsOf = 3, only } = options;
  const random = new Random(seed);
  // The images that were looked at since the last flush, and how far the program was: keeping nothing is the same after each command.
  const seen = new Set<string>();
  let cuts = 0;
  for (let count = 0; count <= history.commands; count += every) {
    const unflushed = history.unflushedAfter(count);
    if (unflushed === 0 || every > 1) seen.clear();
    const passed = points.filter(({ commands }) => commands <= count).map(({ name }) => name);
    for (const kept of choicesOf(unflushed, random, subsetsOf)) {
      const image = `${passed.length} ${kept.image}`;
      if (kept.image !== undefined && seen.has(image)) continue;
      seen.add(image);
      cuts += 1;
      // Also of a cut that is passed over: what one by chance keeps is drawn here, and the next goes on behind it.
      const disk = history.imageAfterCommands(count, kept.choice);
      if (only !== undefined && only !== cuts) continue;
      try {
        await look(program, disk, id, passed);
      } catch (error) {
        const when = `power cut ${cuts}, after command ${count} of ${history.commands} of the disk, ${told(kept, unflushed)}`;
        const far = passed.length === 0 ? "" : `\npassed: ${passed.join(", ")}`;
        const again = `\nthis cut alone: cutProgram(…, { only: ${cuts} })`;
        throw new CutFailure(`${when}:\n${error instanceof Error ? error.message : error}${far}${again}`, { cause: error });
      }
    }
  }
  return { cuts, commands: history.commands };
}
