/** Inode numbers of an imported layer, recorded with dockerd 20.10.24 on btrfs: folders that Docker made meanwhile took 257 and 258. */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { importRootfs } from "../../src/images/commit.ts";
import { startDaemon } from "../../src/images/daemon.ts";
import { must } from "./docker-host.ts";

test("the first file of a layer on btrfs comes behind the folders for pivot_root and for temporary files, which are gone", () => {
  const daemon = must(startDaemon({ driver: "btrfs" }));
  const tar = new TarWriter();
  tar.add(tarHeader({ name: "a", size: 1 }), Content.text("a"));
  tar.add(tarHeader({ name: "dir/" }));
  const image = must(importRootfs(daemon, tar.end()));
  const root = must(daemon.driver.get(image.top?.cacheId ?? ""));
  const { task } = daemon.host;
  expect(must(task.readdir(root)).map(({ name }) => `${must(task.lstat(`${root}/${name}`)).inodeNumber} ${name}`)).toEqual([
    "259 a",
    "260 dir",
  ]);
});
