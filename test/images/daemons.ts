/**
 * Daemons with images in them, for tests.
 */
import { type Daemon, startDaemon } from "../../src/images/daemon.ts";
import { loadImages } from "../../src/images/load.ts";
import { readImages } from "../../src/images/read-images.ts";
import type { SourceArchive } from "../../src/images/source-image.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { nodeGzip } from "../../src/node/gzip.ts";
import { must } from "../drivers/docker-host.ts";
import { openFiles, readContext } from "./material.ts";

export const UPDATED = "2026-11-23T19:42:10.9Z";

interface LoadedDaemon {
  readonly daemon: Daemon;
  readonly archive: SourceArchive;
  readonly lines: readonly string[];
}

/** A daemon without images. */
export function daemonOn(driver: string): Daemon {
  return must(startDaemon({ driver, newHasher: nodeHasher, gzip: nodeGzip }));
}

/** A daemon with the images of an archive. */
export async function loaded(path: string, driver: string): Promise<LoadedDaemon> {
  const daemon = daemonOn(driver);
  const archive = await readImages(await openFiles(path), readContext());
  const { lines } = must(await loadImages(archive, daemon.images, readContext()));
  daemon.images.check();
  return { daemon, archive, lines };
}
