/** Labs of aufs with several branches, and where in them files are. */
import { expect } from "vitest";
import type { Task } from "../../sim/vfs/task.ts";
import { AufsLab, code, list, must, put } from "./aufs-lab.ts";

/** A lab, and where in it files are. */
export class Branches extends AufsLab {
  /** A branch on a tmpfs of its own. @param kib - its size */
  sized(name: string, kib: number, files: Readonly<Record<string, string>> = {}): string {
    must(this.task.mkdir(`/b/${name}`, 0o755));
    expect(this.host.mount({ type: "tmpfs", source: "t", target: `/b/${name}`, options: `size=${kib}k` })).toBeUndefined();
    for (const [path, text] of Object.entries(files)) {
      if (path.endsWith("/")) must(this.task.mkdir(`/b/${name}/${path}`, 0o755));
      else put(this.task, `/b/${name}/${path}`, text);
    }
    return `/b/${name}`;
  }

  /** The names of the branches that have a path themselves. */
  having(path: string): string[] {
    return (list(this.task, "/b") as string[]).filter((name) => code(this.task.lstat(`/b/${name}${path}`)) === "ok").sort();
  }

  /** The branches in which new files of a folder end up, one after another. */
  placed(task: Task, folder: string, names: readonly string[]): string[] {
    return names.map((name) => {
      put(task, `${folder}/${name}`, "x");
      return this.having(`${folder}/${name}`).join();
    });
  }
}
