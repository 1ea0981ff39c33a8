/**
 * aufs is a plain tree: random calls over branches give what the same calls give on one filesystem, but for EXDEV. What lies below is never
 * written, and a mount that is made again shows the same.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { O_APPEND, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { PROPERTY_MILLISECONDS, runs } from "../runs.ts";
import { AufsLab, must } from "./aufs-lab.ts";

const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
const call = fc.record({
  call: fc.constantFrom("mkdir", "rmdir", "unlink", "put", "append", "chmod", "rename", "noreplace", "symlink", "truncate"),
  path,
  to: path,
});
const linkCall = fc.oneof(call, fc.record({ call: fc.constantFrom("link", "append", "unlink"), path, to: path }));
/** How changes beside the mount would be seen, of which there are none. */
const access = fc.constantFrom("", ",udba=none", ",udba=reval", ",udba=notify");
type Call = { readonly call: string; readonly path: string; readonly to: string };

const MAKE: Readonly<Record<string, (task: Task, step: Call) => unknown>> = {
  mkdir: (task, step) => task.mkdir(step.path, 0o755),
  rmdir: (task, step) => task.rmdir(step.path),
  unlink: (task, step) => task.unlink(step.path),
  chmod: (task, step) => task.chmod(step.path, 0o700),
  rename: (task, step) => task.rename(step.path, step.to),
  noreplace: (task, step) => task.rename(step.path, step.to, 1),
  symlink: (task, step) => task.symlink("b", step.path),
  link: (task, step) => task.link(step.path, step.to),
  truncate: (task, step) => task.truncate(step.path, 3),
  put: (task, step) => write(task, step, O_CREAT | O_WRONLY | O_TRUNC),
  append: (task, step) => write(task, step, O_RDWR | O_APPEND),
};

function write(task: Task, step: Call, flags: number): unknown {
  const fd = task.open(step.path, flags);
  if (isErrno(fd)) return fd;
  task.write(fd, Content.text(step.to));
  return task.close(fd);
}

function make(task: Task, step: Call): string {
  const answer = MAKE[step.call]?.(task, step);
  return isErrno(answer) ? answer.code : "ok";
}

function text(task: Task, at: string): string {
  const fd = must(task.open(at, 0));
  const content = must(task.read(fd, 1000)).toText();
  task.close(fd);
  return content;
}

/** Every path below a folder with mode, links and content. */
function tree(task: Task, folder = ""): string[] {
  const entries = task.readdir(folder === "" ? "/" : folder);
  if (isErrno(entries)) return [`${folder} ${entries.code}`];
  const rows: string[] = [];
  for (const { name } of entries) {
    if (name.startsWith(".wh..wh.")) continue;
    const at = `${folder}/${name}`;
    const of = task.lstat(at);
    if (isErrno(of)) return [`${at} ${of.code}`];
    const type = of.mode & 0o170000;
    const shown = type === 0o040000 ? "" : type === 0o120000 ? must(task.readlink(at)) : text(task, at);
    rows.push(`${at} ${of.mode.toString(8)} ${shown}`, ...(type === 0o040000 ? tree(task, at) : []));
  }
  return rows.sort();
}

/** A task in a folder of the host. */
function within(lab: AufsLab, folder: string): Task {
  const task = must(lab.task.chroot(folder));
  task.umask = 0;
  return task;
}

/** Mounts a chain of branches, topmost first. @param permissions - of those below the first. */
function enter(
  lab: AufsLab,
  chain: readonly string[],
  permissions: readonly string[] = [],
  more = "",
): ReturnType<AufsLab["enter"]> {
  const branches = chain.map((branch, index) => `${branch}=${index === 0 ? "rw" : (permissions[index] ?? "ro+wh")}`);
  return lab.enter(`br:${branches.join(":")},dirperm1${more}`);
}

test("Random calls over up to four branches end as on one filesystem; lower branches keep every byte; a new mount shows the same", () => {
  fc.assert(
    fc.property(fc.array(fc.array(call, { maxLength: 14 }), { minLength: 2, maxLength: 4 }), access, (layers, udba) => {
      const lab = new AufsLab();
      const flat = within(lab, lab.branch("flat"));
      let chain: string[] = [];
      for (const [index, steps] of layers.entries()) {
        chain = [lab.branch(`l${index}`), ...chain];
        const below = chain.slice(1).map((branch) => [branch, tree(lab.task, branch)]);
        const { task, fs, path: target } = enter(lab, chain, [], udba);
        for (const step of steps) {
          const answer = make(task, step);
          if (answer !== "EXDEV") expect([step, answer]).toEqual([step, make(flat, step)]);
          fs.check();
        }
        expect(tree(task)).toEqual(tree(flat));
        task.exit();
        expect(lab.host.unmount(target)).toBeUndefined();
        const again = enter(lab, chain);
        expect(tree(again.task)).toEqual(tree(flat));
        again.fs.check();
        again.task.exit();
        expect(lab.host.unmount(again.path)).toBeUndefined();
        expect(chain.slice(1).map((branch) => [branch, tree(lab.task, branch)])).toEqual(below);
      }
    }),
    runs(40),
  );
});

