/**
 * The power goes while a machine works: in the midst of whatever it does, right after a command of its disk.
 *
 * Interface: `PowerWatch` counts the commands from when it is made. What the machine does runs within `until`; when the power goes nothing of it runs
 * any further, and `image` is the disk as it then was. The machine's other parts must be forgotten.
 */
import type { Disk, DiskCommand } from "../../sim/block/disk.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import type { CutPlan } from "./faults.ts";

/** Ends what a machine does, wherever it is: neither a bug nor an input that is wrong, so no Error. */
class PowerCut {}

/** Whether a command of the disk is one of those that are counted. */
function counts(after: CutPlan["after"], { kind }: DiskCommand): boolean {
  return after === "command" || (after === "flush") === (kind === "flush");
}

export class PowerWatch {
  readonly #disk: Disk;
  readonly #history: DiskHistory;
  readonly #at: number;
  #counted = 0;

  constructor(disk: Disk, { after, at }: { readonly after: CutPlan["after"]; readonly at: number }) {
    this.#disk = disk;
    this.#history = new DiskHistory(disk);
    this.#at = at;
    const note = disk.watcher;
    disk.watcher = (command) => {
      if (this.isDue) throw new PowerCut();
      note?.(command);
      if (counts(after, command)) this.#counted += 1;
    };
  }

  /** Whether the last command was the one that the power goes after. */
  get isDue(): boolean {
    return this.#counted >= this.#at;
  }

  /** Does something. @returns its result; undefined where the power went meanwhile */
  until<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (cut) {
      if (!(cut instanceof PowerCut)) throw cut;
      return undefined;
    }
  }

  /** The disk as it was when the power went, what it had not flushed included. Nothing is counted any more. */
  get image(): Disk {
    this.#history.stop();
    this.#disk.watcher = undefined;
    return this.#history.stateAfterCommands(this.#history.commands);
  }
}
