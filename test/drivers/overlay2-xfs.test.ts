/** overlay2 on xfs: what it asks of the way the filesystem was made. */
import { expect, test } from "vitest";
import { GIB } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { OVERLAY2 } from "../../src/drivers/overlay2.ts";

function started(make: string): ReturnType<typeof OVERLAY2.init> {
  const host = createHost();
  expect(isDriverError(prepareDockerRoot(host, { backing: "xfs", size: GIB(1), make }))).toBe(false);
  return OVERLAY2.init({ host, home: `${DOCKER_ROOT}/overlay2`, options: [], settings: {} });
}

test("an xfs whose entries do not tell their type is refused with the way to mend it", () => {
  const answer = started("-m crc=0 -n ftype=0");
  expect(isDriverError(answer) ? answer.message : "started").toBe(
    "overlay2: the backing xfs filesystem is formatted without d_type support, which leads to incorrect behavior. " +
      "Reformat the filesystem with ftype=1 to enable d_type support. Backing filesystems without d_type support are not supported.",
  );
});

test("an xfs of the defaults, without shared blocks, or without checksums but with types, is taken", () => {
  for (const make of ["", "-m reflink=0", "-m crc=0 -n ftype=1"]) expect(isDriverError(started(make)), make).toBe(false);
});
