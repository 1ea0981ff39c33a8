/**
 * DiskHistory: every write of a run, so that a test can pull the plug after each of them.
 *
 *   const history = new DiskHistory(disk);
 *   … the run …
 *   for (let n = 0; n <= history.writes; n++) mount(history.imageAfter(n, keepNone));
 *
 * Interface: writes and discards count, flushes do not. Images in ascending order of `n` cost the difference to the one before; an image
 * before the last one is replayed from the beginning.
 */
import { assert } from "../core/assert.ts";
import { bytes } from "../core/units.ts";
import { type CutChoice, type Disk, type DiskCommand, keepAll } from "./disk.ts";

export class DiskHistory {
  readonly #commands: DiskCommand[] = [];
  readonly #disk: Disk;
  readonly #base: Disk;
  #writes = 0;
  /** The disk after #done commands, #replayedWrites of them writes or discards. */
  #replayed: Disk;
  #done = 0;
  #replayedWrites = 0;

  /** Begins to watch `disk`, which nobody else watches, from how it is now. */
  constructor(disk: Disk) {
    assert(disk.watcher === undefined, `disk ${disk.name} is watched already`);
    this.#disk = disk;
    this.#base = disk.clone({ silent: true });
    this.#replayed = this.#base.clone();
    disk.watcher = (command) => {
      this.#commands.push(command);
      if (command.kind !== "flush") this.#writes += 1;
    };
  }

  /** How many writes and discards there were so far. */
  get writes(): number {
    return this.#writes;
  }

  /** How many commands there were so far, flushes too. */
  get commands(): number {
    return this.#commands.length;
  }

  /** Watches no more; what was seen stays. */
  stop(): void {
    this.#disk.watcher = undefined;
  }

  /**
   * A disk as a power cut right after the first `count` writes leaves it: what was flushed until then, and of the rest what `choice` keeps
   * (default: everything). It spends no time and emits no events.
   */
  imageAfter(count: number, choice: CutChoice = keepAll): Disk {
    assert(count >= 0 && count <= this.#writes, `no image after ${count} of ${this.#writes} writes`);
    if (count < this.#replayedWrites) this.#restart();
    while (this.#replayedWrites < count) this.#replay(this.#commands[this.#done++] as DiskCommand);
    return this.#cut(choice);
  }

  /** As `imageAfter`, after the first `count` commands of any kind. */
  imageAfterCommands(count: number, choice: CutChoice = keepAll): Disk {
    this.#goTo(count);
    return this.#cut(choice);
  }

  /** A disk as it was after the first `count` commands, what it had not flushed by then included. It spends no time and emits no events. */
  stateAfterCommands(count: number): Disk {
    this.#goTo(count);
    return this.#replayed.clone();
  }

  /** How many writes a power cut right after the first `count` commands could lose. */
  unflushedAfter(count: number): number {
    this.#goTo(count);
    return this.#replayed.unflushedWrites;
  }

  #goTo(count: number): void {
    assert(count >= 0 && count <= this.#commands.length, `no image after ${count} of ${this.#commands.length} commands`);
    if (count < this.#done) this.#restart();
    while (this.#done < count) this.#replay(this.#commands[this.#done++] as DiskCommand);
  }

  #cut(choice: CutChoice): Disk {
    const image = this.#replayed.clone();
    image.powerCut(choice);
    return image;
  }

  #restart(): void {
    this.#replayed = this.#base.clone();
    this.#done = 0;
    this.#replayedWrites = 0;
  }

  #replay(command: DiskCommand): void {
    const disk = this.#replayed;
    if (command.kind === "flush") disk.flush();
    else if (command.kind === "write") disk.write(bytes(command.offset), command.content);
    else disk.discard(bytes(command.offset), bytes(command.length));
    if (command.kind !== "flush") this.#replayedWrites += 1;
  }
}
