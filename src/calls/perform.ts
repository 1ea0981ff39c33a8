/**
 * Makes the call that a step names, and tells its result in the form of the traces.
 *
 * Interface: `perform` throws a StepError for a step that cannot be made; every answer of the kernel is a result.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { CAPABILITIES } from "../../sim/vfs/credentials.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { ATTRIBUTE_CALLS } from "./attributes.ts";
import type { Call, CallTable } from "./call.ts";
import { DATA_CALLS } from "./data.ts";
import { isList, isRecord, type Json } from "./json.ts";
import { LISTING_CALLS } from "./listing.ts";
import { NAME_CALLS } from "./names.ts";
import type { CallSession } from "./session.ts";
import { type CallResult, modeOf, type Step, StepError, textOf } from "./step.ts";
import { WATCH_CALLS } from "./watch.ts";

/** Every call that a step can name. */
export const CALLS: CallTable = { ...DATA_CALLS, ...NAME_CALLS, ...ATTRIBUTE_CALLS, ...LISTING_CALLS, ...WATCH_CALLS };

/** Keys of a step that are no argument of its call. */
const COMMON: ReadonlySet<string> = new Set(["on", "call", "as", "umask", "note", "result"]);
const OK: CallResult = { ok: true };

const ARGUMENTS: ReadonlyMap<Call, ReadonlySet<string>> = new Map(
  Object.values(CALLS).map((call) => [call, new Set(call.takes.map((name) => name.replace("?", "")))]),
);

function isId(value: Json | undefined): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

/** The bits of capabilities by name; undefined where a name is none. */
function capabilitiesOf(names: readonly Json[]): number | undefined {
  let bits = 0;
  for (const name of names) {
    const bit = CAPABILITIES.get(String(name));
    if (bit === undefined) return undefined;
    bits |= bit;
  }
  return bits;
}

/** The task that makes a step's call: the session's own, or as somebody. */
function taskFor(session: CallSession, step: Step): Task {
  const as = step["as"];
  if (as === undefined) return session.task;
  if (isRecord(as)) {
    const { uid, gid, groups = [], without = [] } = as;
    const lost = isList(without) ? capabilitiesOf(without) : undefined;
    if (isId(uid) && isId(gid) && isList(groups) && groups.every(isId) && lost !== undefined)
      return session.taskAs(uid, gid, groups, lost);
  }
  throw new StepError(`${textOf(step, "call")}: as must be {"uid", "gid", "groups"?, "without"?}`);
}

/** The call that a step names. @throws StepError for an unknown one, or an argument that it does not take. */
function callOf(step: Step): Call {
  const name = textOf(step, "call");
  const found = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
  if (found === undefined) throw new StepError(`unknown call ${name}`);
  const known = ARGUMENTS.get(found);
  for (const key of Object.keys(step)) {
    if (!COMMON.has(key) && known?.has(key) !== true) {
      throw new StepError(`${name} takes ${found.takes.join(", ") || "no argument"}, not ${key}`);
    }
  }
  return found;
}

/**
 * Makes one call in a session's tree.
 * @param step - `call`, its arguments, `as` and `umask` (0 where it is left out).
 */
export function perform(session: CallSession, step: Step): CallResult {
  const call = callOf(step);
  const task = taskFor(session, step);
  task.umask = modeOf(step, "umask", 0);
  const result = call.make(session, task, step);
  if (isErrno(result)) return { errno: result.code };
  return result === undefined ? OK : { value: result };
}
