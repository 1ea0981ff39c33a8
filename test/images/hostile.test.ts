/**
 * Archives made to hurt: each is refused with its own code or contained, in both modes, and nothing half of it stays. What they cost is measured by
 * `npm run bench:limits`.
 */
import { describe, expect, test } from "vitest";
import { isErrno } from "../../sim/core/errno.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import { daemonOn } from "./daemons.ts";
import { entryCases } from "./hostile-entries.ts";
import { allHostileCases } from "./hostile-forms.ts";
import { outcome } from "./hostile-outcome.ts";

/** What stood on the host before, outside of Docker's folder. */
const SENTINEL = "/etc";

/** Every path of the host outside of Docker's folder. */
function outside(daemon: Daemon): string[] {
  const { task } = daemon.host;
  const out: string[] = [];
  const visit = (folder: string): void => {
    const rows = task.readdir(folder === "" ? "/" : folder);
    if (isErrno(rows)) return;
    for (const { name } of rows) {
      const path = `${folder}/${name}`;
      if (path === "/var/lib/docker") continue;
      out.push(path);
      visit(path);
    }
  };
  visit("");
  return out.sort();
}

/** The driver that unpacks into a folder of changes. */
const NATIVE = "overlay2";

const CASES = allHostileCases();

test("there are at least 150 of them, each with a name of its own", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(150);
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
});

describe.each(["overlay2", "vfs"])("%s", (driver) => {
  const daemon = daemonOn(driver);
  daemon.host.task.mkdir(SENTINEL, 0o755);
  const before = outside(daemon);

  test.each(driver === NATIVE ? CASES : entryCases())("strict: $name → $code", { timeout: 20_000 }, async (hostile) => {
    const layers = daemon.layers.layers.length;
    const code = await outcome(daemon, hostile.archive(), "strict");
    const expected = daemon.driver.name === NATIVE ? (hostile.codeNative ?? hostile.code) : hostile.code;
    expect(code).toBe(expected);
    if (code !== undefined) {
      expect(daemon.images.images).toEqual([]);
      expect(daemon.layers.layers.length).toBe(layers);
    }
    for (const { config } of daemon.images.images) daemon.images.delete(config.id);
    expect(daemon.layers.layers).toEqual([]);
    expect(outside(daemon)).toEqual(before);
    expect(Reflect.get({}, "polluted")).toBe(undefined);
    daemon.images.check();
  });

  test.each(driver === NATIVE ? CASES : [])("docker: $name is refused or contained", { timeout: 20_000 }, async (hostile) => {
    await outcome(daemon, hostile.archive(), "docker");
    for (const { config } of daemon.images.images) daemon.images.delete(config.id);
    expect(daemon.layers.layers).toEqual([]);
    expect(outside(daemon)).toEqual(before);
    daemon.images.check();
  });

  test("the host's filesystems add up after all of it", () => {
    daemon.host.check();
  });
});
