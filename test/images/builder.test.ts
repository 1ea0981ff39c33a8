/** What instructions without a RUN make: recorded with docker build of 20.10.24 without BuildKit, on overlay2. */
import { expect, test } from "vitest";
import { buildStep, type Instruction } from "../../src/images/builder.ts";
import type { StoredImage } from "../../src/images/image-store.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The images of a Dockerfile's lines, each over the one before. */
function built(driver: string, lines: readonly (readonly [Instruction["verb"], string])[]): readonly StoredImage[] {
  const daemon = daemonOn(driver);
  const images: StoredImage[] = [];
  for (const [verb, text] of lines) images.push(must(buildStep(daemon, images.at(-1), { verb, text }, () => undefined)).image);
  daemon.host.check();
  return images;
}

const LINES = [
  ["ENV", "A=1 B=two"],
  ["LABEL", "l=v"],
  ["WORKDIR", "/new/dir"],
  ["WORKDIR", "sub"],
  ["USER", "1000"],
  ["VOLUME", "/d1 /d2"],
  ["CMD", 'echo "hi"'],
] as const;

test.each(["overlay2", "vfs", "btrfs"])(
  "on %s each has Docker's line in the history, and only WORKDIR makes layers",
  (driver) => {
    const images = built(driver, LINES);
    const last = images.at(-1)?.config;
    expect(last?.history.map(({ createdBy, emptyLayer }) => `${emptyLayer ? "empty" : "layer"} ${createdBy}`)).toEqual([
      "empty /bin/sh -c #(nop)  ENV A=1 B=two",
      "empty /bin/sh -c #(nop)  LABEL l=v",
      "layer /bin/sh -c #(nop) WORKDIR /new/dir",
      "layer /bin/sh -c #(nop) WORKDIR /new/dir/sub",
      "empty /bin/sh -c #(nop)  USER 1000",
      "empty /bin/sh -c #(nop)  VOLUME [/d1 /d2]",
      'empty /bin/sh -c #(nop)  CMD ["/bin/sh" "-c" "echo \\"hi\\""]',
    ]);
    expect(last?.record).toMatchObject({
      config: {
        Env: [PATH, "A=1", "B=two"],
        Cmd: ["/bin/sh", "-c", 'echo "hi"'],
        Image: images.at(-2)?.config.id,
        WorkingDir: "/new/dir/sub",
        User: "1000",
      },
    });
  },
);

test("a WORKDIR that is there keeps its mode and makes no layer, and RUN begins in it", () => {
  const daemon = daemonOn("overlay2");
  const step = (from: StoredImage | undefined, verb: Instruction["verb"], text: string, path?: string): StoredImage =>
    must(
      buildStep(daemon, from, { verb, text }, ({ task }) => {
        if (path !== undefined) must(task.mkdir(path, 0o700));
        return undefined;
      }),
    ).image;
  const base = step(undefined, "RUN", "mkdir -m 700 /app", "/app");
  const inside = step(base, "WORKDIR", "/app/../app/");
  expect(inside.config.diffIds).toEqual(base.config.diffIds);
  const ran = step(inside, "RUN", "mkdir below", "below");
  must(
    buildStep(daemon, ran, { verb: "RUN", text: "look" }, ({ task }) => {
      expect(must(task.readdir("/app")).map(({ name }) => name)).toEqual(["below"]);
      expect(must(task.stat("/app")).mode & 0o777).toBe(0o700);
      return undefined;
    }),
  );
});

test("a PATH of the image's own stays", () => {
  const images = built("vfs", [
    ["ENV", "PATH=/bin"],
    ["ENV", "A=1"],
  ]);
  expect(images.at(-1)?.config.record).toMatchObject({ config: { Env: ["PATH=/bin", "A=1"] } });
});
