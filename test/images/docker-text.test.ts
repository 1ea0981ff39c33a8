/**
 * Tables as the docker command prints them, held to what it printed.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { humanSize } from "../../src/drivers/human-size.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { containerUsage, createContainer } from "../../src/images/containers.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import { humanDuration, psText, systemDfText } from "../../src/images/docker-text.ts";
import { type ImageFiles, tarFiles } from "../../src/images/files.ts";
import type { StoredImage } from "../../src/images/image-store.ts";
import { imageUsage } from "../../src/images/views.ts";
import { must } from "../drivers/docker-host.ts";
import { loaded, UPDATED } from "./daemons.ts";
import { material } from "./material.ts";

/** Every image of a real store, whose layers an archive of it has brought already: configurations, parents, tags. */
function restoreImages(daemon: Daemon, store: ImageFiles): void {
  const text = (name: string): string => store.get(name)?.toText() ?? "";
  for (const name of store.names.filter((one) => one.startsWith("imagedb/content/")))
    must(daemon.images.create(store.get(name)?.toBytes() ?? new Uint8Array(0)));
  for (const name of store.names.filter((one) => one.endsWith("/parent") && one.startsWith("imagedb/")))
    daemon.images.setParent(`sha256:${name.split("/")[3]}`, text(name));
  const { Repositories } = JSON.parse(text("repositories.json")) as { Repositories: Record<string, Record<string, string>> };
  for (const tags of Object.values(Repositories))
    for (const [reference, id] of Object.entries(tags)) must(daemon.images.tag(id, reference, UPDATED));
}

const RUNS = ["vfs", "overlay", "overlay2", "btrfs"];

test.each(RUNS)("%s: docker system df -v is Docker's to the last space", async (driver) => {
  const { daemon } = await loaded(material(`save-${driver}.tar.gz`), driver);
  restoreImages(daemon, tarFiles(Content.literal(gunzipSync(readFileSync(material(`image-store-${driver}.tar.gz`)))), "strict"));
  daemon.images.check();
  const real = readFileSync(material(`run-${driver}/system-df.txt`), "utf8");
  const newest = Math.max(...daemon.images.images.map(({ config }) => Date.parse(String(config.record["created"])) / 1000));
  // When it was asked is not recorded; the ages of all images together leave less than a second or two.
  const asked = Array.from({ length: 30 }, (_, tenths) => systemDfText(imageUsage(daemon), [], newest + tenths / 10));
  expect(asked).toContain(real);
});

describe("docker ps -as", () => {
  test("shows the container's own bytes and the image's with them, the newest first, the command cut", async () => {
    const { daemon } = await loaded(material("save-overlay2.tar.gz"), "overlay2");
    const image = daemon.images.get("lab/built:4") as StoredImage;
    const one = must(createContainer(daemon, image, "one"));
    daemon.host.clock.advance(90e9 as never);
    const other = must(createContainer(daemon, daemon.images.get("lab/app:2") as StoredImage, "other"));
    const usage = must(containerUsage(daemon, [one, other]));
    const text = psText(usage, imageUsage(daemon), daemon.host.clock.time().seconds);
    const id = (container: { readonly id: string }): string => container.id.slice(0, 12);
    expect(text.split("\n")).toEqual([
      "CONTAINER ID   IMAGE         COMMAND                  CREATED                  STATUS    PORTS     NAMES     SIZE",
      `${id(other)}   lab/app:2     "/tool/do write /dat…"   Less than a second ago   Created             other     0B (virtual 3.08MB)`,
      `${id(one)}   lab/built:4   "x"                      About a minute ago       Created             one       0B (virtual 6.08MB)`,
      "",
    ]);
    expect(must(daemon.layers.releaseWritable(one.layer))).toEqual([]);
  });

  test("shows of containers of one moment the one first that was made last", async () => {
    const { daemon } = await loaded(material("save-vfs.tar.gz"), "vfs");
    const image = daemon.images.get("lab/app:2") as StoredImage;
    const made = ["one", "other"].map((name) => must(createContainer(daemon, image, name)));
    const text = psText(must(containerUsage(daemon, made)), imageUsage(daemon), daemon.host.clock.time().seconds);
    expect(text.match(/\b(?:one|other)\b/g)).toEqual(["other", "one"]);
  });

  test.each([...DRIVERS.keys()])("%s: what is shared, unique and freed adds up, for images and containers", async (driver) => {
    const { daemon } = await loaded(material("save-vfs.tar.gz"), driver);
    const built = daemon.images.get("lab/built:4") as StoredImage;
    const app = daemon.images.get("lab/app:2") as StoredImage;
    const freedOf = (tag: string): number | undefined => imageUsage(daemon).find((image) => image.tag === tag)?.freed;
    const size = imageUsage(daemon).find(({ tag }) => tag === "4")?.size ?? 0;
    const unique = imageUsage(daemon).find(({ tag }) => tag === "4")?.unique;
    expect([freedOf("4"), freedOf("2")]).toEqual([unique, 0]);
    const container = must(createContainer(daemon, built, "c"));
    const [usage] = must(containerUsage(daemon, [container]));
    expect(usage).toMatchObject({ size: 0, virtual: size, shared: size, unique: 0, freed: 0 });
    // Nothing of an image with a container can go; of the other, whose layers it shares, nothing either.
    expect([freedOf("4"), freedOf("2")]).toEqual([0, 0]);
    must(daemon.layers.releaseWritable(container.layer));
    must(daemon.images.delete(app.config.id));
    expect(freedOf("4")).toBe(size);
    const removed = must(daemon.images.delete(built.config.id));
    expect(removed.reduce((sum, layer) => sum + layer.size, 0)).toBe(size);
    expect(imageUsage(daemon)).toEqual([]);
  });
});

test.each([
  [0.4, "Less than a second"],
  [-90, "Less than a second"],
  [1.9, "1 second"],
  [59, "59 seconds"],
  [119, "About a minute"],
  [3599, "59 minutes"],
  [3600 * 1.4, "About an hour"],
  [3600 * 1.5, "2 hours"],
  [3600 * 47, "47 hours"],
  [86400 * 2, "2 days"],
  [86400 * 14, "2 weeks"],
  [86400 * 60, "2 months"],
  [86400 * 729, "24 months"],
  [86400 * 730, "2 years"],
])("an age of %s seconds is %s", (seconds, text) => {
  expect(humanDuration(seconds)).toBe(text);
});

test.each([
  [0, 4, "0B"],
  [999, 3, "999B"],
  [5516, 3, "5.52kB"],
  [5516, 4, "5.516kB"],
  [6_075_766, 4, "6.076MB"],
  [3_000_000, 4, "3MB"],
  [999_600, 3, "1e+03kB"],
  [999_960, 4, "1000kB"],
] as const)("%s bytes in %s digits are %s", (bytes, digits, text) => {
  expect(humanSize(bytes, digits)).toBe(text);
});
