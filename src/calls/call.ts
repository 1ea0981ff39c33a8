/**
 * What the table of calls is made of: a call's arguments and how it is made.
 */
import { EBADF, type Errno } from "../../sim/core/errno.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { Json } from "./json.ts";
import type { CallSession } from "./session.ts";
import { type Step, textOf } from "./step.ts";

/** Makes one call. @returns its value, nothing where it has none, or its error. */
export type MakeCall = (session: CallSession, task: Task, step: Step) => Json | Errno | undefined;

/** A call by name: the arguments it takes (a `?` behind those that may be left out), and how it is made. */
export interface Call {
  readonly takes: readonly string[];
  readonly make: MakeCall;
}

/** The table of some calls, by name. */
export type CallTable = Readonly<Record<string, Call>>;

/** A call that takes these arguments. */
export function call(takes: string, make: MakeCall): Call {
  return { takes: takes === "" ? [] : takes.split(" "), make };
}

/** The descriptor that an argument names: EBADF for a name whose open failed, or that was closed. */
export function descriptorOf(session: CallSession, step: Step, key = "fd"): number | Errno {
  return session.descriptors.get(textOf(step, key)) ?? EBADF;
}
