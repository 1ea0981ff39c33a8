/** The dm.* options as Docker reads them (moby daemon/graphdriver/devmapper/deviceset.go, NewDeviceSet, v20.10 and v23). */
import { describe, expect, test } from "vitest";
import { type DevmapperOptions, parseDevmapperOptions } from "../../src/drivers/devicemapper/options.ts";
import { DOCKER_PROFILES } from "../../src/drivers/docker-profile.ts";
import { must, said } from "./docker-host.ts";

const read = (...words: string[]): DevmapperOptions => must(parseDevmapperOptions(words));
const refused = (word: string): string => said(parseDevmapperOptions([word]));

test.each([
  ["dm.min_free_space=10", "devmapper: Option dm.min_free_space requires % suffix"],
  ["dm.min_free_space=x%", 'strconv.ParseUint: parsing "x": invalid syntax'],
  ["dm.min_free_space=100%", "devmapper: Invalid value 100% for option dm.min_free_space"],
  ["dm.thinp_percent=all", 'could not parse `dm.thinp_percent=all`: strconv.ParseUint: parsing "all": invalid syntax'],
  ["dm.thinp_percent=100%", "dm.thinp_percent must be greater than 0 and less than 100"],
  ["dm.thinp_autoextend_percent=101", "dm.thinp_autoextend_percent must be greater than 0 and less than 100"],
  ["dm.directlvm_device_force=maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'],
  ["dm.libdm_log_level=8", "dm.libdm_log_level must be in range [2,7]"],
  ["dm.libdm_log_level=x", 'could not parse `dm.libdm_log_level=x`: strconv.ParseInt: parsing "x": invalid syntax'],
  ["dm.xfs_nospace_max_retries=-1", 'strconv.ParseUint: parsing "-1": invalid syntax'],
])("%s is refused in Docker's words", (word, words) => {
  expect(refused(word)).toBe(words);
});

test.each(["dm.thinp_autoextend_percent=100", "dm.thinp_autoextend_threshold=100%", "dm.directlvm_device_force=1"])(
  "%s is taken",
  (word) => {
    expect(read(word)).toEqual(read());
  },
);

describe("deferred deletion", () => {
  test("needs deferred removal, also where nobody asked for it but the default", () => {
    const words = /^devmapper: Deferred deletion can not be enabled as deferred removal is not enabled\./;
    expect(refused("dm.use_deferred_removal=false")).toMatch(words);
    expect(read("dm.use_deferred_removal=false", "dm.use_deferred_deletion=false")).toMatchObject({
      deferredRemoval: false,
      deferredDeletion: false,
    });
  });

  test("is off by default in 17.06, where removal can be given alone", () => {
    const docker = DOCKER_PROFILES.get("17.06");
    expect(parseDevmapperOptions(["dm.use_deferred_removal=true"], docker)).toMatchObject({ deferredDeletion: false });
    expect(said(parseDevmapperOptions(["dm.use_deferred_deletion=true"], docker))).toContain("deferred removal is not enabled");
  });
});

test.each([
  ["loop files", [], true],
  ["a pool that is there", ["dm.thinpooldev=pool"], false],
  ["devices that are given", ["dm.datadev=/dev/sdb", "dm.metadatadev=/dev/sdc"], false],
  ["a device of which Docker makes the pool", ["dm.directlvm_device=/dev/sdb"], true],
])("a removed layer's blocks are discarded by default on %s: %s, %s", (_, words, discard) => {
  expect(read(...words).discard).toBe(discard);
});
