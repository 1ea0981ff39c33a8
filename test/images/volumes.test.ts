/** VOLUME in the classic builder (moby v20.10.27 builder/dockerfile/dispatchers.go dispatchVolume; daemon/create_unix.go). */
import { expect, test } from "vitest";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import type { CallSession } from "../../src/calls/session.ts";
import { buildStep, type Instruction, volumesOf } from "../../src/images/builder.ts";
import type { StoredImage } from "../../src/images/image-store.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";

const nothing = (): undefined => undefined;

test.each(["overlay2", "vfs"])(
  "on %s, what a RUN writes to a volume is in no image, and its volume goes with its container",
  (driver) => {
    const daemon = daemonOn(driver);
    const step = (
      from: StoredImage | undefined,
      verb: Instruction["verb"],
      text: string,
      act: (session: CallSession) => void,
    ): StoredImage =>
      must(
        buildStep(daemon, from, { verb, text }, (session) => {
          act(session);
          return undefined;
        }),
      ).image;
    const base = step(undefined, "RUN", "mkdir /data", ({ task }) => void must(task.mkdir("/data", 0o711)));
    const declared = step(base, "VOLUME", "/data  /late", nothing);
    expect(declared.config.record).toMatchObject({
      config: { Volumes: { "/data": {}, "/late": {} } },
      container_config: { Cmd: ["/bin/sh", "-c", "#(nop) ", "VOLUME [/data /late]"] },
    });
    const ran = step(declared, "RUN", "touch", ({ task }) => {
      expect(must(task.stat("/data", newAttributes())).mode & 0o777).toBe(0o711);
      must(task.mkdir("/data/x"));
      must(task.mkdir("/kept"));
    });
    expect(ran.config.record).toMatchObject({ config: { Volumes: { "/data": {}, "/late": {} } } });
    expect(must(daemon.host.task.readdir("/var/lib/docker/volumes"))).toEqual([]);
    step(ran, "RUN", "look", ({ task }) => {
      expect(must(task.readdir("/data"))).toEqual([]);
      // The mount point itself was made in the layer.
      expect(must(task.readdir("/")).map(({ name }) => name)).toEqual(expect.arrayContaining(["data", "kept", "late"]));
    });
    daemon.host.check();
  },
);

test("volumes of a configuration that no path fits are left out", () => {
  expect(volumesOf({ Volumes: { "/a": {}, relative: {} } }).map(({ path }) => path)).toEqual(["/a"]);
  expect(volumesOf({ Volumes: null })).toEqual([]);
});
