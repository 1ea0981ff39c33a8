/** What `docker info` says of each driver, held to what Docker 20.10.24 printed on real kernels (test/data/docker/info.json). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { GIB } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { driverInfo, driverInfoText } from "../../src/drivers/docker-info.ts";
import { prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { OVERLAY2 } from "../../src/drivers/overlay2.ts";
import { dockerHost, driverOn, must } from "./docker-host.ts";

interface Recorded {
  readonly rows: readonly string[];
  readonly warnings: readonly string[];
}

const RECORDED = JSON.parse(readFileSync(new URL("../data/docker/info.json", import.meta.url), "utf8")) as Record<
  string,
  Recorded
>;

/** What depends on the disk on which it was recorded: its numbers, its size, and how much of it other things took. */
const OF_THE_DISK =
  /(Pool Name|Zpool|Parent Dataset|Space Used By Parent|Space Available|Metadata Space Used|Metadata Space Available): .*/;
/** One dash for it. */
const bare = (line: string): string => line.replace(OF_THE_DISK, "$1: -");

test.each([
  ["aufs", "ext4", []],
  ["btrfs", "btrfs", []],
  ["devicemapper-loop", "ext4", ["dm.fs=ext4", "dm.basesize=1G", "dm.loopdatasize=4G", "dm.loopmetadatasize=256M"]],
  ["overlay", "ext4", []],
  ["overlay2-ext4", "ext4", []],
  ["overlay2-xfs", "xfs", []],
  ["vfs", "ext4", []],
  ["zfs", "zfs", []],
])("of %s on %s has Docker's rows and warnings", (recorded, backing, options) => {
  const [name = ""] = recorded.split("-");
  const host = createHost({ seed: 7 });
  must(prepareDockerRoot(host, { backing, size: GIB(12) }));
  const driver = driverOn(host, { name, options });
  const info = driverInfo(driver);
  const { rows, warnings } = RECORDED[recorded] as Recorded;
  expect(driverInfoText(name, info).trimEnd().split("\n").map(bare)).toEqual(rows.map(bare));
  expect(info.warnings).toEqual(warnings);
});

test("without types in directory entries Docker warns, and says how xfs is made with them", () => {
  const host = createHost();
  must(prepareDockerRoot(host, { backing: "xfs", make: "-m crc=0 -n ftype=0" }));
  const home = "/var/lib/docker/overlay2";
  must(host.task.mkdir(home));
  must(host.task.mkdir(`${home}/layer`));
  expect(driverInfo(must(OVERLAY2.init({ host, home, options: [], settings: {} }))).warnings).toEqual([
    "WARNING: overlay2: the backing xfs filesystem is formatted without d_type support, which leads to incorrect behavior.\n" +
      "         Reformat the filesystem with ftype=1 to enable d_type support.\n" +
      "         Running without d_type support will not be supported in future releases.",
  ]);
  expect(driverInfo(driverOn(dockerHost(), { name: "overlay2" })).warnings).toEqual([]);
});
