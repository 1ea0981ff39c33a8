/** The driver aufs: what it keeps on disk, its mounts, errors and differences (spec/drivers.md 5.1 and 2.3; the texts are moby's). */
import { describe, expect, test } from "vitest";
import type { SimEvent } from "../../sim/core/events.ts";
import { k6_18 } from "../../sim/core/kernel-profile.ts";
import type { Host } from "../../sim/host.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { type GraphDriver, NOT_SUPPORTED } from "../../src/drivers/driver.ts";
import { applyDiffTo, diffOf } from "../../src/drivers/layer-diff.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, labOn, mode, must, names, put, said, text } from "./docker-host.ts";

const HOME = "/var/lib/docker/aufs";
/** Docker's ids are so long. */
const id = (number: number): string => number.toString(16).padStart(64, "0");

interface Setting {
  readonly host: Host;
  readonly driver: GraphDriver;
  /** The options of every mount since the driver started. */
  readonly mounts: string[];
}

function start(host: Host = dockerHost()): Setting {
  const driver = driverOn(host, { name: "aufs" });
  const mounts: string[] = [];
  host.events.subscribe(({ event }: { event: SimEvent }) => void (event.op === "mount" && mounts.push(event.options)));
  return { host, driver, mounts };
}

describe("aufs on disk", () => {
  test("the home has three folders; Status tells it, the backing filesystem, how many layers and dirperm1", () => {
    const { host, driver } = start();
    expect(names(host, HOME)).toEqual(["diff", "layers", "mnt"]);
    expect(mode(host, HOME)).toBe(0o710);
    must(driver.create("base", ""));
    expect(driver.status()).toEqual([
      ["Root Dir", HOME],
      ["Backing Filesystem", "extfs"],
      ["Dirs", "1"],
      ["Dirperm1 Supported", "true"],
    ]);
    expect(driver.metadata("base")).toBeNull();
    expect(names(host, "/tmp")).toEqual([]);
  });

  test("a layer is a branch, a mount point and a file of all its ancestors, nearest first", () => {
    const { host, driver } = start();
    must(driver.create("a", ""));
    must(driver.create("b", "a"));
    must(driver.createReadWrite("c", "b"));
    expect(["a", "b", "c"].map((one) => text(host, `${HOME}/layers/${one}`))).toEqual(["", "a\n", "b\na\n"]);
    expect([mode(host, `${HOME}/diff/c`), mode(host, `${HOME}/mnt/c`)]).toEqual([0o755, 0o755]);
    expect([driver.exists("c"), driver.exists("d")]).toEqual([true, false]);
  });

  test("a parent that is not there is found missing late: the folders and the file stay", () => {
    const { host, driver } = start();
    expect(said(driver.create("x", "none"))).toBe(`open ${HOME}/layers/none: no such file or directory`);
    expect(names(host, `${HOME}/diff`)).toEqual(["x"]);
    expect(driver.exists("x")).toBe(true);
  });

  test("storage options of a container are refused, those of the daemon not looked at", () => {
    const { driver, host } = start();
    expect(said(driver.createReadWrite("x", "", { storage: { size: "1G" } }))).toBe("--storage-opt is not supported for aufs");
    expect(said(startDriver(host, { name: "aufs", options: ["aufs.colour=red"] }))).toBe("no error");
  });

  test("a kernel without aufs gives 'driver not supported'", () => {
    expect(startDriver(dockerHost("ext4", { ...k6_18, aufs: false }), { name: "aufs" })).toBe(NOT_SUPPORTED);
  });

  test("what an earlier daemon had begun to remove is removed at the start", () => {
    const { host } = start();
    must(host.task.mkdir(`${HOME}/diff/old-removing`, 0o755));
    put(host, `${HOME}/diff/old-removing/f`, "x");
    start(host);
    expect(names(host, `${HOME}/diff`)).toEqual([]);
  });
});

