/**
 * Branches laid by hand, with whiteouts beside what they hide, marks and whiteouts that are folders, and names that are odd: every call answers as in a
 * naive model written from aufs's source (aufs-naive.ts), and leaves the same in the branches.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isErrno } from "../../sim/core/errno.ts";
import { O_CREAT, O_EXCL, O_WRONLY, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { PROPERTY_MILLISECONDS, runs } from "../runs.ts";
import { AufsLab, code, must } from "./aufs-lab.ts";
import { type ModelBranch, NaiveAufs, Refused, Unknown } from "./aufs-naive.ts";

const name = fc.constantFrom("a", "b", "c");
const ownName = fc.oneof(
  { arbitrary: name, weight: 12 },
  { arbitrary: fc.constantFrom(".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq"), weight: 7 },
  { arbitrary: fc.constantFrom(".wh.", ".wh..wh.", ".wh..wh.a", ".wh..a", ".whx"), weight: 1 },
);
const entry = fc.record({
  folder: fc.array(name, { maxLength: 2 }),
  name: ownName,
  type: fc.oneof(
    { arbitrary: fc.constant(S_IFREG), weight: 6 },
    { arbitrary: fc.constant(S_IFDIR), weight: 3 },
    { arbitrary: fc.constant(S_IFIFO), weight: 1 },
  ),
});
const layer = fc.array(entry, { minLength: 3, maxLength: 9 });
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const call = fc.record({
  call: fc.constantFrom("mkdir", "create", "mknod", "unlink", "rmdir", "rename", "rename", "chmod", "stat", "list"),
  path,
  to: path,
});
type Entry = { readonly folder: readonly string[]; readonly name: string; readonly type: number };
type Call = { readonly call: string; readonly path: string; readonly to: string };

/** Lays a branch; what cannot be made where it would go is left out, and a mark that is a folder is rare enough as it is. */
function lay(task: Task, at: string, entries: readonly Entry[]): void {
  must(task.mkdir(at, 0o755));
  for (const { folder, name: own, type } of entries) {
    let into = at;
    for (const part of folder) {
      into += `/${part}`;
      task.mkdir(into, 0o755);
    }
    makeRaw(task, `${into}/${own}`, own.startsWith(".wh.") && type === S_IFDIR && folder.length > 0 ? S_IFREG : type);
  }
}

function makeRaw(task: Task, at: string, type: number): void {
  if (type === S_IFDIR) task.mkdir(at, 0o755);
  else if (type === S_IFIFO) task.mknod(at, S_IFIFO | 0o644);
  else if (!isErrno(task.lstat(at.slice(0, at.lastIndexOf("/")))) && isErrno(task.lstat(at))) task.mknod(at, S_IFREG | 0o644);
}

/** What lies in a branch, but for what aufs keeps for itself or had no time to take away. */
function rows(task: Task, at: string, path = ""): string[] {
  return must(task.readdir(at + path))
    .filter(({ name: own }) => own === ".wh..wh..opq" || !own.startsWith(".wh..wh."))
    .flatMap(({ name: own }) => {
      const type = must(task.lstat(`${at}${path}/${own}`)).mode & S_IFMT;
      return [`${path}/${own} ${type.toString(8)}`, ...(type === S_IFDIR ? rows(task, at, `${path}/${own}`) : [])];
    })
    .sort();
}

function ask(task: Task, { call: made, path: at, to }: Call): string {
  switch (made) {
    case "mkdir":
      return code(task.mkdir(at, 0o755));
    case "create": {
      const fd = task.open(at, O_CREAT | O_EXCL | O_WRONLY, 0o644);
      return code(isErrno(fd) ? fd : task.close(fd));
    }
    case "mknod":
      return code(task.mknod(at, S_IFIFO | 0o644));
    case "unlink":
      return code(task.unlink(at));
    case "rmdir":
      return code(task.rmdir(at));
    case "rename":
      return code(task.rename(at, to));
    case "chmod":
      return code(task.chmod(at, 0o700));
    case "stat": {
      const of = task.lstat(at);
      return isErrno(of) ? of.code : (of.mode & S_IFMT).toString(8);
    }
    default: {
      const entries = task.readdir(at);
      return isErrno(entries) ? entries.code : entries.map(({ name: own }) => own).join();
    }
  }
}

const ASK_MODEL: Readonly<Record<string, (model: NaiveAufs, step: Call) => string | undefined>> = {
  mkdir: (model, step) => void model.make(step.path, S_IFDIR),
  create: (model, step) => void model.make(step.path, S_IFREG),
  mknod: (model, step) => void model.make(step.path, S_IFIFO),
  unlink: (model, step) => void model.unlink(step.path),
  rmdir: (model, step) => void model.rmdir(step.path),
  rename: (model, step) => void model.rename(step.path, step.to),
  chmod: (model, step) => void model.touch(step.path),
  stat: (model, step) => model.typeOf(step.path).toString(8),
  list: (model, step) => model.list(step.path).join(),
};

/** @returns undefined where the model does not know. */
function askModel(model: NaiveAufs, step: Call): string | undefined {
  try {
    return ASK_MODEL[step.call]?.(model, step) ?? "ok";
  } catch (error) {
    if (error instanceof Refused) return error.code;
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}

/** Lays the branches twice, and makes the calls on a mount of the one and on the model over the other. */
function compare(layers: readonly Entry[][], permissions: readonly ModelBranch["permission"][], calls: readonly Call[]): void {
  const lab = new AufsLab();
  const branches = layers.map((entries, index) => {
    for (const kind of ["real", "model"]) lay(lab.task, `/b/${kind}${index}`, entries);
    return { path: `/b/model${index}`, permission: index === 0 ? "rw" : (permissions[index - 1] ?? "ro+wh") } as const;
  });
  const all = (kind: string): string[][] => branches.map((_, index) => rows(lab.task, `/b/${kind}${index}`));
  const options = branches.map(({ permission }, index) => `/b/real${index}=${permission}`).join(":");
  const { task, fs } = lab.enter(`br:${options},dirperm1`);
  const model = new NaiveAufs(lab.task, branches);
  for (const step of calls) {
    const expected = askModel(model, step);
    if (expected === undefined) return;
    expect([step, ask(task, step)]).toEqual([step, expected]);
    expect([step, all("real")]).toEqual([step, all("model")]);
    fs.check();
  }
}

test(
  "over read-only branches laid by hand, one writable branch answers and ends as in the naive model",
  () => {
    fc.assert(
      fc.property(
        fc.array(layer, { minLength: 2, maxLength: 4 }),
        fc.array(call, { minLength: 8, maxLength: 20 }),
        (layers, calls) => compare(layers, [], calls),
      ),
      runs(300),
    );
  },
  PROPERTY_MILLISECONDS,
);

test(
  "over branches of every permission laid by hand, several writable branches answer and end as in the naive model",
  () => {
    const permissions = fc.array(fc.constantFrom("rw", "rw", "ro+wh", "ro"), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(
        fc.array(layer, { minLength: 2, maxLength: 4 }),
        permissions,
        fc.array(call, { minLength: 8, maxLength: 20 }),
        compare,
      ),
      runs(300),
    );
  },
  PROPERTY_MILLISECONDS,
);
