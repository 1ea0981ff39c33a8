import { describe, expect, test } from "vitest";
import type { SimEvent } from "../../sim/core/events.ts";
import { k4_0 } from "../../sim/core/kernel-profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import type { GraphDriver } from "../../src/drivers/driver.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, mode, must, names, put, said, text } from "./docker-host.ts";

const HOME = "/var/lib/docker/overlay2";

interface Setting {
  readonly host: Host;
  readonly driver: GraphDriver;
  /** The options of every mount since the driver started. */
  readonly mounts: string[];
}

function start(settings = {}, host: Host = dockerHost()): Setting {
  const driver = driverOn(host, { name: "overlay2", settings });
  const mounts: string[] = [];
  host.events.subscribe(({ event }: { event: SimEvent }) => void (event.op === "mount" && mounts.push(event.options)));
  return { host, driver, mounts };
}

describe("overlay2 on disk", () => {
  test("the home is 0710 with l/ 0700, and the trial mounts leave nothing behind", () => {
    const { host, driver } = start();
    expect(driver.status()).toEqual([
      ["Backing Filesystem", "extfs"],
      ["Supports d_type", "true"],
      ["Native Overlay Diff", "true"],
      ["userxattr", "false"],
    ]);
    expect([mode(host, HOME), mode(host, `${HOME}/l`)]).toEqual([0o710, 0o700]);
    expect(names(host, HOME)).toEqual(["l"]);
    expect(names(host, "/var/lib/docker")).toEqual(["lost+found", "overlay2"]);
    expect(host.mountedBelow("/var/lib/docker")).toEqual(["/var/lib/docker"]);
  });

  test("a base layer is diff/ and link, its link in l/ 26 characters of base32 to ../<id>/diff", () => {
    const { host, driver } = start();
    must(driver.create("base", ""));
    expect(names(host, `${HOME}/base`)).toEqual(["diff", "link"]);
    const link = text(host, `${HOME}/base/link`);
    expect(link).toMatch(/^[A-Z2-7]{26}$/);
    expect(host.task.readlink(`${HOME}/l/${link}`)).toBe("../base/diff");
    expect([mode(host, `${HOME}/base`), mode(host, `${HOME}/base/diff`), mode(host, `${HOME}/base/link`)]).toEqual([
      0o710, 0o755, 0o644,
    ]);
    expect(driver.get("base")).toBe(`${HOME}/base/diff`);
  });

  test("a child has work/ and lower, nearest link first; its parent is marked committed", () => {
    const { host, driver } = start();
    must(driver.create("a", ""));
    must(driver.create("b", "a"));
    must(driver.createReadWrite("c", "b"));
    const [linkA, linkB] = ["a", "b"].map((id) => text(host, `${HOME}/${id}/link`));
    expect(text(host, `${HOME}/c/lower`)).toBe(`l/${linkB}:l/${linkA}`);
    expect(names(host, `${HOME}/c`)).toEqual(["diff", "link", "lower", "work"]);
    expect(names(host, `${HOME}/b`)).toEqual(["committed", "diff", "link", "lower", "work"]);
    expect([mode(host, `${HOME}/c/work`), mode(host, `${HOME}/b/committed`)]).toEqual([0o700, 0o600]);
  });

  test("metadata names the folders, resolved, and no LowerDir for a base layer", () => {
    const { driver } = start();
    must(driver.create("a", ""));
    must(driver.create("b", "a"));
    must(driver.createReadWrite("c", "b"));
    expect(driver.metadata("c")).toEqual({
      LowerDir: `${HOME}/b/diff:${HOME}/a/diff`,
      MergedDir: `${HOME}/c/merged`,
      UpperDir: `${HOME}/c/diff`,
      WorkDir: `${HOME}/c/work`,
    });
    expect(driver.metadata("a")).toEqual({
      MergedDir: `${HOME}/a/merged`,
      UpperDir: `${HOME}/a/diff`,
      WorkDir: `${HOME}/a/work`,
    });
    expect(said(driver.metadata("no"))).toBe(`stat ${HOME}/no: no such file or directory`);
  });
});

