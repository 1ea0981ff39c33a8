/** zfs(8) beside Docker: words as they are typed, and what the tool writes. */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import { createPool } from "../../sim/cow/zfs/assemble.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { runZfs } from "../../src/drivers/zfs-tool.ts";

function hostWithPool(): Host {
  const host = createHost();
  const pool = createPool({ clock: host.clock, memory: GIB(1) }, { name: "tank", tops: [[new Disk({ size: GIB(1) })]] });
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
  expect(run(host, "list tank/d").split("\t")).toHaveLength(5);
  expect(run(host, "destroy -d tank/d@s")).toBe("");
  expect(run(host, "destroy -rR tank/d")).toBe("");
  expect(run(host, "list -H -o name")).toBe("tank");
});

test("what the tool does not know, or cannot find, it says", () => {
  const host = hostWithPool();
  expect(run(host, "frobnicate tank")).toBe("! unrecognized command 'frobnicate'");
  expect(run(host, "list -x")).toBe("! invalid option 'x'");
  expect(run(host, "list -o")).toBe("! missing argument for 'o' option");
  expect(run(host, "list -t volume")).toBe("! invalid type 'volume'");
  expect(run(host, "list tank/no")).toBe("! cannot open 'tank/no': dataset does not exist");
  expect(run(host, "get used tank/no")).toBe("! cannot open 'tank/no': dataset does not exist");
  expect(run(host, "list pond/a")).toBe("! cannot open 'pond/a': no such pool");
  expect(run(createHost(), "list")).toBe("! The ZFS modules are not loaded.");
});
