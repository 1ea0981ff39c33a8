/** Facts of the drivers' sheets (spec/drivers.md 1.3, 5.1, 5.4, 5.5, 5.6) about what goes wrong, and what is left then. */
import { describe, expect, test } from "vitest";
import type { SimEvent } from "../../sim/core/events.ts";
import { type KernelProfile, kernelProfile } from "../../sim/core/kernel-profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { DOCKER_PROFILES, type DockerProfile } from "../../src/drivers/docker-profile.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { type GraphDriver, INCOMPATIBLE, NOT_SUPPORTED } from "../../src/drivers/driver.ts";
import { applyDiffTo, diffOf } from "../../src/drivers/layer-diff.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, mode, must, names, put, said, text } from "./docker-host.ts";

interface Setting {
  readonly host: Host;
  readonly driver: GraphDriver;
  readonly home: string;
  /** The options of every mount since the driver started. */
  readonly mounts: string[];
}

function start(name: string, settings = {}, host: Host = dockerHost()): Setting {
  const driver = driverOn(host, { name, settings });
  const mounts: string[] = [];
  host.events.subscribe(({ event }: { event: SimEvent }) => void (event.op === "mount" && mounts.push(event.options)));
  return { host, driver, mounts, home: `${DOCKER_ROOT}/${name}` };
}

/** A base layer "a" with a file, and "b" over it. */
function withTwo(setting: Setting): Setting {
  const { host, driver } = setting;
  must(driver.create("a", ""));
  put(host, `${must(driver.get("a"))}/f`, "old");
  must(driver.put("a"));
  must(driver.create("b", "a"));
  return setting;
}

/** The difference of a layer, as a registry would bring it. */
function shipped({ host, driver }: Setting, id: string, parent: string) {
  const tar = must(diffOf(host, driver, { id, parent }));
  return { entries: [...readTar(tar, { mode: "docker" })], mode: "docker" } as const;
}

describe("the choice of a driver (1.3)", () => {
  const fill = (host: Host, name: string): void => {
    must(host.task.mkdir(`${DOCKER_ROOT}/${name}`));
    must(host.task.mkdir(`${DOCKER_ROOT}/${name}/something`));
  };

  test("two that have been used are told, and neither is taken", () => {
    const host = dockerHost();
    for (const name of ["aufs", "overlay2"]) fill(host, name);
    expect(said(startDriver(host))).toBe(
      "/var/lib/docker contains several valid graphdrivers: overlay2, aufs; " +
        "Please cleanup or explicitly choose storage driver (-s <DRIVER>)",
    );
  });

  test("one that has been used and does not start ends the choice with its own error", () => {
    const host = dockerHost();
    fill(host, "btrfs");
    expect(said(startDriver(host))).toBe("prerequisites for driver not satisfied (wrong filesystem?)");
  });

  test("one that has been used comes before those that stand earlier in the list", () => {
    const host = dockerHost();
    fill(host, "overlay");
    expect(must(startDriver(host)).name).toBe("overlay");
  });
});

