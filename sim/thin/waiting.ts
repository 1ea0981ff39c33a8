/**
 * Bios that wait in a pool for space, in the order in which they came.
 */
import type { Errno } from "../core/errno.ts";

/** What a write gives that waits for space. */
export const QUEUED = "queued";

/** A command of which parts wait: it is done when each of them is. */
export class Waiting {
  #parts = 0;
  /** The first error that a part gave. */
  error: Errno | undefined;

  /** Whether a part still waits. */
  get pending(): boolean {
    return this.#parts > 0;
  }

  /** One part more waits. */
  hold(): void {
    this.#parts += 1;
  }

  /** One part is done. */
  settle(error: Errno | undefined): void {
    this.#parts -= 1;
    this.error ??= error;
  }
}

interface Queued {
  readonly waiting: Waiting;
  readonly retry: () => Errno | undefined | typeof QUEUED;
}

export class WaitingBios {
  #queue: Queued[] = [];

  /** Keeps a bio until there is space, or until nobody hopes for it any more. */
  add(waiting: Waiting, retry: Queued["retry"]): void {
    waiting.hold();
    this.#queue.push({ waiting, retry });
  }

  /** Tries all again; what still finds no space waits on. */
  retry(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const entry of queue) {
      const result = entry.retry();
      if (result === QUEUED) this.#queue.push(entry);
      else entry.waiting.settle(result);
    }
  }

  fail(error: Errno): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const { waiting } of queue) waiting.settle(error);
  }
}
