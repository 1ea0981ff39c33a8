/** The driver btrfs: subvolumes as layers, limits, what containers leave inside, page cache (spec/drivers.md 5.2). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EDQUOT, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { listSubvolumes, makeSubvolume } from "../../sim/cow/btrfs/ioctl.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, must } from "./docker-host.ts";

function write(task: Task, path: string, length: number): number {
  const fd = must(task.open(path, O_RDWR | O_CREAT, 0o644));
  const done = must(task.pwrite(fd, Content.pattern(1, length), 0));
  must(task.fsync(fd));
  task.close(fd);
  return done;
}

function setup(): { host: ReturnType<typeof dockerHost>; driver: ReturnType<typeof driverOn>; fs: Btrfs } {
  const host = dockerHost("btrfs");
  const driver = driverOn(host, { name: "btrfs" });
  const { fs } = must(host.task.resolve(driver.home)).mount;
  if (!(fs instanceof Btrfs)) throw new Error("not on btrfs");
  return { host, driver, fs };
}

test("it starts on btrfs alone, and is what Docker chooses there", () => {
  const refused = startDriver(dockerHost("ext4"), { name: "btrfs" });
  expect(isDriverError(refused) && refused.unsupported).toBe("prerequisites");
  expect(driverOn(dockerHost("btrfs"), {}).name).toBe("btrfs");
  const wrong = startDriver(dockerHost("btrfs"), { name: "btrfs", options: ["btrfs.max_space=1G"] });
  expect(isDriverError(wrong) && wrong.message).toBe("Unknown option btrfs.max_space");
});

test("a layer is a subvolume, one over another a snapshot of it, and the lower one may go first", () => {
  const { host, driver, fs } = setup();
  must(driver.create("base", ""));
  write(host.task, `${must(driver.get("base"))}/f`, 5000);
  must(driver.createReadWrite("top", "base"));
  const paths = listSubvolumes(fs).map(({ path }) => path);
  expect(paths).toEqual(["btrfs/subvolumes/base", "btrfs/subvolumes/top"]);
  must(driver.remove("base"));
  expect(must(host.task.stat(`${must(driver.get("top"))}/f`)).size).toBe(5000);
  must(fs.clean());
  fs.check();
  expect(driver.status()).toEqual([
    ["Build Version", "Btrfs v6.2"],
    ["Library Version", "102"],
  ]);
});

test("subvolumes that a container has made go with its layer", () => {
  const { host, driver, fs } = setup();
  must(driver.createReadWrite("c", ""));
  const root = must(driver.get("c"));
  must(host.task.mkdir(`${root}/d`, 0o755));
  for (const folder of ["", "/d"]) must(makeSubvolume(fs, must(host.task.resolve(root + folder)).inode, host.names.intern("n")));
  write(host.task, `${root}/d/n/f`, 100);
  must(driver.remove("c"));
  expect(driver.exists("c")).toBe(false);
  must(fs.clean());
  expect(listSubvolumes(fs)).toEqual([]);
  fs.check();
});

describe("a size", () => {
  test.each([
    [{ size: "0" }, "btrfs: invalid storage size: 0B"],
    [{ size: "1M" }, "btrfs: storage size cannot be less than 2.097MB"],
    [{ size: "4M", other: "1" }, "Unknown option other"],
    [{ size: "x" }, "invalid size: 'x'"],
  ])("%o is refused: %s", (storage, message) => {
    const driver = driverOn(dockerHost("btrfs"), { name: "btrfs", options: ["btrfs.min_space=2M"] });
    const failed = driver.createReadWrite("c", "", { storage });
    expect(failed?.message).toBe(message);
  });

  test("smaller than what the image has refuses every write at once, and removing still works", () => {
    const { host, driver } = setup();
    must(driver.create("image", ""));
    write(host.task, `${must(driver.get("image"))}/big`, MIB(30));
    must(driver.createReadWrite("c", "image", { storage: { size: "20M" } }));
    const root = `${driver.home}/subvolumes/c`;
    expect(host.task.open(`${root}/new`, O_RDWR | O_CREAT, 0o644)).toBe(EDQUOT);
    // Get sets the limit again, which Linux 6.18 refuses where there is no room for a change (recorded with btrfs qgroup limit).
    expect(driver.get("c")).toMatchObject({ message: `Failed to limit qgroup for ${root}: disk quota exceeded` });
    expect(host.task.unlink(`${root}/big`)).toBeUndefined();
    must(host.task.syncfs());
    expect(must(driver.get("c"))).toBe(root);
    const fd = host.task.open(`${root}/new`, O_RDWR | O_CREAT, 0o644);
    expect(isErrno(fd)).toBe(false);
    must(driver.remove("c"));
  });
});

test("every container that reads a file of the image caches pages of its own", () => {
  const { host, driver } = setup();
  must(driver.create("image", ""));
  write(host.task, `${must(driver.get("image"))}/lib`, MIB(64));
  const before: number[] = [];
  for (const id of ["c1", "c2", "c3", "c4"]) {
    must(driver.createReadWrite(id, "image"));
    const path = `${must(driver.get(id))}/lib`;
    before.push(must(host.task.cachedPages(path)));
    const fd = must(host.task.open(path, O_RDONLY));
    must(host.task.pread(fd, MIB(64), 0));
    host.task.close(fd);
    expect(must(host.task.cachedPages(path))).toBe(16_384);
  }
  expect(before).toEqual([0, 0, 0, 0]);
});