describe("aufs (5.1)", () => {
  test("does not stand on btrfs", () => {
    expect(startDriver(dockerHost("btrfs"), { name: "aufs" })).toBe(INCOMPATIBLE);
  });

  test("does not stand on aufs itself", () => {
    const { host, driver } = withTwo(start("aufs"));
    expect(startDriver(host, { name: "aufs", root: must(driver.get("b")) })).toBe(INCOMPATIBLE);
  });

  test("the three folders of its home are 0710", () => {
    const { host, home } = start("aufs");
    expect(["", "/layers", "/diff", "/mnt"].map((folder) => mode(host, home + folder))).toEqual([0o710, 0o710, 0o710, 0o710]);
  });

  test("only folders are taken for what an earlier daemon had begun to remove", () => {
    const { host, home } = start("aufs");
    must(host.task.mkdir(`${home}/mnt/old-removing`));
    put(host, `${home}/diff/note-removing`, "x");
    start("aufs", {}, host);
    expect([names(host, `${home}/mnt`), names(host, `${home}/diff`)]).toEqual([[], ["note-removing"]]);
  });

  test("an empty folder stands in the way of the renaming too", () => {
    const { host, driver, home } = withTwo(start("aufs"));
    must(host.task.mkdir(`${home}/diff/b-removing`));
    expect(said(driver.remove("b"))).toContain("exists but should not, this needs to be manually cleaned up");
    expect(names(host, `${home}/diff`)).toEqual(["a", "b", "b-removing"]);
  });

  test("a layer whose parent is removed is broken: nobody asks for children", () => {
    const { host, driver, home } = withTwo(start("aufs"));
    expect(driver.remove("a")).toBeUndefined();
    expect(text(host, `${home}/layers/b`)).toBe("a\n");
    expect(said(driver.get("b"))).toMatch(/^error creating aufs mount to .*\/mnt\/b: mount target=.*: invalid argument$/);
    expect(host.mountedBelow(home)).toEqual([]);
  });

  test("a mount that failed stays counted: the next Get gives the folder with nothing mounted, until a Put", () => {
    const { host, driver, home } = withTwo(start("aufs"));
    must(host.task.rename(`${home}/diff/a`, `${home}/diff/away`));
    expect(said(driver.get("b"))).toContain("error creating aufs mount");
    must(host.task.rename(`${home}/diff/away`, `${home}/diff/a`));
    expect(names(host, must(driver.get("b")))).toEqual([]);
    for (let use = 0; use < 2; use++) must(driver.put("b"));
    expect(names(host, must(driver.get("b")))).toEqual(["f"]);
  });

  test("a label of the mount takes room from the branches, and is its last option", () => {
    const { driver, mounts } = withTwo(start("aufs"));
    must(driver.get("b", "system_u:object_r:x"));
    expect(mounts.at(-1)).toMatch(/,xino=\/dev\/shm\/aufs\.xino,dirperm1,context="system_u:object_r:x"$/);
  });

  test("Put of a mount that is used tells its error; Cleanup detaches it", () => {
    const { host, driver, home } = withTwo(start("aufs"));
    const task = must(host.task.chroot(must(driver.get("b"))));
    expect(said(driver.put("b"))).toContain("device or resource busy");
    expect(host.mountedBelow(home)).toEqual([`${home}/mnt/b`]);
    must(driver.cleanup());
    expect(host.mountedBelow(home)).toEqual([]);
    task.exit();
  });

  test("a base layer is the child of whatever is named: its difference is its branch", () => {
    const setting = withTwo(start("aufs"));
    expect(shipped(setting, "a", "nobody").entries.map(({ header }) => header.name)).toEqual(["f"]);
    expect(setting.driver.diffSize("a", "nobody")).toBe(3);
  });

  test("over another than its parent, a layer's difference comes from the mounted trees", () => {
    const setting = withTwo(start("aufs"));
    const { host, driver } = setting;
    must(driver.create("c", "b"));
    must(host.task.unlink(`${must(driver.get("c"))}/f`));
    expect(driver.changes("c", "a")).toEqual([{ kind: "D", path: "/f" }]);
    expect(shipped(setting, "c", "a").entries.map(({ header }) => header.name)).toEqual([".wh.f"]);
    must(driver.put("c"));
    expect(host.mountedBelow(setting.home)).toEqual([]);
  });
});