describe("Get, Put and Remove", () => {
  test("a base layer is its branch, unmounted; any other is mounted with its own branch writable and Docker's options", () => {
    const { host, driver, mounts } = start();
    must(driver.create("a", ""));
    must(driver.create("b", "a"));
    expect(driver.get("a")).toBe(`${HOME}/diff/a`);
    expect(mounts).toEqual([]);
    expect(driver.get("b")).toBe(`${HOME}/mnt/b`);
    expect(mounts.at(-1)).toBe(`br:${HOME}/diff/b=rw:${HOME}/diff/a=ro+wh,dio,xino=/dev/shm/aufs.xino,dirperm1`);
    expect(driver.get("b")).toBe(`${HOME}/mnt/b`);
    must(driver.put("b"));
    expect(host.mountedBelow(HOME)).toEqual([`${HOME}/mnt/b`]);
    must(driver.put("b"));
    expect(host.mountedBelow(HOME)).toEqual([]);
  });

  test("40 parents fit the first page of options; the others are appended, and every layer shows", () => {
    const { host, driver, mounts } = start();
    for (let number = 0; number < 126; number++) {
      must(driver.create(id(number), number === 0 ? "" : id(number - 1)));
      put(host, `${HOME}/diff/${id(number)}/f${number}`, "x");
      put(host, `${HOME}/diff/${id(number)}/same`, String(number));
    }
    const path = must(driver.get(id(125)));
    expect(mounts.at(-1)?.match(/=ro\+wh/g)?.length).toBe(40);
    expect(names(host, path)).toHaveLength(127);
    expect([text(host, `${path}/same`), text(host, `${path}/f0`)]).toEqual(["125", "x"]);
    host.check();
    must(driver.put(id(125)));
  });

  test("the 128th branch is one too many: the mount is taken back, and the error is mount's", () => {
    const { host, driver } = start();
    for (let number = 0; number < 128; number++) must(driver.create(id(number), number === 0 ? "" : id(number - 1)));
    expect(said(driver.get(id(127)))).toMatch(
      new RegExp(
        `^error creating aufs mount to ${HOME}/mnt/${id(127)}: mount target=.* flags=MS_REMOUNT data=append:.*: no space left on device$`,
      ),
    );
    expect(host.mountedBelow(HOME)).toEqual([]);
  });

  test("Remove takes the three away; a folder that stands in the way of the renaming is told", () => {
    const { host, driver } = start();
    must(driver.create("a", ""));
    must(driver.remove("a"));
    expect(["diff", "mnt", "layers"].flatMap((folder) => names(host, `${HOME}/${folder}`))).toEqual([]);
    must(driver.create("b", ""));
    must(host.task.mkdir(`${HOME}/diff/b-removing`, 0o755));
    put(host, `${HOME}/diff/b-removing/f`, "x");
    expect(said(driver.remove("b"))).toMatch(
      `could not remove diff path for id b: target rename dir "${HOME}/diff/b-removing" exists but should not, this needs to be manually cleaned up`,
    );
  });

  test("Remove of a layer that is in use is refused", () => {
    const { host, driver } = start();
    must(driver.create("a", ""));
    must(driver.create("b", "a"));
    const task = must(host.task.chroot(must(driver.get("b"))));
    expect(said(driver.remove("b"))).toContain("device or resource busy");
    expect(driver.exists("b")).toBe(true);
    task.exit();
  });
});

describe("differences", () => {
  test("Changes tells whiteouts as D, lower names as C, and shows aufs's own pseudo-links and opaque marks", () => {
    const lab = labOn("aufs");
    lab.addLayer("base");
    const base = must(lab.task("base"));
    for (const folder of ["/t", "/t/opq", "/t/kept"]) must(base.mkdir(folder));
    put({ task: base } as Host, "/t/gone", "x");
    put({ task: base } as Host, "/t/h1", "x");
    must(base.link("/t/h1", "/t/h2"));
    lab.addContainer("c", "base");
    const task = must(lab.task("c"));
    must(task.unlink("/t/gone"));
    must(task.rmdir("/t/opq"));
    must(task.mkdir("/t/opq"));
    must(task.chmod("/t/h1", 0o600));
    must(task.mkdir("/new"));
    const lines = must(lab.changes("c")).map(({ kind, path }) => `${kind} ${path}`);
    const others = lines.filter((line) => !line.includes("plnk")).sort();
    expect(others).toEqual(["A /new", "C /t", "C /t/h1", "C /t/opq", "D /t/gone", "D /t/opq/.wh..opq"]);
    expect(lines.filter((line) => line.includes("plnk"))).toEqual([
      "C /.wh..wh.plnk",
      expect.stringMatching(/^A \/\.wh\.\.wh\.plnk\/\d+\.\d+$/),
    ]);
  });

  test("a folder in the place of a lower file, with something in it, cannot be told", () => {
    const { host, driver } = start();
    must(driver.create("a", ""));
    put(host, `${HOME}/diff/a/f`, "x");
    must(driver.create("b", "a"));
    must(host.task.mkdir(`${HOME}/diff/b/f`, 0o755));
    put(host, `${HOME}/diff/b/f/in`, "x");
    expect(said(driver.changes("b", "a"))).toBe(`stat ${HOME}/diff/a/f/in: not a directory`);
  });

  test("Diff and ApplyDiff carry whiteouts as they are, and leave aufs's own entries out; DiffSize is the branch's", () => {
    const { host, driver } = start();
    must(driver.create("a", ""));
    put(host, `${HOME}/diff/a/f`, "x");
    must(driver.create("b", "a"));
    const path = must(driver.get("b"));
    must(host.task.unlink(`${path}/f`));
    put(host, `${path}/g`, "12345");
    expect(driver.diffSize("b", "a")).toBe(5);
    const tar = must(diffOf(host, driver, { id: "b", parent: "a" }));
    must(driver.put("b"));
    must(driver.create("c", "a"));
    const diff = { entries: [...readTar(tar, { mode: "docker" })], mode: "docker" } as const;
    expect(diff.entries.map(({ header }) => header.name)).toEqual([".wh.f", "g"]);
    expect(must(applyDiffTo(host, driver, { id: "c", parent: "a", diff }))).toBe(5);
    expect(names(host, `${HOME}/diff/c`)).toEqual([".wh.f", "g"]);
    expect(names(host, must(driver.get("c")))).toEqual(["g"]);
    must(driver.put("c"));
  });
});
