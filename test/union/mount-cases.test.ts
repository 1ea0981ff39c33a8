/**
 * Mounting overlays as the kernel does: the scripts of test/kernel/mounts.ts, whose answers were recorded (spec/union.md A.8).
 */
import { expect, test } from "vitest";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { removeAll } from "../../src/drivers/files.ts";
import { MOUNT_CASES } from "../kernel/mounts.ts";
import type { MountStep } from "../kernel/oracle.ts";

const ROOT = "/t";

function makeAll(host: Host, path: string): Errno | undefined {
  const above = path.slice(0, path.lastIndexOf("/"));
  if (above !== "" && isErrno(host.task.stat(above))) makeAll(host, above);
  const made = host.task.mkdir(path, 0o755);
  return made?.code === "EEXIST" ? undefined : made;
}

function perform(host: Host, step: MountStep): Errno | undefined {
  const path = `${ROOT}/${step.path}`;
  switch (step.do) {
    case "mkdir":
      return makeAll(host, path);
    case "file":
      return host.task.mknod(path, 0o100644, 0);
    case "rmdir":
      return removeAll(host.task, path)?.errno;
    case "exists": {
      const of = host.task.lstat(path);
      return isErrno(of) ? of : undefined;
    }
    case "umount":
      return host.unmount(path);
    default: {
      makeAll(host, path);
      const request = { type: "overlay", source: "overlay", target: path, directory: ROOT };
      return host.mount({ ...request, options: step.options ?? "" })?.errno;
    }
  }
}

test.each(MOUNT_CASES)("$name: answered as the kernel answers", ({ steps, answers }) => {
  const host = createHost();
  makeAll(host, ROOT);
  host.mount({ type: "tmpfs", source: "tmpfs", target: ROOT });
  expect(steps.map((step) => perform(host, step)?.code ?? "ok")).toEqual(answers);
  host.check();
});
