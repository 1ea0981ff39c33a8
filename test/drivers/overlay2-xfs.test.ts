/** overlay2, and vfs, on xfs: what overlay2 asks of the way it was made, and sizes of containers (spec/drivers.md 5.5, 5.6, 12.1 SetQuota). */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOSPC, isErrno } from "../../sim/core/errno.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { DriverError, type GraphDriver, isDriverError } from "../../src/drivers/driver.ts";
import { OVERLAY } from "../../src/drivers/overlay.ts";
import { OVERLAY2 } from "../../src/drivers/overlay2.ts";
import { VFS } from "../../src/drivers/vfs.ts";
import { must } from "./docker-host.ts";

function started(make: string, kind = OVERLAY2, before?: (host: Host, home: string) => void): ReturnType<typeof OVERLAY2.init> {
  const host = createHost();
  expect(isDriverError(prepareDockerRoot(host, { backing: "xfs", size: GIB(1), make }))).toBe(false);
  const home = `${DOCKER_ROOT}/${kind.name}`;
  before?.(host, home);
  return kind.init({ host, home, options: [], settings: {} });
}

test.each([OVERLAY, OVERLAY2])(
  "an xfs whose entries do not tell their type is refused by $name with the way to mend it",
  (kind) => {
    const answer = started("-m crc=0 -n ftype=0", kind);
    expect(isDriverError(answer) ? answer.message : "started").toBe(
      `${kind.name}: the backing xfs filesystem is formatted without d_type support, which leads to incorrect behavior. ` +
        "Reformat the filesystem with ftype=1 to enable d_type support. Backing filesystems without d_type support are not supported.",
    );
  },
);

test.each([OVERLAY, OVERLAY2])(
  "a home with something in it goes on without types, and $name says so; an empty one is new",
  (kind) => {
    const made = (host: Host, home: string): void => void must(host.task.mkdir(home, 0o710));
    expect(said(started("-m crc=0 -n ftype=0", kind, made))).toContain("without d_type support");
    const answer = started("-m crc=0 -n ftype=0", kind, (host, home) => {
      made(host, home);
      must(host.task.mkdir(`${home}/layer`, 0o710));
    });
    expect(isDriverError(answer) ? answer.message : answer.status()[1]).toEqual(["Supports d_type", "false"]);
  },
);

test("an xfs of the defaults, without shared blocks, or without checksums but with types, is taken", () => {
  for (const make of ["", "-m reflink=0", "-m crc=0 -n ftype=1"]) expect(isDriverError(started(make)), make).toBe(false);
});

const HOME = `${DOCKER_ROOT}/driver`;
const said = (answer: unknown): string => (answer instanceof DriverError ? answer.message : "no error");

function hostOn(mount: string | undefined): Host {
  const host = createHost({ seed: 3 });
  must(prepareDockerRoot(host, { backing: "xfs", size: GIB(1), ...(mount === undefined ? {} : { mount }) }));
  return host;
}
function start(host: Host, kind: typeof OVERLAY2, options: readonly string[] = []): GraphDriver | DriverError {
  return kind.init({ host, home: HOME, options, settings: {} });
}

/** Writes as Go's WriteFile does. @returns what stopped it. */
function write(host: Host, path: string, length: number): string {
  const fd = must(host.task.open(path, O_WRONLY | O_CREAT, 0o644));
  for (let at = 0; at < length; ) {
    const written = host.task.write(fd, Content.pattern(5, length - at));
    if (isErrno(written)) {
      must(host.task.close(fd));
      return written.code;
    }
    at += written;
  }
  must(host.task.close(fd));
  return "ok";
}

function projectOf(host: Host, path: string): number | undefined {
  const place = must(host.task.resolve(path));
  return place.mount.fs.projects?.projectOf(place.inode);
}

test.each([
  ["overlay2", OVERLAY2],
  ["vfs", VFS],
])("a container of %s of 50 MiB takes 25 MiB, but not 50 more, and shows its size", (_name, kind) => {
  const host = hostOn("pquota");
  const driver = must(start(host, kind));
  must(driver.create("base", ""));
  must(driver.createReadWrite("small", "base", { storage: { size: "50M" } }));
  must(driver.createReadWrite("free", "base"));
  const small = must(driver.get("small"));
  const blocks = MIB(50) / KIB(4);
  expect(must(host.task.statfs(small))).toMatchObject({ blocks });
  expect(write(host, `${small}/one`, MIB(25))).toBe("ok");
  host.check();
  expect(write(host, `${small}/two`, MIB(50))).toBe(ENOSPC.code);
  host.check();
  const shown = must(host.task.statfs(small));
  expect(shown.blocks).toBe(blocks);
  // A mapping of a large write is 4 MiB: it finds room together or not at all.
  expect(shown.blocksFree).toBeLessThan(MIB(4) / KIB(4));
  const free = must(driver.get("free"));
  expect(write(host, `${free}/one`, MIB(80))).toBe("ok");
  expect(must(host.task.statfs(free)).blocks).toBeGreaterThan(blocks);
  driver.put("small");
  must(driver.remove("small"));
  host.check();
});

