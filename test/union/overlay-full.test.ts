/**
 * Copy-up, removal and renames where the upper layer's filesystem has no space left, or nearly none: what the call answers, what stays in the upper and the
 * work directory, whether the mount goes on, and the same call again once there is space; each step with what Linux 6.18 answered on ext4 and xfs
 * (test/data/overlay-full.json, which test/kernel/overlay-asked.py --full records).
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { act, prepared, type Step } from "./asked-steps.ts";

const CASES = JSON.parse(readFileSync(new URL("../data/overlay-full.json", import.meta.url), "utf8")) as Record<
  string,
  readonly (readonly [step: Step, told: string])[]
>;

test.each(Object.entries(CASES))("%s: each step is answered as the kernel answered it", (_name, steps) => {
  const host = prepared();
  const got = steps.map(([step]) => {
    const answer = act(host, step);
    host.check();
    return [step, answer];
  });
  expect(got).toEqual(steps);
});
