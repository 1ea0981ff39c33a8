/**
 * The process behind a node:fs-shaped object: a Task whose errors are thrown as Node throws them, and whose clock goes on with each call.
 *
 * Interface: one system call a method of Task; `enter` comes before each of node:fs's functions. Descriptors 0 to 2 are taken, as in any
 * process, so that programs that ask `if (fd)` find what they expect.
 */
import { type Time, time } from "../../sim/core/clock.ts";
import { EINVAL, type Errno, isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { nanoseconds } from "../../sim/core/units.ts";
import { type Attributes, newAttributes, O_PATH } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { systemError } from "./errors.ts";

/** What a process has of its own. */
export interface ProcessOptions {
  /** Where relative paths begin. Default "/". */
  readonly cwd?: string;
  /** Virtual nanoseconds that each call of node:fs takes. Default 1,000,000: programs that compare times of change see them move. */
  readonly callTime?: number;
  /** Milliseconds since 1970 by another clock, such as `Date.now`: the virtual one follows it, and results depend on it. */
  readonly now?: () => number;
  /** Told of each error that a program is about to get from a system call. */
  readonly refused?: (error: NodeJS.ErrnoException) => void;
}

const CALL_TIME = 1_000_000;
const STANDARD_FILES = 3;

export class Kernel {
  #task: Task;
  /** Filled again by each call that needs one. */
  readonly attributes: Attributes = newAttributes();
  /** What names of temporary folders come from. */
  readonly random: Random = new Random(1);
  /** The working directory's path. */
  readonly cwd: string;
  readonly #callTime: number;
  readonly #now: (() => number) | undefined;
  readonly #refused: ((error: NodeJS.ErrnoException) => void) | undefined;

  constructor(task: Task, { cwd = "/", callTime = CALL_TIME, now, refused }: ProcessOptions = {}) {
    this.#task = task;
    this.cwd = cwd;
    this.#callTime = callTime;
    this.#now = now;
    this.#refused = refused;
    this.become(task);
  }

  get task(): Task {
    return this.#task;
  }

  /** Goes on as another process: in another tree, with nothing open. @throws an error of node:fs where the working directory is not there. */
  become(task: Task): void {
    this.#task = task;
    this.done(task.chdir(this.cwd), "chdir", this.cwd);
    while (task.files.descriptors().length < STANDARD_FILES) if (isErrno(task.open("/", O_PATH))) break;
  }

  /** Lets the time of one call pass. */
  enter(): void {
    const { clock } = this.task.vfs;
    if (this.#now === undefined) {
      if (this.#callTime > 0) clock.advance(nanoseconds(this.#callTime));
      return;
    }
    const at = clock.realTime();
    const behind = this.#now() * 1e6 - (at.seconds * 1e9 + at.nanoseconds);
    if (behind > 0) clock.advance(nanoseconds(Math.round(behind)));
  }

  /** A call's value. @throws what Node throws of its error. */
  done<T>(result: T | Errno, syscall: string, path?: string, dest?: string): T {
    if (!isErrno(result)) return result;
    const error = systemError(result, syscall, { path, dest });
    this.#refused?.(error);
    throw error;
  }

  /** The current time of the simulated host. */
  time(): Time {
    return this.task.vfs.clock.realTime();
  }
}

/** The seconds that the kernel's time does not hold, either way. */
const BEYOND_TIME = 2 ** 63;

/** Seconds as a Time, as libuv hands them to the kernel: whole microseconds are kept. @returns undefined of what is none */
export function timeOf(seconds: number | "now"): Time | "NOW" | undefined {
  if (seconds === "now") return "NOW";
  if (!(Math.abs(seconds) < BEYOND_TIME)) return undefined;
  const whole = Math.floor(seconds);
  return time(whole, Math.floor((seconds - whole) * 1e6) * 1000);
}

/** Sets two times. What is none, as of an invalid Date, is EINVAL once the file has been found, as for utimensat(2). */
export function setTimes(
  [first, second]: readonly [number | "now", number | "now"],
  find: () => Attributes | Errno,
  set: (atime: Time | "NOW", mtime: Time | "NOW") => Errno | undefined,
): Errno | undefined {
  const [atime, mtime] = [timeOf(first), timeOf(second)];
  if (atime !== undefined && mtime !== undefined) return set(atime, mtime);
  const found = find();
  return isErrno(found) ? found : EINVAL;
}
