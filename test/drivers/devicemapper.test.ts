/** devicemapper: what is in use when it is removed is deleted later (spec/drivers.md 5.3; moby deviceset.go, v20.10, deleteTransaction). */
import { describe, expect, test } from "vitest";
import { DEVICE_PROFILES, type DeviceProfile } from "../../sim/block/profile.ts";
import { GIB, seconds } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { DOCKER_ROOT } from "../../src/drivers/docker-root.ts";
import type { GraphDriver } from "../../src/drivers/driver.ts";
import { humanSize } from "../../src/drivers/human-size.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, must, names, said, text } from "./docker-host.ts";

const OPTIONS = ["dm.fs=ext4", "dm.basesize=64M", "dm.loopdatasize=1G", "dm.loopmetadatasize=16M"];
const HOME = `${DOCKER_ROOT}/devicemapper`;

interface Daemon {
  readonly host: Host;
  readonly driver: GraphDriver;
}

function daemon(...more: string[]): Daemon {
  const host = dockerHost();
  return { host, driver: driverOn(host, { name: "devicemapper", options: [...OPTIONS, ...more] }) };
}

const row = ({ driver }: Daemon, name: string): string | undefined => driver.status().find(([key]) => key === name)?.[1];
const recordOf = ({ host }: Daemon, id: string): unknown => JSON.parse(text(host, `${HOME}/metadata/${id}`));

/** The id of the last transaction that was begun, which every making and every deleting is. */
function lastTransaction({ host }: Daemon): number {
  return (JSON.parse(text(host, `${HOME}/metadata/transaction-metadata`)) as { open_transaction_id: number }).open_transaction_id;
}

/** As recorded with Docker 20.10.24: base devices of 1 GiB; mkfs.xfs aligns to the pool's blocks. */
describe("a new base device of 1 GiB", () => {
  test.each([
    ["ext4", "51.31MB"],
    ["xfs", "67.83MB"],
  ])("with %s takes %s of the pool, as Docker's did", (fs, used) => {
    const on = daemon(`dm.fs=${fs}`, "dm.basesize=1G", "dm.loopdatasize=4G");
    expect([row(on, "Backing Filesystem"), row(on, "Data Space Used")]).toEqual([fs, used]);
    on.driver.cleanup();
  });
});

describe("a pool over loop files", () => {
  test.each([
    ["hdd", true],
    ["nvme", false],
  ] as const)("turns as the disk does on which they are: %s", (cost, turns) => {
    const host = createHost();
    const { name } = host.addDisk({ size: GIB(4), profile: DEVICE_PROFILES[cost] as DeviceProfile });
    must(host.mkfs("ext4", name));
    for (const folder of ["/var", "/var/lib", DOCKER_ROOT]) must(host.task.mkdir(folder, 0o755));
    must(host.mount({ type: "ext4", source: name, target: DOCKER_ROOT }));
    const driver = driverOn(host, { name: "devicemapper", options: OPTIONS });
    expect(["loop0", "loop1"].map((loop) => host.device(loop)?.device.rotational)).toEqual([turns, turns]);
    driver.cleanup();
  });
});

describe("loop files that hold no sector", () => {
  test.each([
    ["dm.loopdatasize=0", "zero-length target"],
    ["dm.loopdatasize=511", "zero-length target"],
    ["dm.loopmetadatasize=0", "Error creating metadata object"],
  ])("make no pool: %s", (option, reason) => {
    const host = dockerHost();
    const started = startDriver(host, { name: "devicemapper", options: ["dm.loopdatasize=1G", option] });
    expect(said(started)).toContain(`devicemapper: Error running deviceCreate (CreatePool) dm_task_run failed (${reason})`);
    host.check();
  });
});

