import { expect, test } from "vitest";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";

/** What each command of zpool(8) answers, on a driver. */
function answersOn(driver: string, commands: readonly string[]): unknown[] {
  const steps = commands.map((command) => `  - { do: { zpool: ${command} } }\n`).join("");
  const text = `version: 1
name: disks
about: The disks of a pool.
drivers: [${driver}]
host: { device: 1GiB }
images: { app: { layers: [{ write: /data, size: 1MiB }] } }
containers: { c: { image: app } }
steps:
${steps}`;
  const run = runScenario(loadScenario(text, "disks.yaml"), { makeWorld });
  return run.drivers.flatMap(({ steps: done }) => done.map(({ answer }) => answer));
}

test("a step asks zpool(8) of the pool's disks", () => {
  const [scrubbed, status, alone] = answersOn("zfs", ["scrub zp", "status zp", "offline zp vda"]);
  expect(scrubbed).toEqual({ value: "" });
  expect(status).toMatchObject({ value: expect.stringContaining("scan: scrub repaired 0B in 00:00:00 with 0 errors on") });
  expect(status).toMatchObject({ value: expect.stringMatching(/vda +ONLINE +0 +0 +0/) });
  expect(alone).toEqual({ errno: "cannot offline vda: no valid replicas" });
});

test("where no zfs is, zpool(8) says so", () => {
  expect(answersOn("overlay2", ["status zp"])).toEqual([{ errno: "The ZFS modules are not loaded." }]);
});
