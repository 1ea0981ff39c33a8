/**
 * Histories of calls on a few files of a fresh filesystem, and what each call takes: free blocks, sizes, st_blocks, where data lie.
 *
 * Interface: `ourHistory` makes one here; a kernel's answers (test/kernel/file-space.py, test/data/file-space.json) are told apart by
 * `difference`.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes, O_RDONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { perform } from "../../src/calls/perform.ts";
import type { CallResult, Step } from "../../src/calls/step.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { Lab } from "../../src/layers/lab.ts";
import { labFor } from "../../src/replay/target.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Of each file: its size, st_blocks, and where its data begin and end, over and over. */
type FileFigures = readonly [size: number, blocks: number, data: readonly number[]];

interface Figures {
  readonly free: number;
  readonly files: Readonly<Record<string, FileFigures>>;
}

/** The figures of the fresh filesystem, then what each call answered with those after it. */
export type History = readonly [Figures, ...(readonly [CallResult, Figures])[]];

export interface SpaceScript {
  readonly filesystem: "ext4" | "xfs";
  readonly calls: readonly Step[];
}

function dataOf(task: Task, path: string, size: number): number[] {
  const fd = task.open(path, O_RDONLY, 0);
  const found: number[] = [];
  if (isErrno(fd)) return found;
  for (let at = 0; at < size; ) {
    const start = task.lseek(fd, at, SEEK_DATA);
    if (isErrno(start)) break;
    at = task.lseek(fd, start, SEEK_HOLE) as number;
    found.push(start, at);
  }
  task.close(fd);
  return found;
}

function figures(task: Task): Figures {
  const files: Record<string, FileFigures> = {};
  const space = task.statfs("/");
  const entries = task.readdir("/");
  if (isErrno(space) || isErrno(entries)) throw new Error("the filesystem tells nothing of itself");
  for (const { name } of entries) {
    const of = task.stat(`/${name}`, newAttributes());
    if (!isErrno(of)) files[name] = [of.size, of.blocks, dataOf(task, `/${name}`, of.size)];
  }
  return { free: space.blocksFree, files };
}

/** Makes a history here; the engines are checked after each call. */
export function ourHistory({ filesystem, calls }: SpaceScript): History {
  const lab = labFor({ name: "space", target: filesystem, backing: filesystem, mountOptions: "" });
  if (!(lab instanceof Lab)) throw new Error(lab.cannotRun);
  lab.addLayer("top", undefined);
  const session = lab.session("top");
  if (isDriverError(session)) throw new Error(session.message);
  const history: [Figures, ...(readonly [CallResult, Figures])[]] = [figures(session.task)];
  for (const call of calls) {
    const result = perform(session, call);
    lab.host.check();
    history.push([result, figures(session.task)]);
  }
  return history;
}

/**
 * The first call after which the two do not agree; undefined where they do. Where data lie is asked on xfs alone: what SEEK_HOLE tells on ext4 after
 * ZERO_RANGE hangs on how large the folios of the page cache are.
 */
export function difference(script: SpaceScript, kernel: History, ours: History): string | undefined {
  const [[freshThere, ...there], [freshHere, ...here]] = [kernel, ours];
  for (const [index, [result, after]] of there.entries()) {
    const [ourResult, ourAfter] = here[index] as readonly [CallResult, Figures];
    const told = (answer: CallResult, fresh: Figures, now: Figures): string => {
      const files = Object.entries(now.files).sort(([one], [other]) => (one < other ? -1 : 1));
      const shown = files.map(([name, [size, blocks, data]]) => [name, size, blocks, script.filesystem === "xfs" ? data : []]);
      return JSON.stringify({ answer, taken: fresh.free - now.free, files: shown });
    };
    const [expected, got] = [told(result, freshThere, after), told(ourResult, freshHere, ourAfter)];
    if (expected !== got) return `call ${index} ${JSON.stringify(script.calls[index])}\nkernel ${expected}\nhere   ${got}`;
  }
  return undefined;
}