describe("overlay (5.4)", () => {
  test("a container's upper folder has the mode of its image's root", () => {
    const { host, driver, home } = start("overlay");
    must(driver.create("image", ""));
    must(host.task.chmod(`${home}/image/root`, 0o1770));
    must(driver.createReadWrite("c", "image"));
    expect(mode(host, `${home}/c/upper`)).toBe(0o1770);
  });

  test("the copy of a container's upper folder has its whiteouts and opaque marks", () => {
    const { host, driver, home } = start("overlay");
    must(driver.create("image", ""));
    put(host, `${home}/image/root/gone`, "x");
    must(host.task.mkdir(`${home}/image/root/folder`));
    must(driver.createReadWrite("c-init", "image"));
    const merged = must(driver.get("c-init"));
    must(host.task.unlink(`${merged}/gone`));
    must(host.task.rmdir(`${merged}/folder`));
    must(host.task.mkdir(`${merged}/folder`));
    must(driver.put("c-init"));
    must(driver.createReadWrite("c", "c-init"));
    expect(must(host.task.lstat(`${home}/c/upper/gone`))).toMatchObject({ mode: 0o020000, rdev: 0 });
    expect(host.task.getxattr(`${home}/c/upper/folder`, "trusted.overlay.opaque")).toEqual(Uint8Array.of(0x79));
    expect(names(host, must(driver.get("c")))).toEqual(["folder"]);
  });

  test("its image layers are hard links: a file has as many names as there are layers", () => {
    const setting = start("overlay");
    const { host, driver, home } = setting;
    must(driver.create("0", ""));
    put(host, `${home}/0/root/f`, "x");
    const empty = { entries: [], mode: "docker" } as const;
    for (let layer = 1; layer < 4; layer++) {
      must(driver.create(String(layer), String(layer - 1)));
      expect(applyDiffTo(host, driver, { id: String(layer), parent: String(layer - 1), diff: empty })).toBe(0);
      expect(names(host, `${home}/${layer}`)).toEqual(["root"]);
    }
    expect(must(host.task.stat(`${home}/3/root/f`)).nlink).toBe(4);
    expect(driver.metadata("3")).toEqual({ RootDir: `${home}/3/root` });
  });

  test("Put never fails: a mount that is used is detached", () => {
    const { host, driver, home } = start("overlay");
    must(driver.create("image", ""));
    must(driver.createReadWrite("c", "image"));
    const task = must(host.task.chroot(must(driver.get("c"))));
    expect(driver.put("c")).toBeUndefined();
    expect([host.mountedBelow(home), names(host, `${home}/c`)]).toEqual([[], ["lower-id", "upper", "work"]]);
    task.exit();
  });

  test("words what is not there as Go does, and leaves no half of a mount", () => {
    const { host, driver, home } = start("overlay");
    expect(said(driver.createReadWrite("c", "nobody"))).toBe(`lstat ${home}/nobody: no such file or directory`);
    expect(said(driver.metadata("nobody"))).toBe(`stat ${home}/nobody: no such file or directory`);
    must(driver.create("image", ""));
    must(driver.createReadWrite("c", "image"));
    must(driver.remove("image"));
    expect(said(driver.get("c"))).toBe(`error creating overlay mount to ${home}/c/merged: no such file or directory`);
    expect(names(host, `${home}/c`)).toEqual(["lower-id", "upper", "work"]);
  });
});