describe("a device that is in use when it is removed", () => {
  test("is marked, tried again every 30 seconds, a transaction each time, and gone once nobody uses it", () => {
    const on = daemon();
    must(on.driver.create("one", ""));
    must(on.driver.get("one"));
    const before = lastTransaction(on);
    must(on.driver.remove("one"));
    expect(recordOf(on, "one")).toMatchObject({ deleted: true });
    expect([row(on, "Deferred Deleted Device Count"), lastTransaction(on)]).toEqual(["1", before + 1]);
    on.host.clock.advance(seconds(61));
    expect([row(on, "Deferred Deleted Device Count"), lastTransaction(on)]).toEqual(["1", before + 3]);
    must(on.driver.put("one"));
    expect(on.driver.exists("one")).toBe(true);
    on.host.clock.advance(seconds(30));
    expect([row(on, "Deferred Deleted Device Count"), lastTransaction(on)]).toEqual(["0", before + 4]);
    expect([on.driver.exists("one"), names(on.host, `${HOME}/mnt`)]).toEqual([false, []]);
    on.host.clock.advance(seconds(300));
    expect(lastTransaction(on)).toBe(before + 4);
    must(on.driver.create("two", ""));
    expect(lastTransaction(on)).toBe(before + 5);
    on.driver.cleanup();
    on.host.check();
  });

  test("keeps its mounted tree, gives no child and no mount any more, and its id is taken", () => {
    const on = daemon();
    must(on.driver.create("one", ""));
    const root = must(on.driver.get("one"));
    must(on.host.task.mkdir(`${root}/kept`, 0o755));
    must(on.driver.remove("one"));
    expect(names(on.host, root)).toEqual(["kept"]);
    expect(said(on.driver.create("two", "one"))).toBe("devmapper: Base device one has been marked for deferred deletion");
    expect(said(on.driver.create("one", ""))).toBe("devmapper: device one already exists. Deleted=true");
    must(on.driver.put("one"));
    expect(said(on.driver.get("one"))).toBe("devmapper: Can't mount device one as it has been marked for deferred deletion");
    on.driver.cleanup();
  });

  test("cannot be removed where deletion is not deferred", () => {
    const on = daemon("dm.use_deferred_deletion=false");
    must(on.driver.create("one", ""));
    must(on.driver.get("one"));
    const before = lastTransaction(on);
    expect(said(on.driver.remove("one"))).toBe("failed to remove device one: Device is Busy");
    on.host.clock.advance(seconds(60));
    expect([lastTransaction(on), row(on, "Deferred Deleted Device Count")]).toEqual([before, "0"]);
    must(on.driver.put("one"));
    must(on.driver.remove("one"));
    expect(on.driver.exists("one")).toBe(false);
    on.driver.cleanup();
  });

  test("is deleted by the next daemon, which gives its blocks back", () => {
    const on = daemon();
    const empty = row(on, "Data Space Used");
    must(on.driver.create("one", ""));
    const root = must(on.driver.get("one"));
    must(on.host.task.mkdir(`${root}/folder`, 0o755));
    must(on.driver.remove("one"));
    on.driver.cleanup();
    const next = { ...on, driver: driverOn(on.host, { name: "devicemapper", options: OPTIONS }) };
    expect([next.driver.exists("one"), row(next, "Deferred Deleted Device Count")]).toEqual([false, "0"]);
    expect(row(next, "Data Space Used")).toBe(empty);
    next.driver.cleanup();
  });
});

/** Blocks of 1 KiB that a layer's tree has room for. */
function room(on: Daemon, id: string): number {
  const task = must(on.host.task.chroot(must(on.driver.get(id))));
  const { blocks, blockSize } = must(task.statfs("/"));
  task.exit();
  must(on.driver.put(id));
  return (blocks * blockSize) / 1024;
}

describe("the size of a container", () => {
  test.each([
    // df -k of real filesystems after resize2fs and xfs_growfs.
    ["ext4", "1G", "2G", 507_098 * 4],
    ["xfs", "1G", "2G", 507_904 * 4],
  ])("may be larger than its image's: the %s on it grows, and the image's stays", (type, base, size, want) => {
    const on = daemon(`dm.fs=${type}`, `dm.basesize=${base}`);
    must(on.driver.create("image", ""));
    const before = room(on, "image");
    must(on.driver.createReadWrite("large", "image", { storage: { size } }));
    expect(recordOf(on, "large")).toMatchObject({ size: GIB(2) });
    expect([room(on, "large"), room(on, "image")]).toEqual([want, before]);
    must(on.driver.create("child", "large"));
    expect(room(on, "child")).toBe(want);
    must(on.driver.get("large"));
    on.host.check();
    on.driver.cleanup();
  });

  test("is never smaller", () => {
    const on = daemon();
    must(on.driver.create("image", ""));
    expect(said(on.driver.createReadWrite("small", "image", { storage: { size: "32M" } }))).toBe(
      "devmapper: Container size cannot be smaller than 67.11MB",
    );
    on.driver.cleanup();
  });
});

test("a larger base size makes the next images larger, a smaller one is refused", () => {
  const on = daemon();
  must(on.driver.create("old", ""));
  const before = room(on, "old");
  on.driver.cleanup();
  const start = (size: string): ReturnType<typeof startDriver> =>
    startDriver(on.host, { name: "devicemapper", options: [...OPTIONS, `dm.basesize=${size}`] });
  const larger = { ...on, driver: must(start("128M")) };
  must(larger.driver.create("new", ""));
  expect([room(larger, "old"), room(larger, "new") > 1.9 * before]).toEqual([before, true]);
  expect(row(larger, "Base Device Size")).toBe("134.2MB");
  larger.driver.cleanup();
  expect(said(start("64M"))).toBe("devmapper: Base device size cannot be smaller than 134.2MB");
});

test("what is left of the disk counts what is kept for root, as Docker's statfs of the loop files does", () => {
  const on = daemon("dm.loopdatasize=100G");
  const { blocksFree, blocksAvailable, blockSize } = must(on.host.task.statfs(HOME));
  expect(blocksFree).toBeGreaterThan(blocksAvailable);
  expect(row(on, "Data Space Available")).toBe(humanSize(blocksFree * blockSize));
  on.driver.cleanup();
});

test("a device that does not mount is told by the words of mount, behind those of the driver", () => {
  const on = daemon("dm.mountopt=nonsense");
  must(on.driver.create("one", ""));
  const device = must(on.driver.metadata("one"))?.["DeviceName"] ?? "";
  expect(said(on.driver.get("one"))).toBe(
    `Failed to mount; dmesg: : mount /dev/mapper/${device}:${HOME}/mnt/one, data: nonsense: invalid argument`,
  );
  on.driver.cleanup();
});
