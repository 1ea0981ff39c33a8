/** overlayFs on every driver: layers below, a container above, and what it can do beyond node:fs. */
import realFs, { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { fromDir, fromJson, type NodeFs, nodeFs, type OverlayFs, overlayFs } from "../../src/entry/fs.ts";
import { labOn, must } from "../drivers/docker-host.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-lower-"));
afterAll(() => rmSync(folder, { recursive: true }));

const LOWER = fromJson({ "/etc/motd": "hello", "/d/x/y": "1", "/empty": null });

/** Everything: names, modes, links, times of change in units of `unit` milliseconds, contents. */
function treeOf(fs: OverlayFs, unit: number): unknown[] {
  return fs.readdirSync("/", { recursive: true, encoding: "utf8" }).map((name) => {
    const of = fs.lstatSync(`/${name}`);
    const content = of.isFile() ? fs.readFileSync(`/${name}`, "utf8") : of.isSymbolicLink() ? fs.readlinkSync(`/${name}`) : null;
    return [name, of.mode, of.isDirectory() ? null : of.nlink, Math.floor(of.mtimeMs / unit), content];
  });
}

describe.each([...DRIVERS.keys()].sort())("%s", (semantics) => {
  const fs = overlayFs({ lower: [LOWER], semantics });

  test("changes show in diff, not in the layers", () => {
    expect(fs.diff()).toEqual([]);
    fs.appendFileSync("/etc/motd", " you");
    fs.writeFileSync("/empty/new", "n");
    fs.rmSync("/d", { recursive: true });
    const rows = fs.diff().map(({ op, path }) => `${op} ${path}`);
    // AUFS keeps no folder in its branch for what it removes, nor tells of folders above a change that has it all along.
    for (const row of ["C /etc/motd", "A /empty/new", "D /d"]) expect(rows).toContain(row);
    fs.check();
  });

  test("a snapshot brings the changes back, and reset ends them", () => {
    const before = fs.diff();
    fs.utimesSync("/etc/motd", 100.5, 200.25);
    fs.chmodSync("/empty/new", 0o4711);
    fs.linkSync("/empty/new", "/empty/same");
    fs.symlinkSync("new", "/empty/link");
    fs.mkdirSync("/own/in", { recursive: true });
    // AUFS keeps whole seconds of a time that is set.
    const unit = semantics === "aufs" ? 1000 : 1;
    const whole = treeOf(fs, unit);
    const snapshot = fs.snapshot();
    fs.rmSync("/empty", { recursive: true });
    fs.writeFileSync("/etc/motd", "other");
    fs.restore(snapshot);
    expect(treeOf(fs, unit)).toEqual(whole);
    // What the container made itself is its own again: such a directory moves.
    fs.renameSync("/own", "/owned");
    expect(fs.diff().length).toBeGreaterThan(before.length);
    expect(fs.readFileSync("/etc/motd", "utf8")).toBe("hello you");
    expect(fs.existsSync("/d")).toBe(false);
    fs.reset();
    expect(fs.diff()).toEqual([]);
    expect(fs.readFileSync("/etc/motd", "utf8")).toBe("hello");
    fs.check();
  });

  test("renaming a directory of a layer is EXDEV on union drivers alone", () => {
    const union = ["aufs", "overlay", "overlay2"].includes(semantics);
    const rename = (): void => fs.renameSync("/d", "/e");
    if (union) expect(rename).toThrow("EXDEV: cross-device link not permitted, rename '/d' -> '/e'");
    else rename();
    expect(fs.existsSync("/e/x/y")).toBe(!union);
  });
});

test("the first of several lowers is on top", () => {
  const fs = overlayFs({ lower: [fromJson({ "/a": "top" }), fromJson({ "/a": "bottom", "/b": "bottom" })] });
  expect([fs.readFileSync("/a", "utf8"), fs.readFileSync("/b", "utf8")]).toEqual(["top", "bottom"]);
});