describe("overlay2 (5.5)", () => {
  test("is not supported where a union cannot be mounted", () => {
    const { host, driver } = withTwo(start("overlay2"));
    must(driver.createReadWrite("c", "b"));
    const root = must(driver.get("c"));
    for (const name of ["overlay2", "overlay"]) expect(startDriver(host, { name, root })).toBe(NOT_SUPPORTED);
  });

  test("Put and Remove of what is not there do nothing", () => {
    const { driver } = start("overlay2");
    must(driver.create("a", ""));
    expect([driver.put("a"), driver.put("nobody"), driver.remove("nobody")]).toEqual([undefined, undefined, undefined]);
  });

  test("a child whose parent is gone has no metadata, and its difference comes from no upper folder", () => {
    const { host, driver, home } = withTwo(start("overlay2"));
    const link = text(host, `${home}/a/link`);
    must(driver.remove("a"));
    expect(said(driver.metadata("b"))).toBe(`readlink ${home}/l/${link}: no such file or directory`);
    expect(said(driver.diffSize("b", "a"))).toContain("no such file or directory");
  });

  test("a label that leaves no room for the layers is told with the length of the options", () => {
    const { driver } = withTwo(start("overlay2"));
    expect(said(driver.get("b", "x".repeat(4096)))).toMatch(/^cannot mount layer, mount label too large 4\d\d\d$/);
  });

  test.each([
    ["redirect_dir=on,index=off", "6.18", "false"],
    ["redirect_dir=off,index=off", "6.18", "true"],
    ["", "4.7", "false"],
    ["", "4.8", "true"],
  ])("with %j on Linux %s, upper folders tell differences: %s", (mountOptions, version, expected) => {
    const host = createHost({ kernel: kernelProfile(version) as KernelProfile });
    must(prepareDockerRoot(host, { backing: "ext4" }));
    const { driver } = start("overlay2", { mountOptions }, host);
    expect(driver.status()[2]).toEqual(["Native Overlay Diff", expected]);
  });

  test("without native differences a layer's tar and its size come from the trees, and go in through the mount", () => {
    const setting = withTwo(start("overlay2", { mountOptions: "redirect_dir=on,index=off" }));
    const { host, driver, home, mounts } = setting;
    const merged = must(driver.get("b"));
    must(host.task.mkdir(`${merged}/d`));
    put(host, `${merged}/d/new`, "12345");
    must(driver.put("b"));
    must(host.task.rename(`${home}/b/diff/d`, `${home}/b/diff/e`));
    expect(driver.diffSize("b", "a")).toBe(5);
    const diff = shipped(setting, "b", "a");
    must(driver.create("c", "a"));
    const before = mounts.length;
    expect(applyDiffTo(host, driver, { id: "c", parent: "a", diff })).toBe(5);
    expect(mounts).toHaveLength(before + 1);
    expect(names(host, `${home}/c/diff`)).toEqual(["e"]);
    expect(host.mountedBelow(home)).toEqual([]);
  });

  test("Docker 18.09 puts a layer straight into its folder all the same", () => {
    const docker = DOCKER_PROFILES.get("18.09") as DockerProfile;
    const setting = withTwo(start("overlay2", { mountOptions: "redirect_dir=on", docker }));
    const { host, driver, home, mounts } = setting;
    const diff = shipped(setting, "b", "a");
    must(driver.create("c", "a"));
    const before = mounts.length;
    must(applyDiffTo(host, driver, { id: "c", parent: "a", diff }));
    expect([mounts.length, host.mountedBelow(home)]).toEqual([before, []]);
  });

  test("with them nothing is mounted for it", () => {
    const setting = withTwo(start("overlay2"));
    const { host, driver, mounts } = setting;
    driver.status();
    const before = mounts.length;
    const diff = shipped(setting, "b", "a");
    must(driver.create("c", "a"));
    must(applyDiffTo(host, driver, { id: "c", parent: "a", diff }));
    expect([driver.diffSize("c", "a"), mounts.length]).toEqual([0, before]);
  });

  test("Cleanup ends every mount", () => {
    const { host, driver, home } = withTwo(start("overlay2"));
    must(driver.get("b"));
    must(driver.cleanup());
    expect(host.mountedBelow(home)).toEqual([]);
  });
});

describe("vfs (5.6)", () => {
  test("a layer whose parent is not there stays behind, empty", () => {
    const { host, driver, home } = start("vfs");
    expect(said(driver.create("x", "no"))).toBe(`no: stat ${home}/dir/no: no such file or directory`);
    expect(names(host, `${home}/dir/x`)).toEqual([]);
    expect(driver.exists("x")).toBe(true);
  });

  test("two Gets and a Put too many do nothing; Cleanup neither", () => {
    const { host, driver, home } = start("vfs");
    must(driver.create("x", ""));
    expect([driver.get("x"), driver.get("x")]).toEqual([`${home}/dir/x`, `${home}/dir/x`]);
    for (let use = 0; use < 3; use++) expect(driver.put("x")).toBeUndefined();
    expect(driver.cleanup()).toBeUndefined();
    expect(host.mountedBelow(DOCKER_ROOT)).toEqual([DOCKER_ROOT]);
  });

  test("three layers of an image, its container's init layer and the container are five copies", () => {
    const { host, driver, home } = start("vfs");
    must(driver.create("1", ""));
    put(host, `${home}/dir/1/f`, "x".repeat(50_000));
    for (const [id, parent] of [
      ["2", "1"],
      ["3", "2"],
      ["c-init", "3"],
      ["c", "c-init"],
    ] as const)
      must(driver.createReadWrite(id, parent));
    const numbers = ["1", "2", "3", "c-init", "c"].map((id) => must(host.task.stat(`${home}/dir/${id}/f`)).inodeNumber);
    expect([new Set(numbers).size, driver.counters["treeCopyBytes"]]).toEqual([5, 200_000]);
  });
});