describe("overlay2's mounts", () => {
  test("are counted: the first Get mounts, the last Put unmounts and removes merged/", () => {
    const { host, driver, mounts } = start();
    must(driver.create("a", ""));
    must(driver.createReadWrite("c", "a"));
    expect(driver.get("c")).toBe(`${HOME}/c/merged`);
    expect(driver.get("c")).toBe(`${HOME}/c/merged`);
    expect(mounts).toHaveLength(1);
    must(driver.put("c"));
    expect(host.mountedBelow(HOME)).toEqual([`${HOME}/c/merged`]);
    must(driver.put("c"));
    expect(host.mountedBelow(HOME)).toEqual([]);
    expect(names(host, `${HOME}/c`)).not.toContain("merged");
  });

  test("have index=off, absolute links, and the layer's own folders", () => {
    const { host, driver, mounts } = start();
    must(driver.create("a", ""));
    must(driver.createReadWrite("c", "a"));
    must(driver.get("c"));
    const link = text(host, `${HOME}/a/link`);
    expect(mounts).toEqual([`index=off,lowerdir=${HOME}/l/${link},upperdir=${HOME}/c/diff,workdir=${HOME}/c/work`]);
  });

  test("have no index=off where the kernel does not know it, and other options where they are given", () => {
    const old = createHost({ kernel: k4_0 });
    must(prepareDockerRoot(old, { backing: "tmpfs" }));
    for (const [setting, first] of [
      [start({}, old), "lowerdir"],
      [start({ mountOptions: "redirect_dir=on,index=off" }), "redirect_dir=on"],
      [start({ mountOptions: "" }), "lowerdir"],
    ] as const) {
      must(setting.driver.create("a", ""));
      must(setting.driver.createReadWrite("c", "a"));
      must(setting.driver.get("c"));
      expect(setting.mounts[0]?.split(/[,]|=\//)[0]).toBe(first);
    }
  });

  test("of a layer that is a parent are read-only, without an upper folder", () => {
    const { host, driver, mounts } = start();
    must(driver.create("a", ""));
    must(driver.create("b", "a"));
    must(driver.createReadWrite("c", "b"));
    must(driver.get("b"));
    expect(mounts[0]).toMatch(new RegExp(`^index=off,lowerdir=${HOME}/b/diff:${HOME}/l/[A-Z2-7]{26}$`));
    expect(host.task.mkdir(`${HOME}/b/merged/x`)).toMatchObject({ code: "EROFS" });
  });

  test("change to relative paths when their options would fill a page: beyond 71 lowers with ids of 64 digits", () => {
    const { driver, mounts } = start();
    const id = (n: number): string => n.toString(16).padStart(64, "0");
    must(driver.create(id(0), ""));
    for (let n = 1; n <= 73; n++) must(driver.createReadWrite(id(n), id(n - 1)));
    must(driver.createReadWrite("x".padStart(64, "0"), id(70)));
    must(driver.createReadWrite("y".padStart(64, "0"), id(71)));
    must(driver.get("x".padStart(64, "0")));
    must(driver.get("y".padStart(64, "0")));
    expect(mounts.map((options) => options.includes(`lowerdir=${HOME}/l/`))).toEqual([true, false]);
    expect(mounts[1]).toMatch(/^index=off,lowerdir=l\/[A-Z2-7]{26}:/);
    expect(mounts.every((options) => options.length <= 4095)).toBe(true);
  });

  test("128 lowers are the most; one more fails, and leaves only its link in l/", () => {
    const { host, driver } = start();
    must(driver.create("0", ""));
    for (let n = 1; n <= 128; n++) must(driver.create(String(n), String(n - 1)));
    put(host, `${HOME}/0/diff/deep`, "bottom");
    must(driver.createReadWrite("top", "127"));
    expect(text(host, `${must(driver.get("top"))}/deep`)).toBe("bottom");
    const links = names(host, `${HOME}/l`).length;
    expect(said(driver.create("129", "128"))).toBe("max depth exceeded");
    expect(driver.exists("129")).toBe(false);
    expect(names(host, `${HOME}/l`)).toHaveLength(links + 1);
  });
});

describe("overlay2's differences", () => {
  test("changes come from the trees, sizes from the upper folder", () => {
    const { host, driver } = start();
    must(driver.create("a", ""));
    put(host, `${HOME}/a/diff/f`, "12345");
    must(driver.createReadWrite("c", "a"));
    const merged = must(driver.get("c"));
    must(host.task.chmod(`${merged}/f`, 0o600));
    must(host.task.symlink("abc", `${merged}/l`));
    expect(driver.changes("c", "a")).toEqual([
      { kind: "C", path: "/f" },
      { kind: "A", path: "/l" },
    ]);
    expect(driver.diffSize("c", "a")).toBe(8);
    expect(driver.diffSize("c", "")).toBe(8);
    expect(host.mountedBelow(HOME)).toEqual([`${HOME}/c/merged`]);
  });
});

describe("overlay2's refusals", () => {
  test("are Docker's words for options", () => {
    const { host, driver } = start();
    const daemon = (option: string): string => said(startDriver(host, { name: "overlay2", options: [option] }));
    expect(daemon("overlay2.foo=1")).toBe("overlay2: unknown option overlay2.foo");
    expect(daemon("overlay2.size=1G")).toBe("Storage Option overlay2.size only supported for backingFS XFS. Found extfs");
    expect(daemon("overlay2.override_kernel_check=maybe")).toContain("ParseBool");
    expect(daemon("overlay2.override_kernel_check=true")).toBe("no error");
    expect(said(driver.create("x", "", { storage: { size: "1G" } }))).toBe(
      "--storage-opt size is only supported for ReadWrite Layers",
    );
    expect(said(driver.createReadWrite("x", "", { storage: { foo: "1" } }))).toBe("Unknown option foo");
    expect(said(driver.createReadWrite("x", "", { storage: { size: "1G" } }))).toBe(
      "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
    );
    expect(said(driver.create("x", "", { storage: { foo: "1" } }))).toBe("Unknown option foo");
    expect(driver.exists("x")).toBe(false);
  });

  test("are Go's words for paths that are not there", () => {
    const { driver } = start();
    expect(said(driver.create("c", "no"))).toBe(`open ${HOME}/no/committed: no such file or directory`);
    expect(said(driver.get("no"))).toBe(`stat ${HOME}/no: no such file or directory`);
    expect(said(driver.remove(""))).toBe("refusing to remove the directories: id is empty");
  });
});

test("removing a mounted layer unmounts it, and takes its link; nobody asks for its children", () => {
  const { host, driver } = start();
  must(driver.create("a", ""));
  must(driver.createReadWrite("c", "a"));
  must(driver.get("c"));
  expect(driver.remove("c")).toBeUndefined();
  expect(host.mountedBelow(HOME)).toEqual([]);
  expect(names(host, HOME)).toEqual(["a", "l"]);
  expect(names(host, `${HOME}/l`)).toHaveLength(1);
  must(driver.createReadWrite("d", "a"));
  expect(driver.remove("a")).toBeUndefined();
  expect(said(driver.get("d"))).toMatch(/^error creating overlay mount to .*\/d\/merged: no such file or directory$/);
});
