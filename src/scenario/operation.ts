/**
 * Does one operation of a scenario: a system call, several calls on one file, or something with the machine.
 */

import { Content } from "../../sim/core/content.ts";
import { EBADF, type Errno, isErrno } from "../../sim/core/errno.ts";
import type { EventStream } from "../../sim/core/events.ts";
import type { Random } from "../../sim/core/random.ts";
import { O_APPEND, O_CREAT, O_RDONLY, O_TRUNC } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { formatJson, isRecord, type Json } from "../calls/json.ts";
import { perform as performCall } from "../calls/perform.ts";
import type { CallSession } from "../calls/session.ts";
import { shown } from "../calls/show.ts";
import type { CallResult, Step } from "../calls/step.ts";
import { writePath } from "../calls/write-all.ts";
import type { MadeCall } from "../shell/call-text.ts";
import { type Outcome, runScript } from "../shell/run.ts";
import type { CallStep, Data, Operation } from "./action.ts";
import { performBulk } from "./bulk.ts";
import type { Figures } from "./metrics.ts";
import type { Credentials } from "./scenario.ts";
import { type World, WorldFailure } from "./world.ts";

/** What operations draw on. */
export interface Tools {
  readonly world: World;
  readonly random: Random;
  /** Metrics as they stand. */
  readonly figures: () => Figures;
  /** Hears of every call. */
  readonly events: EventStream;
  /** Virtual time in nanoseconds. */
  readonly now: () => number;
}

/** Who acts. */
export interface Actor {
  /** Absent for operations on the machine. */
  readonly session: CallSession | undefined;
  readonly as: Credentials | undefined;
  /** Undefined: as it is for the operation. */
  readonly umask: number | undefined;
  /** The container or layer, for whoever hears of its calls. */
  readonly name: string;
}

/** What came of an operation; of a script also how it ended. */
export interface Performed {
  readonly answer: CallResult;
  readonly shell?: Outcome;
  /** Bytes that a call moved. */
  readonly read?: number;
  readonly written?: number;
}

const OK: CallResult = { ok: true };
/** One read(2) asks for this much. */
const READ_BYTES = 2 ** 30;

/** The umask of a shell; calls have none. */
const SHELL_UMASK = 0o022;

/** Does an operation. */
export function perform(tools: Tools, operation: Operation, actor: Actor): Performed {
  const { session } = actor;
  if (operation.kind === "shell") {
    if (session === undefined) return { answer: { errno: "EBADF" } };
    return inShell(tools, operation, actor, session);
  }
  if (!isOfFiles(operation)) return { answer: onMachine(tools, operation) };
  if (session === undefined) return { answer: { errno: "EBADF" } };
  const since = tools.now();
  const answer = inSession(tools, operation, actor, session);
  if (tools.events.listening) {
    const [call, words] =
      operation.kind === "call" ? callWords(operation.step) : [operation.kind, JSON.stringify(operation.path)];
    const shownAnswer = "errno" in answer ? answer.errno : "value" in answer ? formatJson(answer.value) : "0";
    const filesystem = session.task.root.mount.fs.type;
    tools.events.emit({ op: "call", process: actor.name, filesystem, call, arguments: words, result: shownAnswer, since });
  }
  return { answer, ...movedBy(operation, answer) };
}

/** The bytes that a call read or wrote, as its answer tells. */
function movedBy(operation: FileOperation, answer: CallResult): Pick<Performed, "read" | "written"> {
  if ("errno" in answer) return {};
  if (operation.kind === "writeFile") return { written: dataLength(operation.data) };
  const value = "value" in answer ? answer.value : undefined;
  // What these did to each of many files, their events tell.
  if (operation.kind === "populate" || operation.kind === "walk") return {};
  if (operation.kind === "readFile" || operation.step.call === "read" || operation.step.call === "pread")
    return { read: shownLength(value) };
  if (typeof value !== "number") return {};
  if (operation.step.call === "copy_file_range") return { read: value, written: value };
  return operation.data === undefined ? {} : { written: value };
}

function dataLength(data: Data): number {
  return data.kind === "text" ? new TextEncoder().encode(data.text).length : data.size;
}

/** How much content an answer shows. */
function shownLength(value: Json | undefined): number {
  if (!isRecord(value)) return 0;
  const { data, len } = value;
  return typeof data === "string" ? data.length : typeof len === "number" ? len : 0;
}

/** A call's name and its arguments in words. */
function callWords({ call, ...words }: CallStep): readonly [string, string] {
  return [
    call,
    Object.values(words)
      .map((word) => (Array.isArray(word) ? word.join("|") : typeof word === "string" ? JSON.stringify(word) : String(word)))
      .join(", "),
  ];
}

