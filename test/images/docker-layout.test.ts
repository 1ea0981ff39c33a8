/**
 * What lies in Docker's folders through the life of a few images and a container, beside dockerd 20.10.24: for each moment how many files of
 * which type, mode and size have which name, ids and times left out (test/data/docker/layout).
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { O_CREAT, S_IFBLK, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { writePath } from "../../src/calls/write-all.ts";
import { openContext } from "../../src/images/build-context.ts";
import { buildStep } from "../../src/images/builder.ts";
import { commitContainer, importRootfs } from "../../src/images/commit.ts";
import { copyStep } from "../../src/images/copy-step.ts";
import { type Daemon, hostTime } from "../../src/images/daemon.ts";
import { runConfigOf, type StoredImage } from "../../src/images/image-store.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";

const FOLDER = new URL("../data/docker/", import.meta.url);
const TYPES: ReadonlyMap<number, string> = new Map([
  [S_IFDIR, "d"],
  [S_IFREG, "f"],
  [S_IFLNK, "l"],
  [S_IFBLK, "b"],
]);

/** Whether a folder's content is a layer's own, which drivers that mount unions show elsewhere. */
function isOfLayer(path: string): boolean {
  return /\/(diff|merged|work)$|\/subvolumes\/[^/]*$/.test(path);
}

function listing({ host, driver }: Daemon): string[] {
  const { task } = host;
  const rows = new Map<string, number>();
  const visit = (path: string): void => {
    for (const { name } of must(task.readdir(`/var/lib/docker/${path}`))) {
      const below = `${path}/${name}`;
      const of = must(task.lstat(`/var/lib/docker/${below}`));
      const type = TYPES.get(of.mode & S_IFMT) ?? "?";
      const size = type === "d" || /tar-split|imagedb\/content|repositories|lastUpdated/.test(below) ? "-" : of.size;
      const target = type === "l" ? ` -> ${must(task.readlink(`/var/lib/docker/${below}`))}` : "";
      const named = `${below}${target}`.replace(/[0-9a-f]{64}/g, "ID").replace(/\b[A-Z2-7]{26}\b/g, "LINK");
      const row = `${type} ${(of.mode & 0o7777).toString(8)} ${size} ${named}`;
      if (!below.endsWith("layerdb/mounts")) rows.set(row, (rows.get(row) ?? 0) + 1);
      if (type === "d" && !isOfLayer(below)) visit(below);
    }
  };
  visit("image");
  visit(driver.name);
  return [...rows].sort(([one], [other]) => (one < other ? -1 : 1)).map(([row, count]) => `${count} ${row}`);
}

function baseTar(): Content {
  const writer = new TarWriter();
  const add = (name: string, text: string): void => writer.add(tarHeader({ name, size: text.length }), Content.text(text));
  add("a", "a\n");
  add("c", "c\n");
  writer.add(tarHeader({ name: "dir/" }));
  add("dir/b", "b\n");
  return writer.end();
}

/** The moments that were recorded. */
function* life(daemon: Daemon): Generator<string> {
  const { host, images, layers, driver } = daemon;
  const tag = (image: StoredImage, name: string): void => must(images.tag(image.config.id, name, hostTime(host)));
  const base = must(importRootfs(daemon, baseTar()));
  tag(base, "base:latest");
  yield "import";
  const context = must(openContext(daemon, Content.literal(gunzipSync(readFileSync(new URL("copy/context.tar.gz", FOLDER))))));
  const env = must(buildStep(daemon, base, { verb: "ENV", text: "A=1" }, () => undefined)).image;
  const built = must(copyStep(daemon, env, { verb: "COPY", sources: ["a.txt"], to: "/copied" }, context)).image;
  must(context.close());
  tag(built, "built:latest");
  yield "build";
  const container = must(layers.createWritable("c".repeat(64), built.top?.chainId ?? "", { init: true }));
  yield "create";
  const root = must(driver.get(container.mountId));
  must(writePath(host.task, `${root}/new`, { flags: O_CREAT, mode: 0o644 }, Content.text("other\n")));
  must(driver.put(container.mountId));
  const committed = must(commitContainer(daemon, container, { parent: built, config: runConfigOf(built) }));
  tag(committed, "committed:latest");
  yield "commit";
  must(layers.releaseWritable(container));
  yield "rm";
  must(images.untag("committed:latest"));
  must(images.delete(committed.config.id));
  yield "rmi";
}

test.each(["overlay2", "vfs", "btrfs"])("%s: the folders of images and layers are as Docker has them", (driver) => {
  const daemon = daemonOn(driver);
  const shown: string[] = [];
  for (const moment of life(daemon)) shown.push(`### ${moment}`, ...listing(daemon));
  expect(shown).toEqual(
    readFileSync(new URL(`layout/${driver}.txt`, FOLDER), "utf8")
      .trimEnd()
      .split("\n"),
  );
  daemon.layers.check();
  daemon.images.check();
});
