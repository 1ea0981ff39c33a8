/**
 * Random histories of files, subvolumes, snapshots and shared extents, made at once here and on a btrfs of this machine's kernel: after each step the data that is
 * used agrees to the byte, and so do the nodes, and what each quota group counts.
 * COWLAB_KERNEL_RUNS says how many tests in all; here a hundredth.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { BtrfsLab, must } from "../cow/btrfs-lab.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 100);
const PROGRAM = fileURLToPath(new URL("btrfs-space.py", import.meta.url));

interface Step {
  readonly do: string;
  readonly path: string;
  readonly other: string;
  readonly offset: number;
  readonly length: number;
}

interface Figures {
  readonly data: number;
  readonly metadata: number;
  /** Of each quota group by id: referenced and exclusive bytes. */
  readonly groups: Readonly<Record<string, readonly [number, number]>>;
}

const VOLUMES = ["v0", "v1", "v2", "v3"];
const volume = fc.constantFrom(...VOLUMES);
const file = fc.tuple(volume, fc.nat(3)).map(([of, n]) => `${of}/f${n}`);
const sectors = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most }).map((n) => n * 4096);
const step = (of: Partial<{ [K in keyof Step]: fc.Arbitrary<Step[K]> }> & { do: fc.Arbitrary<string> }): fc.Arbitrary<Step> =>
  fc.record({ path: fc.constant(""), other: fc.constant(""), offset: fc.constant(0), length: fc.constant(0), ...of });

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: step({
      do: fc.constant("write"),
      path: file,
      offset: fc.nat(200_000),
      length: fc.integer({ min: 1, max: 200_000 }),
    }),
  },
  { weight: 2, arbitrary: step({ do: fc.constant("write"), path: file, length: fc.integer({ min: 1, max: 3000 }) }) },
  step({ do: fc.constant("truncate"), path: file, length: fc.nat(200_000) }),
  step({ do: fc.constant("unlink"), path: file }),
  step({ do: fc.constant("clone"), path: file, other: file }),
  step({ do: fc.constantFrom("punch", "fallocate"), path: file, offset: sectors(20), length: sectors(20) }),
  { weight: 2, arbitrary: step({ do: fc.constant("snapshot"), path: volume, other: volume }) },
  step({ do: fc.constant("delete"), path: volume }),
  step({
    do: fc.constant("many"),
    path: volume,
    offset: fc.integer({ min: 10, max: 60 }),
    length: fc.constantFrom(100, 1500, 3000),
  }),
  step({ do: fc.constant("unlink-many"), path: volume, offset: fc.constant(40) }),
);

/** What the kernel tells, first of a fresh filesystem with quotas, then after each step. */
function askKernel(steps: readonly Step[]): Figures[] {
  const script = `d=$(mktemp -d) && cd "$d" && truncate -s 900M image && mkfs.btrfs -q image >/dev/null && mkdir m && mount -o loop image m && python3 "$1" "$2" m; umount m; rm -rf "$d"`;
  const words = ["--mount", "sh", "-c", script, "sh", PROGRAM, JSON.stringify(steps)];
  const { stdout, stderr } = spawnSync("unshare", words, { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Figures[];
}

function onFile(lab: BtrfsLab, path: string, flags: number, work: (fd: number) => void): void {
  const fd = lab.host.task.open(path, flags, 0o644);
  if (isErrno(fd)) return;
  work(fd);
  lab.host.task.close(fd);
}

function make(lab: BtrfsLab, { do: what, path, other, offset, length }: Step, salt: number): void {
  const { task } = lab.host;
  const [at, to] = [`/m/${path}`, `/m/${other}`];
  if (what === "subvolume") must(lab.subvolume(at));
  // The tool makes the snapshot inside where a folder of that name is; the kernel's answer is not asked for then.
  else if (what === "snapshot") lab.snapshot(at, to);
  else if (what === "delete") lab.remove(at);
  else if (what === "write") lab.write(at, Content.pattern(salt, length), offset);
  else if (what === "truncate") task.truncate(at, length);
  else if (what === "unlink") task.unlink(at);
  else if (what === "clone") onFile(lab, at, O_RDONLY, (from) => onFile(lab, to, O_RDWR | O_CREAT, (fd) => task.clone(from, fd)));
  else if (what === "punch")
    onFile(lab, at, O_RDWR, (fd) => task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
  else if (what === "fallocate") onFile(lab, at, O_RDWR, (fd) => task.fallocate(fd, 0, offset, length));
  else if (what === "many") for (let n = 0; n < offset; n++) lab.write(`${at}/n${n}`, Content.pattern(salt + n, length));
  else for (let n = 0; n < offset; n++) if (isErrno(task.unlink(`${at}/n${n}`))) return;
}

function ourFigures(lab: BtrfsLab): Figures {
  const { data, metadata } = lab.settle();
  lab.fs.check();
  const groups = [...(lab.fs.state.quotas?.groups.values() ?? [])];
  return {
    data,
    metadata,
    groups: Object.fromEntries(groups.map(({ id, referenced, exclusive }) => [id, [referenced, exclusive]])),
  };
}

/** Names of snapshots that are taken: the tool would put another one inside. */
function withoutNesting(steps: readonly Step[]): Step[] {
  const there = new Set(["v0"]);
  const kept: Step[] = [{ do: "subvolume", path: "v0", other: "", offset: 0, length: 0 }];
  for (const one of steps) {
    if (one.do === "snapshot" && (there.has(one.other) || !there.has(one.path))) continue;
    if (one.do === "snapshot") there.add(one.other);
    if (one.do === "delete") there.delete(one.path);
    kept.push(one);
  }
  return kept;
}

const why = kernelObstacle() ?? (canMake("btrfs") ? undefined : "no btrfs can be made");
if (why !== undefined) process.stderr.write(`test/kernel, space of btrfs, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test("each step of a history takes and gives back the same data, and quota groups count it", () => {
    fc.assert(
      fc.property(fc.array(STEP, { minLength: 5, maxLength: 30, size: "max" }), (drawn) => {
        const steps = withoutNesting(drawn);
        const theirs = askKernel(steps);
        const lab = new BtrfsLab({ size: MIB(900) });
        lab.quota();
        for (const [index, then] of theirs.entries()) {
          const one = steps[index - 1];
          if (one !== undefined) make(lab, one, index * 100);
          const now = ourFigures(lab);
          const what = `step ${index} ${JSON.stringify(one)}`;
          expect(now, what).toEqual(then);
        }
      }),
      { numRuns: RUNS },
    );
  });
});
