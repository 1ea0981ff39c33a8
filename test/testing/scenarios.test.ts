/** Scenarios that properties make: each is a file that is taken, built and run on the drivers it names, and a property's counterexample is small. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actionOf } from "../../src/fuzz/counterexample.ts";
import { MODELLED } from "../../src/fuzz/vocabulary.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";
import { type ScenarioOptions, scenario } from "../../src/testing/scenarios.ts";
import { PROPERTY_MILLISECONDS, runs } from "../runs.ts";

const run = (text: string) => runScenario(loadScenario(text, "generated.yaml"), { makeWorld }).drivers;

describe("a generated scenario", () => {
  test("is well formed, and no driver stops while its image is built", { timeout: PROPERTY_MILLISECONDS }, () => {
    const property = fc.property(scenario(), (text) => {
      for (const { driver, stopped } of run(text))
        expect([driver, stopped?.phase, stopped?.why]).toEqual([driver, undefined, undefined]);
    });
    fc.assert(property, runs(6));
  });

  test("runs twice with the same figures", { timeout: PROPERTY_MILLISECONDS }, () => {
    fc.assert(
      fc.property(scenario({ stepsMax: 10 }), (text) => {
        expect(run(text)).toEqual(run(text));
      }),
      runs(2),
    );
  });

  test("can have every call of the vocabulary, with everything that it may be given", () => {
    const opens = ["f1", "f2", "f3"].map((as) => ({ in: "c", do: { open: "/a", as } }));
    const calls = MODELLED.words.flatMap(({ call, arguments: given }) => {
      const lists = Object.entries(given);
      const most = Math.max(1, ...lists.map(([, values]) => values.length));
      return Array.from({ length: most }, (_, n) => ({
        call,
        ...Object.fromEntries(lists.map(([key, values]) => [key, values[n % values.length] ?? null])),
      }));
    });
    const steps = [...opens, ...calls.map((step) => ({ in: "c", do: actionOf(step) }))];
    const [images, containers] = [{ app: { layers: [{ mkdir: "/d" }] } }, { c: { image: "app" } }];
    const text = JSON.stringify({ version: 1, name: "all", about: "all", images, containers, steps });
    expect(loadScenario(text, "all.yaml").steps).toHaveLength(steps.length);
  });

  test("uses every driver that was allowed, several layers, scripts and time", () => {
    const all = fc.sample(scenario(), { seed: 1, numRuns: 40 }).join("");
    for (const word of ["aufs", "btrfs", "devicemapper", "overlay2", "vfs", "zfs", "xfs", "sh", "tick", "diff", "drop_caches"])
      expect(all).toContain(word);
    expect(fc.sample(scenario({ drivers: ["vfs"] }), { seed: 1, numRuns: 20 }).join("")).not.toContain("overlay");
  });
});

/** A scenario that falsifies a property, shrunk. */
function counterexample(options: ScenarioOptions, holds: (text: string) => boolean): string {
  const { counterexample: found } = fc.check(fc.property(scenario(options), holds), { seed: 1, numRuns: 300 });
  return found?.[0] ?? "";
}

describe("a scenario that falsifies a property shrinks", () => {
  test("to one driver, one layer and the one step that is refused", { timeout: PROPERTY_MILLISECONDS }, () => {
    const vocabulary = { ...MODELLED, words: MODELLED.words.filter(({ call }) => call === "rename" || call === "mkdir") };
    const small = counterexample({ drivers: ["vfs", "overlay2"], vocabulary }, (text) =>
      run(text).every(({ steps }) => steps.every(({ answer }) => !("errno" in answer) || answer.errno !== "EXDEV")),
    );
    const { drivers, images, steps } = loadScenario(small, "small.yaml");
    expect(drivers.map(({ driver }) => driver)).toEqual(["overlay2"]);
    expect(images.map(({ layers }) => layers.length)).toEqual([1]);
    expect(steps.length).toBeLessThanOrEqual(2);
    expect(small).toContain("rename");
  });
});
