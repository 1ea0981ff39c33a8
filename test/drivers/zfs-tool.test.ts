/** zfs(8) beside Docker: words as they are typed, and what the tool writes. */
import { expect, test } from "vitest";
import type { BlockDevice } from "../../sim/block/device.ts";
import { Disk } from "../../sim/block/disk.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import { createPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { OPENZFS_2_1, ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { runZfs } from "../../src/drivers/zfs-tool.ts";
import { runZpool } from "../../src/drivers/zpool-tool.ts";

function hostWithPool(profile = OPENZFS_2_1): Host {
  const host = createHost();
  const pool = createPool({ clock: host.clock, memory: GIB(1) }, { name: "tank", profile, tops: [[new Disk({ size: GIB(1) })]] });
  if (isErrno(pool)) throw new Error(pool.code);
  host.pools.set("tank", pool);
  return host;
}

const run = (host: Host, line: string): string => {
  const answer = runZfs(host, line.split(" "));
  return "out" in answer ? answer.out : `! ${answer.err}`;
};

test("datasets are made, listed, promoted, renamed, rolled back and destroyed by the tool's words", () => {
  const host = hostWithPool();
  expect(run(host, "create -o quota=10M -o atime=off tank/a")).toBe("");
  expect(run(host, "get -Hp quota,atime,copies tank/a")).toBe(
    "tank/a\tquota\t10485760\tlocal\ntank/a\tatime\toff\tlocal\ntank/a\tcopies\t1\tdefault",
  );
  expect(run(host, "set quota=none tank/a")).toBe("");
  expect(run(host, "snapshot tank/a@s")).toBe("");
  expect(run(host, "rollback tank/a@s")).toBe("");
  expect(run(host, "clone -oreadonly=on tank/a@s tank/c")).toBe("");
  expect(run(host, "list -Hp -o name,origin,readonly tank/c")).toBe("tank/c\ttank/a@s\ton");
  expect(run(host, "promote tank/c")).toBe("");
  expect(run(host, "rename tank/c tank/d")).toBe("");
  expect(run(host, "list -Hp -t all -o name")).toBe("tank\ntank/a\ntank/d\ntank/d@s");
  expect(run(host, "list -Hp -t snapshot -o name,used")).toMatch(/^tank\/d@s\t\d+$/);
  expect(run(host, "list -Hp")).toContain("tank/d\t");
  expect(run(host, "list -H tank/d").split("\t")).toHaveLength(5);
  expect(run(host, "destroy -d tank/d@s")).toBe("");
  expect(run(host, "destroy -rR tank/d")).toBe("");
  expect(run(host, "list -H -o name")).toBe("tank");
});

test("zfs list tells the space of what lies below a dataset, in the columns of -o space", () => {
  const host = hostWithPool();
  for (const line of ["create tank/a", "create tank/a/b", "create tank/c", "snapshot tank/a@s"]) expect(run(host, line)).toBe("");
  expect(run(host, "list -Hpr -o name tank/a")).toBe("tank/a\ntank/a/b");
  expect(run(host, "list -Hpr -t all -o name tank/a")).toBe("tank/a\ntank/a@s\ntank/a/b");
  const get = (properties: string): string =>
    run(host, `get -Hp ${properties} tank/a`)
      .split("\n")
      .map((row) => row.split("\t")[2])
      .join("\t");
  expect(run(host, "list -Hp -o space tank/a")).toBe(
    `tank/a\t${get("available,used,usedbysnapshots,usedbydataset,usedbyrefreservation,usedbychildren")}`,
  );
});

test("numbers are rounded where -H is given without -p", () => {
  const host = hostWithPool();
  expect(run(host, "create -o quota=10M -o recordsize=8K tank/a")).toBe("");
  const columns = "quota,reservation,recordsize,used,usedbysnapshots,compressratio,copies,origin";
  expect(run(host, `list -H -o ${columns} tank/a`)).toBe("10M\tnone\t8K\t24K\t0B\t1.00x\t1\t-");
  expect(run(host, `list -Hp -o ${columns} tank/a`)).toBe("10485760\t0\t8192\t24576\t0\t1.00\t1\t-");
  expect(run(host, "get -H -o property,value quota,used tank/a")).toBe("quota\t10M\nused\t24K");
});

