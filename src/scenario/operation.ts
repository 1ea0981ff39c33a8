/**
 * Does one operation of a scenario: a system call, several calls on one file, or something with the machine.
 */
import { Content } from "../../sim/core/content.ts";
import { EBADF, type Errno, isErrno } from "../../sim/core/errno.ts";
import type { Random } from "../../sim/core/random.ts";
import { O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { Json } from "../calls/json.ts";
import { perform as performCall } from "../calls/perform.ts";
import type { CallSession } from "../calls/session.ts";
import { shown } from "../calls/show.ts";
import type { CallResult, Step } from "../calls/step.ts";
import type { CallStep, Data, Operation } from "./actions.ts";
import type { Figures } from "./metrics.ts";
import type { Credentials } from "./scenario.ts";
import { type World, WorldFailure } from "./world.ts";

/** What operations draw on. */
export interface Tools {
  readonly world: World;
  readonly random: Random;
  /** Metrics as they stand. */
  readonly figures: () => Figures;
}

/** Who acts. */
export interface Actor {
  /** Absent for operations on the machine. */
  readonly session: CallSession | undefined;
  readonly as: Credentials | undefined;
  readonly umask: number;
}

const OK: CallResult = { ok: true };
/** One read(2) asks for this much. */
const READ_BYTES = 2 ** 30;

/** Does an operation. @returns what it gave, in the form of recorded traces. */
export function perform(tools: Tools, operation: Operation, actor: Actor): CallResult {
  switch (operation.kind) {
    case "tick":
      tools.world.tick(operation.span);
      return OK;
    case "measure": {
      const figures = tools.figures();
      return { value: Object.fromEntries(operation.metrics.map((metric) => [metric, figures[metric]])) };
    }
    case "dropCaches":
      return outcome(tools.world.dropCaches());
    case "diff": {
      const lines = tools.world.diff(operation.container);
      return lines instanceof WorldFailure ? { errno: lines.message } : { value: lines };
    }
    case "remove":
      return outcome(tools.world.remove(operation.name));
    case "show": {
      const shownField = tools.world.show(operation.image, operation.field);
      return shownField instanceof WorldFailure ? { errno: shownField.message } : { value: shownField };
    }
    case "instruction":
      return OK;
    default:
      return actor.session === undefined ? { errno: "EBADF" } : inSession(tools, operation, actor, actor.session);
  }
}

function outcome(failure: WorldFailure | undefined): CallResult {
  return failure === undefined ? OK : { errno: failure.message };
}

type FileOperation = Extract<Operation, { kind: "call" | "writeFile" | "readFile" }>;

function inSession(tools: Tools, operation: FileOperation, actor: Actor, session: CallSession): CallResult {
  const task = actor.as === undefined ? session.task : session.taskAs(actor.as.uid, actor.as.gid, actor.as.groups);
  task.umask = actor.umask;
  if (operation.kind === "readFile") return result(readFile(task, operation.path));
  if (operation.kind === "writeFile") return result(writeFile(task, operation, contentOf(operation.data, tools.random)));
  if (operation.data !== undefined)
    return result(writeDescriptor(session, task, operation.step, contentOf(operation.data, tools.random)));
  const step: Record<string, Json> = { ...(operation.step as Step), umask: actor.umask.toString(8).padStart(4, "0") };
  if (actor.as !== undefined) step["as"] = { uid: actor.as.uid, gid: actor.as.gid, groups: [...actor.as.groups] };
  return performCall(session, step);
}

function result(value: Json | Errno | undefined): CallResult {
  if (isErrno(value)) return { errno: value.code };
  return value === undefined ? OK : { value };
}

function contentOf(data: Data, random: Random): Content {
  switch (data.kind) {
    case "text":
      return Content.text(data.text);
    case "fill":
      return Content.repeat(data.unit, data.size);
    case "pattern":
      return Content.pattern(data.seed, data.size);
    default:
      return Content.pattern(random.uint32(), data.size);
  }
}

function writeDescriptor(session: CallSession, task: Task, step: CallStep, content: Content): Json | Errno {
  const fd = session.descriptors.get(String(step["fd"]));
  if (fd === undefined) return EBADF;
  const offset = step["offset"];
  return typeof offset === "number" ? task.pwrite(fd, content, offset) : task.write(fd, content);
}

function writeFile(
  task: Task,
  { path, append, mode }: { readonly path: string; readonly append: boolean; readonly mode: number },
  content: Content,
): Json | Errno | undefined {
  const fd = task.open(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), mode);
  if (isErrno(fd)) return fd;
  let done = 0;
  while (done < content.length) {
    const written = task.write(fd, content.slice(done));
    if (isErrno(written)) {
      task.close(fd);
      return written;
    }
    done += written;
  }
  return task.close(fd);
}

function readFile(task: Task, path: string): Json | Errno {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return fd;
  const parts: Content[] = [];
  for (;;) {
    const part = task.read(fd, READ_BYTES);
    if (isErrno(part)) {
      task.close(fd);
      return part;
    }
    if (part.length === 0) break;
    parts.push(part);
  }
  const errno = task.close(fd);
  return errno ?? shown(Content.concat(parts));
}
