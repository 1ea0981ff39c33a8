/** A union is a plain tree: random calls over layers give what the same calls give on one filesystem, but for EXDEV. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EXDEV, isErrno } from "../../sim/core/errno.ts";
import { O_CREAT, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { runs } from "../runs.ts";
import { UnionLab } from "./lab.ts";

const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const call = fc.oneof(
  fc.record({ call: fc.constantFrom("mkdir", "rmdir", "unlink", "put", "chmod") as fc.Arbitrary<string>, path, to: path }),
  fc.record({ call: fc.constantFrom("rename", "exchange", "noreplace") as fc.Arbitrary<string>, path, to: path }),
);
type Call = { readonly call: string; readonly path: string; readonly to: string };

const RENAMES: Readonly<Record<string, number>> = { rename: 0, noreplace: 1, exchange: 2 };

function make(task: Task, step: Call): string {
  const flags = RENAMES[step.call];
  if (flags !== undefined) return task.rename(step.path, step.to, flags)?.code ?? "ok";
  if (step.call === "mkdir") return task.mkdir(step.path, 0o755)?.code ?? "ok";
  if (step.call === "rmdir") return task.rmdir(step.path)?.code ?? "ok";
  if (step.call === "unlink") return task.unlink(step.path)?.code ?? "ok";
  if (step.call === "chmod") return task.chmod(step.path, 0o700)?.code ?? "ok";
  const fd = task.open(step.path, O_CREAT | O_WRONLY | O_TRUNC);
  if (isErrno(fd)) return fd.code;
  task.write(fd, Content.text(step.to));
  task.close(fd);
  return "ok";
}

/** Every path below a folder with its mode and size. */
function tree(task: Task, folder = ""): string[] {
  const entries = task.readdir(folder === "" ? "/" : folder);
  if (isErrno(entries)) return [];
  const rows: string[] = [];
  for (const { name } of entries) {
    const at = `${folder}/${name}`;
    const found = task.lstat(at);
    if (isErrno(found)) return [`${at} ${found.code}`];
    const isFolder = (found.mode & 0o170000) === 0o040000;
    rows.push(`${at} ${found.mode.toString(8)} ${isFolder ? "" : found.size}`, ...(isFolder ? tree(task, at) : []));
  }
  return rows.sort();
}

for (const options of ["", "redirect_dir=on", "redirect_dir=on,metacopy=on", "index=on"]) {
  test(`Random calls over up to four layers end as on one filesystem (${options || "defaults"})`, () => {
    fc.assert(
      fc.property(fc.array(fc.array(call, { maxLength: 14 }), { minLength: 2, maxLength: 4 }), (layers) => {
        const lab = new UnionLab(options);
        const flat = lab.add("flat").session.task;
        for (const [index, steps] of layers.entries()) {
          const { session, overlay } = lab.add(`l${index}`, index === 0 ? undefined : `l${index - 1}`);
          for (const step of steps) {
            const answer = make(session.task, step);
            if (answer !== EXDEV.code) expect([step, answer]).toEqual([step, make(flat, step)]);
            lab.check();
          }
          expect(tree(session.task)).toEqual(tree(flat));
          session.end();
          overlay?.unmount();
        }
      }),
      runs(60),
    );
  });
}
