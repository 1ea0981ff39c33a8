/**
 * Campaigns beside a kernel, with the simulator itself in the kernel's place: it agrees with itself, and one that lies is found out in few steps.
 */
import { expect, test } from "vitest";
import { isList, isRecord, type Json, sameJson } from "../../src/calls/json.ts";
import { type AskKernel, kernelFinding, kernelGrounds, kernelTrace, runBesideKernel } from "../../src/fuzz/beside-kernel.ts";
import type { Script } from "../../src/fuzz/script.ts";
import { replay } from "../../src/replay/replay.ts";
import { parseTrace } from "../../src/replay/trace.ts";

const GROUNDS = kernelGrounds("overlay2", (type) => type === "ext4");
const UNSAID: Json = { value: "said by nobody" };

/** What the simulator answers, in the kernel's form: all that differs from what nobody says. */
const simulated: AskKernel = async (script) => {
  const asked = parseTrace("asked", kernelTrace(script, Array<Json>(script.steps.length).fill(UNSAID), "asked"));
  const answers = Array<Json>(script.steps.length).fill({ ok: true });
  for (const { line, got } of replay([asked]).differing) answers[line - 2] = got;
  return answers;
};

/** A kernel on which one call of `call` that went well does nothing but say so. */
const lying =
  (call: string, errno: string): AskKernel =>
  async (script: Script) => {
    const answers = [...(await simulated(script))];
    const index = script.steps.findIndex((step, at) => step["call"] === call && sameJson(answers[at], { ok: true }));
    return index < 0 ? answers : answers.with(index, { errno });
  };

test("a kernel that answers as the simulator does is agreed with, and the same seed asks it the same", async () => {
  const run = () => runBesideKernel({ grounds: GROUNDS, ask: simulated, seed: 3, operations: 250 });
  const { figures, counterexample } = await run();
  expect(counterexample).toBeUndefined();
  expect(figures.operations).toBeGreaterThanOrEqual(250);
  expect(figures.answers).toMatchObject({ "mkdir EEXIST": expect.any(Number), "tree ok": figures.scripts });
  expect(await run()).toEqual({ figures });
});

test("two shards ask other scripts", async () => {
  const run = (shard: number) =>
    runBesideKernel({ grounds: GROUNDS, ask: simulated, seed: 3, operations: 200, shard, shards: 2 });
  expect(await run(0)).not.toEqual(await run(1));
});

test("one that answers otherwise is found, in as many steps as it takes, and the trace shows it again", async () => {
  const ask = lying("symlink", "EDQUOT");
  const { counterexample } = await runBesideKernel({ grounds: GROUNDS.slice(0, 1), ask, seed: 1, operations: 1000 });
  expect(counterexample?.script.steps.map(({ lab, call }) => lab ?? call)).toEqual(["layer", "symlink"]);
  expect(counterexample?.finding.message).toContain('not {"errno":"EDQUOT"} as the kernel');
  const [differing, ...others] = replay([parseTrace("again", counterexample?.trace ?? "")]).differing;
  expect(differing).toMatchObject({ line: 3, expected: { errno: "EDQUOT" }, got: { ok: true } });
  expect(others).toEqual([]);
});

test("a finding tells the step by its place in the script", async () => {
  const steps = [
    { lab: "layer", name: "L0" },
    { on: "L0", call: "mkdir", path: "/d" },
    { on: "L0", call: "rmdir", path: "/d" },
  ];
  const script: Script = { ground: GROUNDS[0] ?? { target: "vfs", backing: "ext4", mountOptions: "" }, steps };
  const answers = [{ ok: true }, { ok: true }, { errno: "EBUSY" }];
  expect(kernelFinding(script, answers)?.index).toBe(2);
  expect(kernelFinding(script, await simulated(script))).toBeUndefined();
});

test("drivers whose engine no kernel has are not asked anywhere", () => {
  for (const driver of ["aufs", "zfs", "devicemapper", "overlay"]) expect(kernelGrounds(driver, () => true)).toEqual([]);
  expect(kernelGrounds("btrfs", () => false)).toEqual([]);
  expect(kernelGrounds("overlay2", () => true)).toHaveLength(16);
});

test("a kernel whose upper folder differs is found too, and what is left of the script still has the container that it is of", async () => {
  // Its upper folder lacks a row wherever the simulator's has a whiteout of /d.
  const ask: AskKernel = async (script) => {
    const answers = await simulated(script);
    return answers.map((answer, at) => {
      const isUpper = script.steps[at]?.["lab"] === "upper" && isRecord(answer) && isList(answer["value"]);
      if (!isUpper) return answer;
      return { value: (answer["value"] as readonly Json[]).filter((row) => !JSON.stringify(row).includes('"whiteout"')) };
    });
  };
  const { counterexample } = await runBesideKernel({ grounds: GROUNDS.slice(0, 1), ask, seed: 2, operations: 2000 });
  const steps = counterexample?.script.steps ?? [];
  expect(steps.slice(-1)).toEqual([{ lab: "upper", name: "C" }]);
  expect(steps.some(({ lab, name }) => lab === "container" && name === "C")).toBe(true);
  expect(steps.length).toBeLessThanOrEqual(8);
});