test("a folder of the machine is a layer with its modes and links", () => {
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/run"), "#!", { mode: 0o750 });
  symlinkSync("bin/run", join(folder, "run"));
  const fs = overlayFs({ lower: [fromDir(folder)] });
  expect(fs.statSync("/run").mode & 0o777).toBe(0o750);
  expect(fs.readlinkSync("/run")).toBe("bin/run");
  expect(fs.readFileSync("/run", "latin1")).toBe("#!");
});

test("somebody else's calls are refused as the kernel refuses them", () => {
  const fs = overlayFs({ lower: [LOWER], user: { uid: 1000, gid: 1000 } });
  expect(() => fs.writeFileSync("/etc/motd", "")).toThrow("EACCES: permission denied, open '/etc/motd'");
  expect(() => fs.chownSync("/etc/motd", 1000, 1000)).toThrow("EPERM: operation not permitted, chown '/etc/motd'");
});

test("an unknown driver is named with the known ones", () => {
  expect(() => overlayFs({ semantics: "ovl" })).toThrow(
    "there is no driver ovl: there are aufs, btrfs, devicemapper, overlay, overlay2, vfs, zfs",
  );
});

test("the clock goes on with each call, or follows another one", () => {
  const fs = overlayFs();
  fs.writeFileSync("/a", "");
  for (let call = 0; call < 10; call++) fs.existsSync("/a");
  fs.writeFileSync("/b", "");
  expect(fs.statSync("/b").mtimeMs - fs.statSync("/a").mtimeMs).toBeGreaterThan(5);
  let now = 1_700_000_000_000;
  const led = overlayFs({ now: () => now });
  now += 60_000;
  led.writeFileSync("/a", "");
  expect(Math.abs(led.statSync("/a").mtimeMs - now)).toBeLessThan(10);
});

test("two of one seed tell the same of everything", () => {
  const run = (): unknown => {
    const fs = overlayFs({ lower: [LOWER], seed: 3 });
    const made = fs.mkdtempSync("/tmp-");
    fs.writeFileSync(`${made}/f`, "x");
    return [made, fs.statSync(`${made}/f`, { bigint: true }), fs.diff()];
  };
  expect(run()).toEqual(run());
});

test("a watcher hears its own container and no other, nor the layer below", async () => {
  const lab = labOn("overlay2");
  must(lab.addLayer("base"));
  LOWER.fill(must(lab.task("base")));
  for (const name of ["one", "other"]) must(lab.addContainer(name, "base"));
  const [one, other] = ["one", "other"].map((name) => nodeFs(must(lab.task(name)))) as [NodeFs, NodeFs];
  const told: string[] = [];
  const watcher = one.watch("/etc/motd", (eventType) => told.push(eventType));
  other.appendFileSync("/etc/motd", "!");
  await new Promise((resolve) => setTimeout(resolve, 2));
  expect(told).toEqual([]);
  one.appendFileSync("/etc/motd", "?");
  await new Promise((resolve) => setTimeout(resolve, 2));
  expect(told).toEqual(["change"]);
  watcher.close();
  expect([one.readFileSync("/etc/motd", "utf8"), other.readFileSync("/etc/motd", "utf8")]).toEqual(["hello?", "hello!"]);
});

test("a watcher of a container that was ended hears nothing of the one that follows", async () => {
  const fs = overlayFs({ lower: [LOWER] });
  const told: string[] = [];
  fs.watch("/etc", (type) => told.push(`before ${type}`));
  fs.reset();
  fs.watch("/etc", (type) => told.push(`after ${type}`));
  fs.appendFileSync("/etc/motd", "!");
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(told.filter((one) => one.endsWith("change"))).toEqual(["after change"]);
});

test("opendir takes a buffer of at least one entry, as Node does", () => {
  const fs = overlayFs();
  for (const bufferSize of [0, -1, 1.5, 2 ** 32]) {
    const answers = [realFs, fs].map((one) => {
      try {
        return one.opendirSync("/", { bufferSize }).path;
      } catch (error) {
        return [(error as NodeJS.ErrnoException).code, (error as Error).message];
      }
    });
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[1]).toContain("ERR_OUT_OF_RANGE");
  }
  fs.opendirSync("/", { bufferSize: 1 }).closeSync();
});
