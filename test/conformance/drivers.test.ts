/**
 * Every check on every driver. Where a driver is known to behave otherwise, as the real one does, known-differences.json says so with the
 * reason, and the check must fail: a difference that is gone is taken off the list.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { CHECKS } from "../../src/testing/conformance.ts";
import { labOn } from "../drivers/docker-host.ts";

interface KnownDifference {
  readonly driver: string;
  readonly check: string;
  readonly reason: string;
}

const KNOWN: readonly KnownDifference[] = JSON.parse(
  readFileSync(new URL("known-differences.json", import.meta.url), "utf8"),
) as readonly KnownDifference[];

describe.each([...DRIVERS.keys()])("%s", (name) => {
  test.each(CHECKS)("$name", ({ name: check, run, ground }) => {
    const known = KNOWN.some((one) => one.driver === name && one.check === check);
    const own = DRIVERS.get(name)?.backings?.[0];
    const lab = own === undefined ? labOn(name, ground?.backing, ground?.mount) : labOn(name, own);
    if (known) expect(() => run(lab)).toThrow();
    else run(lab);
    lab.host.check();
    lab.end();
    expect(lab.host.mountedBelow("/var/lib/docker")).toEqual(["/var/lib/docker"]);
  });
});

test("every known difference names a driver and a check that exist", () => {
  for (const { driver, check } of KNOWN) {
    expect([...DRIVERS.keys()]).toContain(driver);
    expect(CHECKS.map(({ name }) => name)).toContain(check);
  }
});