type FailOperation = Extract<Operation, { kind: "fail" }>;
type MachineOperation = Exclude<Operation, FileOperation | { kind: "shell" }>;

function onMachine(tools: Tools, operation: MachineOperation): CallResult {
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
    case "fail":
      return failFrom(tools.world, operation);
    case "mend":
      tools.world.allocations.heal();
      tools.world.device?.heal();
      return OK;
    case "diff": {
      const lines = tools.world.diff(operation.container);
      return lines instanceof WorldFailure ? { errno: lines.message } : { value: lines };
    }
    case "ps": {
      const sizes = tools.world.containerSizes(operation.container);
      return sizes instanceof WorldFailure ? { errno: sizes.message } : { value: { ...sizes } };
    }
    case "stack": {
      const stacked = tools.world.stack(operation);
      return stacked instanceof WorldFailure ? { errno: stacked.message } : { value: stacked };
    }
    case "du":
      return { value: tools.world.diskUsage(operation.acrossMounts) };
    case "remove":
      return outcome(tools.world.remove(operation.name));
    case "zfs": {
      const written = tools.world.zfs(operation.tool, operation.words);
      return written instanceof WorldFailure ? { errno: written.message } : { value: written };
    }
    case "show": {
      const shownField = tools.world.show(operation.image, operation.field);
      return shownField instanceof WorldFailure ? { errno: shownField.message } : { value: shownField };
    }
    default:
      return OK;
  }
}

/** Lets something fail from now on. */
export function failFrom(world: World, { what, at, times }: Pick<FailOperation, "what" | "at" | "times">): CallResult {
  if (what === "allocation") world.allocations.fail(at, times);
  else if (world.device === undefined) return { errno: `the backing filesystem ${world.backing} has no disk` };
  else world.device.inject({ on: what, at, times });
  return OK;
}

function outcome(failure: WorldFailure | undefined): CallResult {
  return failure === undefined ? OK : { errno: failure.message };
}

function taskOf(actor: Actor, session: CallSession): Task {
  return actor.as === undefined ? session.task : session.taskAs(actor.as.uid, actor.as.gid, actor.as.groups);
}

/** A script; one that ends with another status than 0 has failed, and its complaints say why. */
function inShell(tools: Tools, operation: Extract<Operation, { kind: "shell" }>, actor: Actor, session: CallSession): Performed {
  const task = taskOf(actor, session);
  task.umask = actor.umask ?? SHELL_UMASK;
  const { events } = tools;
  const filesystem = task.root.mount.fs.type;
  let since = tools.now();
  const onCall = (made: MadeCall): void => {
    events.emit({
      op: "call",
      process: actor.name,
      filesystem,
      call: made.name,
      arguments: made.arguments,
      result: made.result,
      since,
    });
    since = tools.now();
  };
  const { script, variables } = operation;
  const ended = runScript(script, { task, random: tools.random, variables, onCall: events.listening ? onCall : undefined });
  const written = ended.stdout.replace(/\n$/, "");
  const why = ended.stderr.trim().replaceAll("\n", "; ");
  const failed = `exit ${ended.status}${why === "" ? "" : `: ${why}`}`;
  const answer: CallResult = ended.status !== 0 ? { errno: failed } : written === "" ? OK : { value: written };
  return { answer, shell: ended };
}

type FileOperation = Extract<Operation, { kind: "call" | "writeFile" | "readFile" | "populate" | "walk" }>;

function isOfFiles(operation: Operation): operation is FileOperation {
  return ["call", "writeFile", "readFile", "populate", "walk"].includes(operation.kind);
}

function inSession(tools: Tools, operation: FileOperation, actor: Actor, session: CallSession): CallResult {
  const task = taskOf(actor, session);
  const umask = actor.umask ?? 0;
  task.umask = umask;
  if (operation.kind === "populate" || operation.kind === "walk") return result(performBulk(task, operation, tools.random));
  if (operation.kind === "readFile") return result(readFile(task, operation.path));
  if (operation.kind === "writeFile") return result(writeFile(task, operation, contentOf(operation.data, tools.random)));
  if (operation.data !== undefined)
    return result(writeDescriptor(session, task, operation.step, contentOf(operation.data, tools.random)));
  const step: Record<string, Json> = { ...(operation.step as Step), umask: umask.toString(8).padStart(4, "0") };
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
  return writePath(task, path, { flags: O_CREAT | (append ? O_APPEND : O_TRUNC), mode }, content);
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