test("zpool list has the columns of the pool's version, eleven or eight, or those that are asked for by either name", () => {
  const host = hostWithPool();
  const zpool = (line: string): string => {
    const answer = runZpool(host, line.split(" "));
    return "out" in answer ? answer.out : `! ${answer.err}`;
  };
  const [name, size, allocated, free, ...others] = zpool("list -Hp").split("\t");
  expect([name, others]).toEqual(["tank", ["-", "-", "0", "0", "1.00", "ONLINE", "-"]]);
  expect(Number(allocated) + Number(free)).toBe(Number(size));
  expect(zpool("list -Hp -o name,alloc,cap,health tank")).toBe(`tank\t${allocated}\t0\tONLINE`);
  expect(zpool("list -o name,used")).toBe("! bad property list: invalid property 'used'");
  expect(zpool("list pond")).toBe("! cannot open 'pond': no such pool");
  expect(zpool("list -o name,size,health,cap")).toBe("NAME   SIZE    HEALTH    CAP\ntank   960M    ONLINE     0%");
  expect(runZpool(hostWithPool(ZFS_V23), ["list", "-Hp"])).toMatchObject({
    out: expect.stringMatching(/^tank\t\d+\t\d+\t\d+\t0\t1\.00\tONLINE\t-$/),
  });
  expect(runZpool(createHost(), ["list"])).toEqual({ out: "no pools available" });
});

test("a pool keeps its own properties and the commands that changed it, also for the machine that imports it next", () => {
  const host = hostWithPool();
  const tool = (line: string): string => {
    const [name, ...words] = line.split(" ");
    const answer = name === "zfs" ? runZfs(host, words) : runZpool(host, words);
    return "out" in answer && !("err" in answer) ? answer.out : `! ${"err" in answer ? answer.err : ""}`;
  };
  for (const line of [
    "zfs create tank/a",
    "zpool set comment=ours tank",
    "zfs create tank/a",
    "zfs list",
    "zfs destroy -nr tank/a",
  ])
    tool(line);
  expect(tool("zpool set failmode=never tank")).toBe(
    "! cannot set property for 'tank': 'failmode' must be one of 'wait | continue | panic'",
  );
  expect(tool("zpool get comment,failmode tank")).toBe(
    "NAME  PROPERTY  VALUE     SOURCE\ntank  comment   ours      local\ntank  failmode  wait      default",
  );
  expect(tool("zpool get -H feature@large_dnode tank")).toBe("tank\tfeature@large_dnode\tenabled\tlocal");
  tool("zfs set dnodesize=auto tank/a");
  expect(tool("zpool get -H feature@large_dnode tank")).toBe("tank\tfeature@large_dnode\tactive\tlocal");
  const commands = (): string[] =>
    tool("zpool history")
      .split("\n")
      .map((line) => line.slice(20));
  const expected = ["zfs create tank/a", "zpool set comment=ours tank", "zfs set dnodesize=auto tank/a"];
  expect(commands().slice(1)).toEqual(expected);
  const pool = host.pools.get("tank") as Pool;
  expect(pool.export()).toBeUndefined();
  const again = importPool({ clock: host.clock, memory: GIB(1) }, [pool.store.tops[0]?.sides[0]?.device as BlockDevice]);
  host.pools.set("tank", again as Pool);
  expect(commands().slice(1)).toEqual(expected);
});

test("what the tool does not know, or cannot find, it says", () => {
  const host = hostWithPool();
  expect(run(host, "frobnicate tank")).toBe("! unrecognized command 'frobnicate'");
  expect(run(host, "list -x")).toBe("! invalid option 'x'");
  expect(run(host, "list -o")).toBe("! missing argument for 'o' option");
  expect(run(host, "list -t frob")).toBe("! invalid type 'frob'");
  expect(runZfs(host, ["list", "-t", "volume"])).toEqual({ out: "", said: "no datasets available" });
  expect(run(host, "list tank/no")).toBe("! cannot open 'tank/no': dataset does not exist");
  expect(run(host, "get used tank/no")).toBe("! cannot open 'tank/no': dataset does not exist");
  expect(run(host, "list pond/a")).toBe("! cannot open 'pond/a': dataset does not exist");
  expect(run(createHost(), "list")).toBe("! The ZFS modules are not loaded.");
});
