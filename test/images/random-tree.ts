/**
 * Random trees and what is done to them, for tests that compare trees.
 */
import fc from "fast-check";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import {
  newAttributes,
  O_CREAT,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import { must } from "../drivers/docker-host.ts";

/** One step of a program in a container; what the kernel refuses is left out. */
export type Action = { readonly path: string } & (
  | { readonly do: "write"; readonly seed: number; readonly size: number }
  | { readonly do: "mkdir" | "remove" | "fifo" }
  | { readonly do: "symlink" | "link" | "rename"; readonly to: string }
  | { readonly do: "chmod"; readonly mode: number }
  | { readonly do: "chown"; readonly id: number }
);

const name = fc.constantFrom("a", "b", "c", "ü", "d.e");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
export const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), path, seed: fc.nat(9), size: fc.nat(9000) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("mkdir" as const), path }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("remove" as const), path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("symlink" as const), path, to: path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("link" as const), path, to: path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fifo" as const), path }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("chmod" as const), path, mode: fc.integer({ min: 0, max: 0o7777 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("chown" as const), path, id: fc.nat(70_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rename" as const), path, to: path }) },
);

function remove(task: Task, at: string): void {
  const of = task.lstat(at, newAttributes());
  if (isErrno(of)) return;
  if ((of.mode & S_IFMT) !== S_IFDIR) return void task.unlink(at);
  for (const row of must(task.readdir(at))) remove(task, `${at}/${row.name}`);
  task.rmdir(at);
}

/** Does what can be done; what the kernel refuses is left out. */
export function act(task: Task, one: Action): void {
  if (one.do === "write") {
    const fd = task.open(one.path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
    if (isErrno(fd)) return;
    task.write(fd, Content.pattern(one.seed, one.size));
    task.close(fd);
  } else if (one.do === "mkdir") task.mkdir(one.path, 0o755);
  else if (one.do === "remove") remove(task, one.path);
  else if (one.do === "symlink") task.symlink(one.to, one.path);
  else if (one.do === "link") task.link(one.path, one.to);
  else if (one.do === "fifo") task.mknod(one.path, S_IFIFO | 0o600);
  else if (one.do === "chmod") task.chmod(one.path, one.mode);
  else if (one.do === "chown") task.lchown(one.path, one.id, one.id);
  else if (one.do === "rename") task.rename(one.path, one.to);
}

/** A tree as rows: everything that a layer keeps, whole seconds of files' times included. */
export function rows(task: Task, at = ""): string[] {
  return must(task.readdir(at === "" ? "/" : at))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((row) => {
      const below = `${at}/${row.name}`;
      const of = must(task.lstat(below, newAttributes()));
      const type = of.mode & S_IFMT;
      const fd = type === S_IFREG ? must(task.open(below, 0)) : undefined;
      const content = fd === undefined ? "" : must(task.read(fd, of.size + 1)).sha256();
      if (fd !== undefined) task.close(fd);
      const target = type === S_IFLNK ? must(task.readlink(below)) : "";
      const time = type === S_IFDIR ? 0 : of.mtime.seconds;
      const line = `${below} ${of.mode.toString(8)} ${of.uid}:${of.gid} ${type === S_IFDIR ? 0 : of.size} ${time} ${content}${target}`;
      return type === S_IFDIR ? [line, ...rows(task, below)] : [line];
    });
}

export function inTree<T>(daemon: Daemon, id: string, use: (task: Task) => T): T {
  const task = must(daemon.host.task.chroot(must(daemon.driver.get(id))));
  task.umask = 0;
  const result = use(task);
  task.exit();
  must(daemon.driver.put(id));
  return result;
}
