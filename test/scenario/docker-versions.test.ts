/**
 * What versions of Docker differ in (spec/drivers.md 11).
 */
import { expect, test } from "vitest";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario, type ScenarioRun } from "../../src/scenario/run.ts";

function run(drivers: string, steps: string, container = "{ image: app }"): ScenarioRun {
  const text = `version: 1
name: versions
about: The same workload under several Dockers.
drivers: ${drivers}
host: { device: 2GiB }
images: { app: { layers: [[{ mkdir: /d }, { write: /d/f, text: x }]] } }
containers: { c: ${container} }
steps: ${steps}
`;
  return runScenario(loadScenario(text, "versions.yaml"), { makeWorld });
}

const OLD_AND_NEW = `[{ id: old, driver: overlay2, docker: "17.06" }, { id: new, driver: overlay2, docker: "18.09" }]`;

test("before 18.06 docker diff on overlay2 takes a directory that was made again for a deleted one (moby#37880)", () => {
  const made = run(OLD_AND_NEW, "[{ in: c, do: { sh: rm -r /d && mkdir /d } }, { do: { diff: c } }]");
  expect(made.drivers.map(({ steps }) => steps[1]?.answer)).toEqual([{ value: ["D /d"] }, { value: ["C /d", "D /d/f"] }]);
});

test("before 18.06 docker diff on overlay2 leaves out the unchanged directory above a changed file, but not above a deleted one", () => {
  const changed = "{ in: c, do: { append: /d/f, text: more } }, { do: { diff: c } }";
  const made = run(OLD_AND_NEW, `[${changed}, { in: c, do: { unlink: /d/f } }, { do: { diff: c } }]`);
  const [old, present] = made.drivers.map(({ steps }) => [steps[1]?.answer, steps[3]?.answer]);
  expect(old).toEqual([{ value: ["C /d/f"] }, { value: ["C /d", "D /d/f"] }]);
  expect(present).toEqual([{ value: ["C /d", "C /d/f"] }, { value: ["C /d", "D /d/f"] }]);
});

test("a driver that a Docker has no more is not run, and the reason is told", () => {
  const made = run('[{ id: gone, driver: overlay, docker: "24.0" }, { id: there, driver: overlay, docker: "20.10" }]', "[]");
  expect(made.missing).toEqual([{ id: "gone", why: "Docker 24.0 has no driver overlay" }]);
  expect(made.drivers.map(({ id }) => id)).toEqual(["there"]);
});

test("vfs keeps a container's size from 17.12 on", () => {
  const xfs = (docker: string): string => `{ id: "d${docker}", driver: vfs, backing: xfs, docker: "${docker}" }`;
  const text = `version: 1
name: size
about: A container with a size on vfs.
drivers: [${xfs("17.06")}, ${xfs("18.09")}]
host: { backing: xfs, device: 2GiB, mount: pquota }
images: { app: { layers: [{ mkdir: /d }] } }
containers: { c: { image: app, size: 10MiB } }
steps: []
`;
  const made = runScenario(loadScenario(text, "size.yaml"), { makeWorld });
  expect(made.drivers.map(({ stopped }) => stopped?.phase)).toEqual(["create", undefined]);
});

test("an unknown Docker is refused with those that are known", () => {
  expect(() => run('[{ id: a, driver: vfs, docker: "1.5" }]', "[]")).toThrow(
    'no Docker "1.5" is known; known: 17.06, 18.09, 20.10, 24.0, 29',
  );
});
