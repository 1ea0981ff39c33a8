/** What the options that a scenario gives a driver come to. */
import { describe, expect, test } from "vitest";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario, type ScenarioRun } from "../../src/scenario/run.ts";

function run(drivers: string, steps: string, host = "{ device: 2GiB }"): ScenarioRun {
  const text = `version: 1
name: options
about: A driver with options.
drivers: [${drivers}]
host: ${host}
images: { app: { layers: [[{ mkdir: /d }, { write: /d/f, text: x }]] } }
containers: { c: { image: app } }
steps: [${steps}]
`;
  return runScenario(loadScenario(text, "options.yaml"), { makeWorld });
}

const FILL = "{ in: c, do: { write: /big, size: 8MiB, content: random } }";

describe("overlay2's mount options", () => {
  test.each(["4.10", "4.12"])("do without Docker's own index=off on Linux %s, which does not know it", (kernel) => {
    const made = run(
      `{ driver: overlay2, kernel: "${kernel}", options: { redirect_dir: on } }`,
      "{ in: c, do: { rename: /d, to: /e } }",
    );
    expect(made.drivers.map(({ stopped, steps }) => [stopped, steps[0]?.answer])).toEqual([[undefined, { ok: true }]]);
  });
});

describe("a default size of containers", () => {
  test.each(["overlay2", "vfs"])("holds for %s on xfs with project quotas", (driver) => {
    const host = "{ backing: xfs, mount: pquota, device: 2GiB }";
    const limited = `{ driver: ${driver}, options: { size: 4MiB } }, { id: free, driver: ${driver} }`;
    const made = run(limited, FILL, host);
    expect(made.drivers.map(({ steps }) => steps[0]?.answer)).toEqual([{ errno: "ENOSPC" }, { ok: true }]);
  });

  test("limits no layer of an image that is pulled, but a build's containers", () => {
    const host = "{ backing: xfs, mount: pquota, device: 2GiB }";
    const text = (build: string): string => `version: 1
name: layers
about: An image larger than a container may be.
drivers: [{ driver: overlay2, options: { size: 4MiB } }]
host: ${host}
images: { app: { ${build}layers: [{ write: /f, size: 8MiB, content: random }] } }
containers: { c: { image: app } }
steps: []
`;
    const stopped = ["", "build: classic, "].map(
      (build) => runScenario(loadScenario(text(build), "layers.yaml"), { makeWorld }).drivers[0]?.stopped?.why,
    );
    expect(stopped).toEqual([undefined, expect.stringContaining("ENOSPC")]);
  });

  test("is refused by overlay2 in Docker's words where there are none", () => {
    const [made] = run("{ driver: overlay2, options: { size: 4MiB } }", FILL).drivers;
    expect(made?.stopped?.why).toContain("Storage Option overlay2.size only supported for backingFS XFS. Found extfs");
  });
});

test("btrfs's least size of a container holds", () => {
  const text = `version: 1
name: least
about: A container below the least size.
drivers: [{ driver: btrfs, options: { min_space: 64MiB } }]
images: { app: { layers: [{ mkdir: /d }] } }
containers: { c: { image: app, size: 8MiB } }
steps: []
`;
  const [made] = runScenario(loadScenario(text, "least.yaml"), { makeWorld }).drivers;
  expect(made?.stopped?.why).toContain("btrfs: storage size cannot be less than 67.11MB");
});
