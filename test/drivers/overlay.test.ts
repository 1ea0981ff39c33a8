import { describe, expect, test } from "vitest";
import type { Host } from "../../sim/host.ts";
import { type GraphDriver, isDriverError } from "../../src/drivers/driver.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, mode, must, names, put, said, text } from "./docker-host.ts";

const HOME = "/var/lib/docker/overlay";

function start(): { host: Host; driver: GraphDriver } {
  const host = dockerHost();
  return { host, driver: driverOn(host, { name: "overlay" }) };
}

/** An image of one layer with two names of one file, and a folder. */
function withImage(): { host: Host; driver: GraphDriver } {
  const { host, driver } = start();
  must(driver.create("image", ""));
  const root = must(driver.get("image"));
  put(host, `${root}/file`, "lower");
  must(host.task.link(`${root}/file`, `${root}/second`));
  must(host.task.mkdir(`${root}/folder`, 0o751));
  put(host, `${root}/folder/inner`, "inner");
  return { host, driver };
}

/** A layer over the image: one file changed, one removed, the folder made anew; committed. */
function withCommitted(): { host: Host; driver: GraphDriver } {
  const { host, driver } = withImage();
  must(driver.createReadWrite("layer", "image"));
  const merged = must(driver.get("layer"));
  put(host, `${merged}/file`, "changed");
  must(host.task.unlink(`${merged}/folder/inner`));
  must(host.task.rmdir(`${merged}/folder`));
  must(host.task.mkdir(`${merged}/folder`, 0o700));
  put(host, `${merged}/folder/new`, "new");
  driver.put("layer");
  must(driver.commit?.("layer"));
  return { host, driver };
}

describe("overlay on disk", () => {
  test("the home is 0710, an image layer is root/ alone and is its own tree, not mounted", () => {
    const { host, driver } = withImage();
    expect([mode(host, HOME), mode(host, `${HOME}/image`), mode(host, `${HOME}/image/root`)]).toEqual([0o710, 0o710, 0o755]);
    expect(names(host, `${HOME}/image`)).toEqual(["root"]);
    expect(driver.get("image")).toBe(`${HOME}/image/root`);
    expect(host.mountedBelow(HOME)).toEqual([]);
    expect(driver.metadata("image")).toEqual({ RootDir: `${HOME}/image/root` });
  });

  test("a container has upper/, work/ and lower-id, its parent's id without a line end, and merged/ while it is mounted", () => {
    const { host, driver } = withImage();
    must(driver.createReadWrite("c", "image"));
    expect(names(host, `${HOME}/c`)).toEqual(["lower-id", "upper", "work"]);
    expect([text(host, `${HOME}/c/lower-id`), mode(host, `${HOME}/c/lower-id`)]).toEqual(["image", 0o600]);
    expect([mode(host, `${HOME}/c/upper`), mode(host, `${HOME}/c/work`)]).toEqual([0o755, 0o700]);
    expect(driver.get("c")).toBe(`${HOME}/c/merged`);
    expect(mode(host, `${HOME}/c/merged`)).toBe(0o755);
    driver.put("c");
    expect(names(host, `${HOME}/c`)).toEqual(["lower-id", "upper", "work"]);
    expect(driver.metadata("c")).toEqual({
      LowerDir: `${HOME}/image/root`,
      MergedDir: `${HOME}/c/merged`,
      UpperDir: `${HOME}/c/upper`,
      WorkDir: `${HOME}/c/work`,
    });
  });

  test("a layer over a container starts with a copy of its upper folder, over the same image layer", () => {
    const { host, driver } = withImage();
    must(driver.createReadWrite("c-init", "image"));
    put(host, `${must(driver.get("c-init"))}/resolv.conf`, "init");
    driver.put("c-init");
    must(driver.createReadWrite("c", "c-init"));
    expect(text(host, `${HOME}/c/lower-id`)).toBe("image");
    expect(text(host, `${must(driver.get("c"))}/resolv.conf`)).toBe("init");
    expect(driver.changes("c", "c-init")).toEqual([]);
    driver.put("c");
  });
});

describe("an image layer made of a container", () => {
  test("shares the inodes of what it left as it was, and holds what it changed in inodes of its own", () => {
    const { host } = withCommitted();
    const of = (id: string, name: string) => must(host.task.stat(`${HOME}/${id}/root/${name}`));
    expect(names(host, `${HOME}/layer`)).toEqual(["root"]);
    expect(of("layer", "second").inodeNumber).toBe(of("image", "second").inodeNumber);
    expect(of("image", "file").nlink).toBe(3);
    expect(of("layer", "file").inodeNumber).not.toBe(of("image", "file").inodeNumber);
    expect([text(host, `${HOME}/layer/root/file`), text(host, `${HOME}/image/root/file`)]).toEqual(["changed", "lower"]);
  });

  test("has no whiteouts: what was removed is not linked, an opaque folder holds only its own", () => {
    const { host, driver } = withCommitted();
    expect(names(host, `${HOME}/layer/root/folder`)).toEqual(["new"]);
    expect(mode(host, `${HOME}/layer/root/folder`)).toBe(0o700);
    expect(names(host, `${HOME}/image/root/folder`)).toEqual(["inner"]);
    expect(driver.changes("layer", "image")).toEqual([
      { kind: "C", path: "/file" },
      { kind: "C", path: "/folder" },
      { kind: "A", path: "/folder/new" },
      { kind: "D", path: "/folder/inner" },
    ]);
  });

  test("costs one inode for each folder and each changed file, none for a file that stays", () => {
    const { host, driver } = withImage();
    const before = must(host.task.statfs(HOME)).filesFree;
    must(driver.createReadWrite("layer", "image"));
    must(driver.commit?.("layer"));
    // <id>, root and folder.
    expect(before - must(host.task.statfs(HOME)).filesFree).toBe(3);
    host.check();
  });
});

describe("overlay refuses", () => {
  test("any storage option, of the daemon and of a container", () => {
    const { driver } = start();
    expect(said(driver.createReadWrite("c", "", { storage: { size: "10G" } }))).toBe(
      "--storage-opt is not supported for overlay",
    );
    expect(driver.exists("c")).toBe(false);
    expect(said(startDriver(dockerHost(), { name: "overlay", options: ["overlay.size=10G"] }))).toBe(
      "overlay: unknown option overlay.size",
    );
  });

  test("a parent that is not there, and leaves nothing of the new layer", () => {
    const { driver } = start();
    expect(isDriverError(driver.createReadWrite("c", "nobody"))).toBe(true);
    expect(driver.exists("c")).toBe(false);
  });

  test("to remove nothing, and counts a layer that is gone as removed", () => {
    const { driver } = start();
    expect(said(driver.remove(""))).toBe("refusing to remove the directories: id is empty");
    expect(driver.remove("nobody")).toBeUndefined();
  });
});

test("overlay's status names the backing filesystem", () => {
  expect(start().driver.status()).toEqual([
    ["Backing Filesystem", "extfs"],
    ["Supports d_type", "true"],
  ]);
});