test("a layer's blocks below do not count in overlay2, the copy of them does in vfs", () => {
  for (const [kind, answer] of [
    [OVERLAY2, "ok"],
    [VFS, "ENOSPC"],
  ] as const) {
    const host = hostOn("prjquota");
    const driver = must(start(host, kind));
    must(driver.create("base", ""));
    expect(write(host, `${must(driver.get("base"))}/big`, MIB(30))).toBe("ok");
    must(driver.createReadWrite("small", "base", { storage: { size: "50m" } }));
    expect(write(host, `${must(driver.get("small"))}/more`, MIB(30)), kind.name).toBe(answer);
    host.check();
  }
});

test("a copy-up counts as a whole, also where it shares the blocks; one that does not fit is ENOSPC and leaves nothing", () => {
  const host = hostOn("pquota");
  const driver = must(start(host, OVERLAY2));
  must(driver.create("base", ""));
  const base = must(driver.get("base"));
  for (const name of ["fits", "does not"]) expect(write(host, `${base}/${name}`, MIB(30))).toBe("ok");
  must(driver.createReadWrite("small", "base", { storage: { size: "50M" } }));
  const small = must(driver.get("small"));
  const free = (): number => must(host.task.statfs(small)).blocksFree * KIB(4);
  const before = free();
  must(host.task.chmod(`${small}/fits`, 0o600));
  expect(before - free()).toBe(MIB(30));
  expect(host.task.chmod(`${small}/does not`, 0o600)).toBe(ENOSPC);
  host.check();
  expect(must(host.task.stat(`${small}/does not`)).mode & 0o777).toBe(0o644);
  expect(before - free()).toBe(MIB(30));
  for (const name of ["fits", "does not"]) must(host.task.unlink(`${small}/${name}`));
  expect(before - free()).toBe(0);
  host.check();
});

test("a project each, from two above the home's on; a restarted daemon goes on behind those that are there", () => {
  const host = hostOn("pquota");
  must(host.task.mkdir(HOME, 0o710));
  const home = must(host.task.resolve(HOME));
  must(home.mount.fs.projects?.setProject(home.inode, 999, false));
  const driver = must(start(host, OVERLAY2, ["overlay2.size=20M"]));
  expect(must(host.task.stat(`${HOME}/backingFsBlockDev`))).toMatchObject({ rdev: home.mount.fs.device, mode: 0o60600 });
  must(driver.create("base", ""));
  must(driver.createReadWrite("a", "base"));
  must(driver.createReadWrite("b", "base", { storage: { size: "30M" } }));
  const again = must(start(host, OVERLAY2));
  must(again.createReadWrite("c", "base", { storage: { size: "40M" } }));
  const layers = ["base", "a", "a/diff", "b", "c/work"];
  expect(layers.map((layer) => projectOf(host, `${HOME}/${layer}`))).toEqual([0, 1001, 1001, 1002, 1003]);
  const sizes = ["a", "b", "c"].map((id) => must(host.task.statfs(`${HOME}/${id}/diff`)).blocks * KIB(4));
  expect(sizes).toEqual([MIB(20), MIB(30), MIB(40)]);
});

test("vfs goes on behind the ids of the folders in dir/, and has a size of its own", () => {
  const host = hostOn("pquota");
  must((must(start(host, VFS, ["size=20M"])) as GraphDriver).createReadWrite("a", ""));
  must((must(start(host, VFS)) as GraphDriver).createReadWrite("b", "", { storage: { size: "30M" } }));
  expect(["a", "b"].map((id) => projectOf(host, `${HOME}/dir/${id}`))).toEqual([2, 3]);
  expect(must(host.task.statfs(`${HOME}/dir/a`)).blocks).toBe(MIB(20) / KIB(4));
});

test("sizes that cannot be are told in Docker's words", () => {
  const limits = hostOn("pquota");
  const driver = must(start(limits, OVERLAY2));
  expect(said(driver.create("x", "", { storage: { size: "1G" } }))).toBe(
    "--storage-opt size is only supported for ReadWrite Layers",
  );
  expect(said(driver.createReadWrite("x", "", { storage: { foo: "1" } }))).toBe("Unknown option foo");
  expect(said(driver.createReadWrite("x", "", { storage: { size: "q" } }))).toBe("invalid size: 'q'");
  expect(driver.exists("x")).toBe(false);
  const none = hostOn(undefined);
  const unsupported = "Filesystem does not support, or has not enabled quotas";
  expect(said(start(none, OVERLAY2, ["overlay2.size=1G"]))).toBe(
    `Storage option overlay2.size not supported. Filesystem does not support Project Quota: ${unsupported}`,
  );
  expect(said(must(start(none, OVERLAY2)).createReadWrite("x", "", { storage: { size: "1G" } }))).toBe(
    "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
  );
  expect(said(start(none, VFS, ["size=1G"]))).toBe(unsupported);
  expect(said(must(start(none, VFS)).createReadWrite("x", "", { storage: { size: "1G" } }))).toBe(unsupported);
});
