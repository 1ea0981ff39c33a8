/**
 * What checks of a driver are made of: layers and containers by name, files as texts. Each helper throws where a call fails.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { Lab } from "../layers/lab.ts";
import { must } from "./expect.ts";

/** A rule by its sentence. */
export interface Check {
  readonly name: string;
  readonly run: (lab: Lab) => void;
  /** What Docker's folder must be on, where the driver does not insist on another filesystem; absent: ext4. */
  readonly ground?: { readonly backing: string; readonly mount: string };
}

export function put(task: Task, path: string, text: string): void {
  const fd = must(task.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644));
  must(task.write(fd, Content.text(text)));
  must(task.close(fd));
}

export function text(task: Task, path: string): string {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return fd.code;
  const content = must(task.read(fd, 1_000_000));
  must(task.close(fd));
  return content.toText();
}

/** Writes a MiB at a time, and makes it durable: some filesystems count no sooner. @returns what stopped it. */
export function fill(task: Task, path: string, length: number): string {
  const fd = must(task.open(path, O_WRONLY | O_CREAT, 0o644));
  let failed: Errno | undefined;
  for (let at = 0; at < length && failed === undefined; at += MIB(1)) {
    const written = task.write(fd, Content.pattern(at, MIB(1)));
    if (isErrno(written)) failed = written;
  }
  failed ??= task.fsync(fd);
  must(task.close(fd));
  return failed?.code ?? "ok";
}

export const names = (task: Task, path: string): string[] =>
  must(task.readdir(path))
    .map(({ name }) => name)
    .sort();
export const mode = (task: Task, path: string): number => must(task.stat(path)).mode & 0o7777;

/** A layer over the one before, written by `write`. */
export function layer(lab: Lab, name: string, parent: string | undefined, write: (task: Task) => void): void {
  must(lab.addLayer(name, parent));
  write(must(lab.task(name)));
}

/** A container's task. */
export function container(lab: Lab, parent: string, name = "container"): Task {
  must(lab.addContainer(name, parent));
  return must(lab.task(name));
}
