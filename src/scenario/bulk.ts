/**
 * Actions on many files at once: what an unpacked archive leaves, and what a recursive command does to every file below a folder.
 */
import { Content } from "../../sim/core/content.ts";
import { EEXIST, type Errno, isErrno } from "../../sim/core/errno.ts";
import type { Random } from "../../sim/core/random.ts";
import { newAttributes, O_APPEND, O_CREAT, O_RDONLY, S_IFDIR, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { writePath } from "../calls/write-all.ts";
import { type Action, action, type PopulateOperation, WALK_ACTS, type WalkOperation } from "./action.ts";
import { oneOf, type Slots } from "./slots.ts";

const DEPTH_MAX = 20;
/** Files, and folders, that one action makes in a folder: more take more memory here than machines have. */
const MADE_MAX = 10_000_000;
/** One read(2) asks for this much. */
const READ_BYTES = 2 ** 30;

/** Actions on many files. */
export function bulk({ path, count, size, text, mode }: Slots): Action[] {
  const depth = count.refine((levels) => levels <= DEPTH_MAX, `more than ${DEPTH_MAX} levels`);
  const number = count.refine((made) => made <= MADE_MAX, "more than 10,000,000 in one folder").optional();
  return [
    action(
      "makes a folder of many files and empty folders, or a tree of folders, two in each, with them at its ends; with `sync`, syncfs(2) at once",
      {
        populate: path,
        files: number,
        folders: number,
        depth: depth.optional(),
        size: size.optional(),
        sync: oneOf("thing to sync", ["filesystem"]).optional(),
      },
      (at) => ({
        kind: "populate",
        path: at.populate,
        files: at.files ?? 0,
        folders: at.folders ?? 0,
        depth: at.depth ?? 0,
        size: at.size ?? 0,
        sync: at.sync !== undefined,
      }),
    ),
    action(
      "goes through everything below a folder: stat of all, read of or append to each file, chmod of all, remove as rm -r does; the answer is how many",
      { walk: path, do: oneOf("act", WALK_ACTS), text: text.optional(), mode: mode.optional() },
      (at) => ({ kind: "walk", path: at.walk, act: at.do, text: at.text ?? "", mode: at.mode ?? 0o755 }),
    ),
  ];
}

/** Does one of them. @returns how many files, folders and links it made or acted on; the first error ends it */
export function performBulk(task: Task, operation: PopulateOperation | WalkOperation, random: Random): number | Errno {
  return operation.kind === "populate" ? populate(task, operation, random) : walk(task, operation);
}

function populate(task: Task, order: PopulateOperation, random: Random): number | Errno {
  const made = task.mkdir(order.path, 0o755);
  if (isErrno(made) && made !== EEXIST) return made;
  const count = fill(task, order.path, order.depth, { order, random, top: isErrno(made) ? 0 : 1 });
  return isErrno(count) || !order.sync ? count : (task.syncfs() ?? count);
}

function fill(
  task: Task,
  folder: string,
  levels: number,
  plan: { readonly order: PopulateOperation; readonly random: Random; readonly top: number },
): number | Errno {
  let count = plan.top;
  if (levels > 0) {
    for (const name of ["0", "1"]) {
      const errno = task.mkdir(`${folder}/${name}`, 0o755);
      if (isErrno(errno)) return errno;
      const below = fill(task, `${folder}/${name}`, levels - 1, { ...plan, top: 1 });
      if (isErrno(below)) return below;
      count += below;
    }
    return count;
  }
  const { files, folders, size } = plan.order;
  for (let at = 0; at < folders; at++) {
    const errno = task.mkdir(`${folder}/folder-${at}`, 0o755);
    if (isErrno(errno)) return errno;
  }
  for (let at = 0; at < files; at++) {
    const errno = writePath(
      task,
      `${folder}/file-${at}`,
      { flags: O_CREAT, mode: 0o644 },
      Content.pattern(plan.random.uint32(), size),
    );
    if (isErrno(errno)) return errno;
  }
  return count + folders + files;
}

function readAll(task: Task, path: string): Errno | undefined {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return fd;
  for (;;) {
    const part = task.read(fd, READ_BYTES);
    if (!isErrno(part) && part.length > 0) continue;
    const closed = task.close(fd);
    return isErrno(part) ? part : closed;
  }
}

/** Folders before what is in them; when they are removed or changed, after it. */
function walk(task: Task, order: WalkOperation): number | Errno {
  const entries = task.readdir(order.path);
  if (isErrno(entries)) return entries;
  let count = 0;
  for (const { name } of entries) {
    const path = `${order.path}/${name}`;
    const of = task.lstat(path, newAttributes());
    if (isErrno(of)) return of;
    const type = of.mode & S_IFMT;
    const below = type === S_IFDIR ? walk(task, { ...order, path }) : 0;
    if (isErrno(below)) return below;
    count += below;
    const acted = actOn(task, order, path, type);
    if (isErrno(acted)) return acted;
    count += acted;
  }
  return count;
}

/** @returns 1 when it was something to act on, else 0 */
function actOn(task: Task, { act, text, mode }: WalkOperation, path: string, type: number): number | Errno {
  if ((act === "read" || act === "append") && type !== S_IFREG) return 0;
  let errno: Errno | undefined;
  if (act === "read") errno = readAll(task, path);
  else if (act === "append") errno = writePath(task, path, { flags: O_APPEND, mode: 0o644 }, Content.text(text));
  else if (act === "chmod") errno = task.chmod(path, mode);
  else if (act === "remove") errno = type === S_IFDIR ? task.rmdir(path) : task.unlink(path);
  return errno ?? 1;
}