test("Hard links of a lower branch stay one file while the mount lives, whatever is done to their names", () => {
  fc.assert(
    fc.property(fc.array(linkCall, { maxLength: 16 }), fc.array(linkCall, { maxLength: 16 }), access, (first, then, udba) => {
      const lab = new AufsLab();
      const [low, flatBranch] = [lab.branch("low"), lab.branch("flat")];
      const flat = within(lab, flatBranch);
      const below = within(lab, low);
      for (const step of first) expect(make(below, step)).toBe(make(flat, step));
      const before = tree(lab.task, low);
      const { task, fs } = enter(lab, [lab.branch("rw"), low], [], udba);
      for (const step of then) {
        const answer = make(task, step);
        if (answer !== "EXDEV") expect([step, answer]).toEqual([step, make(flat, step)]);
        fs.check();
      }
      expect(tree(task)).toEqual(tree(flat));
      fs.check();
      expect(tree(lab.task, low)).toEqual(before);
    }),
    runs(80),
  );
});

const permission = fc.constantFrom("rw", "rw", "ro+wh");
const policies = fc.constantFrom(
  "create=tdp,cpup=tdp",
  "create=rr,cpup=bup",
  "create=rr,cpup=bu",
  "create=mfs:0,cpup=tdp",
  "create=pmfs:0,cpup=bup",
  "create=mfsrr:1000000000000,cpup=bu",
  "create=tdmfs:0,cpup=tdp",
  "create=pmfsrr:1000000000000:0,cpup=tdp",
);
/** What an administrator does in between: the chain keeps a writable top. */
const change = fc.record({ kind: fc.constantFrom("none", "mod", "del", "add"), at: fc.nat(3), permission });

/** Makes calls on a mount and on the plain tree, which must answer the same but for EXDEV. */
function compare({ task, fs }: ReturnType<AufsLab["enter"]>, flat: Task, steps: readonly Call[]): void {
  for (const step of steps) {
    const answer = make(task, step);
    if (answer !== "EXDEV") expect([step, answer]).toEqual([step, make(flat, step)]);
    fs.check();
  }
  expect(tree(task)).toEqual(tree(flat));
}

/** Branches that were written one above the other. @returns them, topmost first */
function writtenChain(lab: AufsLab, flat: Task, layers: readonly (readonly Call[])[]): string[] {
  let chain: string[] = [];
  for (const [index, steps] of layers.entries()) {
    chain = [lab.branch(`b${index}`), ...chain];
    const mounted = enter(lab, chain);
    compare(mounted, flat, steps);
    mounted.task.exit();
    expect(lab.host.unmount(mounted.path)).toBeUndefined();
  }
  return chain;
}

test(
  "Random calls over several writable branches end as on one filesystem under every policy, while branches come, go and change",
  () => {
    const phase = fc.record({ steps: fc.array(call, { maxLength: 10 }), change });
    const layer = fc.record({ steps: fc.array(call, { maxLength: 8 }), permission });
    fc.assert(
      fc.property(
        fc.array(layer, { minLength: 3, maxLength: 4 }),
        policies,
        fc.array(phase, { maxLength: 4 }),
        (layers, policy, phases) => {
          const lab = new AufsLab();
          const flat = within(lab, lab.branch("flat"));
          const written = layers.map(({ steps }) => steps);
          const chain = writtenChain(lab, flat, written);
          const permissions = ["rw", ...layers.slice(1).map((one) => one.permission)];
          const mounted = enter(lab, chain, permissions, `,${policy}`);
          let deleted = false;
          for (const [index, { steps, change: then }] of phases.entries()) {
            compare(mounted, flat, steps);
            const remount = changeChain(lab, chain, permissions, { ...then, index });
            if (remount !== "") expect(lab.host.remount(mounted.path, remount)).toBeUndefined();
            mounted.fs.check();
            deleted = remount.startsWith("del");
            if (deleted) break;
            expect(tree(mounted.task)).toEqual(tree(flat));
          }
          const shown = tree(mounted.task);
          mounted.task.exit();
          expect(lab.host.unmount(mounted.path)).toBeUndefined();
          const again = enter(lab, chain, permissions);
          expect(tree(again.task)).toEqual(shown);
          if (!deleted) expect(shown).toEqual(tree(flat));
          again.fs.check();
        },
      ),
      runs(120),
    );
  },
  PROPERTY_MILLISECONDS,
);

/** Changes a chain below its first branch, as a remount with the answer does. */
function changeChain(
  lab: AufsLab,
  chain: string[],
  permissions: string[],
  { kind, at, permission: next, index }: { kind: string; at: number; permission: string; index: number },
): string {
  const place = 1 + (at % Math.max(1, chain.length - 1));
  const branch = chain[place];
  if (kind === "none" || branch === undefined) return "";
  if (kind === "add") {
    chain.splice(place, 0, lab.branch(`added${index}`));
    permissions.splice(place, 0, next);
    return `add:${place}:/b/added${index}=${next}`;
  }
  if (kind === "mod") {
    permissions[place] = next;
    return `mod:${branch}=${next}`;
  }
  chain.splice(place, 1);
  permissions.splice(place, 1);
  return `del:${branch}`;
}
