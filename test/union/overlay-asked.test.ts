/**
 * Mounts of overlayfs over what hands have put into its layers, or over an upper and a work folder that were another mount's: each step with what
 * Linux 6.18 answered on tmpfs (test/data/overlay-asked.json, which test/kernel/overlay-asked.py records). And copy-up, removal and renames where the
 * upper layer's ext4 or xfs has no space left, or nearly none: what the call answers, what stays in the upper and the work directory, whether the mount
 * goes on, and the same call again once there is space (overlay-full.json, with --full). And what shows where the inode that a mark names is gone and
 * its number is another's (overlay-reused.json, with --reused).
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ENOENT } from "../../sim/core/errno.ts";
import { k4_0 } from "../../sim/core/kernel-profile.ts";
import { createHost } from "../../sim/host.ts";
import { act, mounted, prepared, type Step, told } from "./asked-steps.ts";
import { must } from "./aufs-lab.ts";

type Cases = Record<string, readonly (readonly [step: Step, told: string])[]>;
const CASES = ["asked", "full", "reused"].flatMap((name) =>
  Object.entries(JSON.parse(readFileSync(new URL(`../data/overlay-${name}.json`, import.meta.url), "utf8")) as Cases),
);

test.each(CASES)("%s: each step is answered as the kernel answered it", (_name, steps) => {
  const host = prepared();
  const got = steps.map(([step]) => {
    const answer = act(host, step);
    host.check();
    return [step, answer];
  });
  expect(got).toEqual(steps);
});

test("an older kernel knows no layers of data alone, and gives nobody an attribute of its own name", () => {
  const host = createHost({ kernel: k4_0 });
  const { task } = host;
  for (const path of ["/b", "/b/m", "/b/up", "/b/work", "/b/low", "/b/data"]) must(task.mkdir(path, 0o755));
  expect(mounted(host, "overlay", "/b/m", "lowerdir=/b/low::/b/data")).toBe("EINVAL");
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low")).toBe("ok");
  must(task.mkdir("/b/m/d", 0o755));
  expect(told(task.setxattr("/b/m/d", "trusted.overlay.colour", new Uint8Array(1)))).toBe("EPERM");
});

test("more than 500 lower layers are refused (OVL_MAX_STACK)", () => {
  const host = prepared();
  const lower = Array.from({ length: 501 }, (_, at) => `/${at}`);
  for (const path of lower) must(host.task.mkdir(path, 0o755));
  expect(mounted(host, "overlay", "/b/m", `lowerdir=${lower.join(":")}`)).toBe("EINVAL");
  expect(mounted(host, "overlay", "/b/m", `lowerdir=${lower.slice(1).join(":")}`)).toBe("ok");
});

test("a name that is not there is neither removed nor renamed nor exchanged, and a file renamed onto itself stays", () => {
  const host = prepared();
  must(host.task.mkdir("/b/up/d", 0o755));
  act(host, ["put", "/up/f", "x"]);
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low")).toBe("ok");
  const { fs } = must(host.task.resolve("/b/m")).mount;
  const name = (text: string) => host.names.intern(text);
  const [none, file] = [name("none"), name("f")];
  expect([fs.unlink(fs.root, none), fs.rmdir(fs.root, none), fs.rename(fs.root, none, fs.root, name("new"), 0)]).toEqual([
    ENOENT,
    ENOENT,
    ENOENT,
  ]);
  expect(fs.rename(fs.root, file, fs.root, file, 0)).toBeUndefined();
  fs.check();
});

test("a colon in a lower layer's path is written with a backslash before it (asked)", () => {
  const host = prepared();
  must(host.task.mkdir("/b/a:b", 0o755));
  act(host, ["put", "/a:b/f", "x"]);
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/a\\:b")).toBe("ok");
  expect(act(host, ["list", "/m"])).toBe("f");
});

test("an origin on a filesystem that is no layer's is no origin", () => {
  const host = prepared();
  act(host, ["put", "/up/f", "x"]);
  const handle = new Uint8Array(29);
  handle.set([0, 0xfb, 29, 0, 1, 0xee, 0xee, 0xee, 0xee]);
  must(host.task.setxattr("/b/up/f", "trusted.overlay.origin", handle));
  expect(mounted(host, "overlay", "/b/m", "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low")).toBe("ok");
  const [shown, real] = ["/b/m/f", "/b/up/f"].map((path) => must(host.task.stat(path)).inodeNumber);
  expect(shown).toBe(real);
  host.check();
});
