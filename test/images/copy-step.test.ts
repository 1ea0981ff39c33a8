/** COPY and ADD beside what dockerd 20.10.24 made of the same lines (vfs, the classic builder), recorded with docker save. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { type CopySource, openContext } from "../../src/images/build-context.ts";
import { buildStep } from "../../src/images/builder.ts";
import { type CopyOrder, copyStep } from "../../src/images/copy-step.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import type { StoredImage } from "../../src/images/image-store.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";

interface Recorded {
  readonly line: string;
  readonly created_by: string;
  readonly entries: readonly string[] | null;
}

const FOLDER = new URL("../data/docker/copy/", import.meta.url);
const RECORDED = JSON.parse(readFileSync(new URL("layers.json", FOLDER), "utf8")) as Record<"one" | "two", readonly Recorded[]>;
const CONTEXT = Content.literal(gunzipSync(readFileSync(new URL("context.tar.gz", FOLDER))));

/** A line of a Dockerfile as the builder takes it. */
function orderOf(line: string, stage: StoredImage | undefined): CopyOrder {
  const [verb, ...words] = line.split(" ");
  const flag = (name: string): string | undefined => words.find((word) => word.startsWith(`--${name}=`))?.split("=")[1];
  const paths = words.filter((word) => !word.startsWith("--"));
  return {
    verb: verb as "COPY" | "ADD",
    sources: paths.slice(0, -1),
    to: paths.at(-1) ?? "",
    from: flag("from") === undefined ? undefined : stage,
    chown: flag("chown"),
    chmod: flag("chmod"),
  };
}

function build(daemon: Daemon, lines: readonly string[], context?: CopySource, stage?: StoredImage): StoredImage[] {
  const images: StoredImage[] = [];
  for (const line of lines) {
    const parent = images.at(-1);
    const step = line.startsWith("WORKDIR")
      ? buildStep(daemon, parent, { verb: "WORKDIR", text: line.slice(8) }, () => undefined)
      : copyStep(daemon, parent, orderOf(line, stage), context);
    images.push(must(step).image);
  }
  return images;
}

/** Times of files and folders in the context and in the tars that it has. */
const GIVEN_TIMES: readonly number[] = [1_549_166_706, 1_577_934_245, 1_609_556_645];

/** The entries of an image's newest layer as they were recorded: a time of the build is "now". */
function entriesOf(daemon: Daemon, image: StoredImage, parent: StoredImage | undefined): readonly string[] | null {
  if (image.top === undefined || image.top.chainId === parent?.top?.chainId) return null;
  const types: Readonly<Record<string, string>> = { "0": "-", "5": "d", "2": "l", "1": "h" };
  return [...readTar(must(daemon.layers.tarStream(image.top)), { mode: "docker" })].map(({ header }) => {
    const mode = (header.mode & 0o7777).toString(8).padStart(4, "0");
    const when = GIVEN_TIMES.includes(header.mtime.seconds) ? header.mtime.seconds : "now";
    const name = header.name.replace(/\/$/, "") + (header.linkname === "" ? "" : ` -> ${header.linkname}`);
    return `${types[header.typeflag]}${mode} ${header.uid}:${header.gid} ${header.size} ${when} ${name}`;
  });
}

describe.each(["vfs", "overlay2", "btrfs", "devicemapper"])("on %s", (driver) => {
  test("each line gives the layer and the history that Docker's builder gives", () => {
    const daemon = daemonOn(driver);
    const context = must(openContext(daemon, CONTEXT));
    const one = build(
      daemon,
      RECORDED.one.map(({ line }) => line),
      context,
    );
    must(context.close());
    const two = build(
      daemon,
      RECORDED.two.map(({ line }) => line),
      undefined,
      one.at(-1),
    );
    for (const [images, recorded] of [
      [one, RECORDED.one],
      [two, RECORDED.two],
    ] as const) {
      const made = images.map((image, index) => ({
        line: recorded[index]?.line,
        created_by: image.config.history.at(-1)?.createdBy,
        entries: entriesOf(daemon, image, images[index - 1]),
      }));
      expect(made).toEqual(recorded);
    }
    daemon.layers.check();
    daemon.host.check();
  });
});

/** What the builder says of a line behind `COPY a.txt /a`, folders of the daemon left out. */
function refusalOf(line: string): string {
  const daemon = daemonOn("vfs");
  const context = must(openContext(daemon, CONTEXT));
  const first = must(copyStep(daemon, undefined, orderOf("COPY a.txt /a", undefined), context)).image;
  const step = copyStep(daemon, first, orderOf(line, first), context);
  must(context.close());
  daemon.layers.check();
  daemon.host.check();
  return isDriverError(step) ? step.message.replace(/\/var\/lib\/docker\/vfs\/dir\/[0-9a-f]{64}/g, "ROOT") : "made";
}

test.each([
  ["COPY nope /x", "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist"],
  [
    "COPY broken /x",
    "COPY failed: file not found in build context or excluded by .dockerignore: stat broken: file does not exist",
  ],
  ["COPY nope* /x", "COPY failed: no source files were specified"],
  ["COPY a.txt b.txt /x", "When using COPY with more than one source file, the destination must be a directory and end with a /"],
  ["COPY ../a.txt /x", "COPY failed: forbidden path outside the build context: ../a.txt ()"],
  ["COPY --from=one /nope /x", "COPY failed: stat nope: file does not exist"],
  ["COPY http://localhost:1/x /x", "COPY failed: source can't be a URL for COPY"],
  [
    "COPY --chown=bob a.txt /x",
    "unable to convert uid/gid chown string to host mapping: can't find uid for user bob: open ROOT/etc/passwd: no such file or directory",
  ],
  [
    "COPY --chown=5: a.txt /x",
    "unable to convert uid/gid chown string to host mapping: can't find gid for group : open ROOT/etc/group: no such file or directory",
  ],
  [
    "COPY --chmod=755 a.txt /x",
    "the --chmod option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled",
  ],
  ["COPY a.txt /a/b", "failed to copy files: lstat ROOT/a/b: not a directory"],
  ["COPY app /a", "failed to copy files: failed to copy directory: mkdir ROOT/a: not a directory"],
  ["COPY . /new", "made"],
])("%s is answered as Docker answers it, and leaves nothing behind", (line, answer) => {
  expect(refusalOf(line)).toBe(answer);
});

test("a repeated line is taken from the cache, and a changed file misses it", () => {
  const daemon = daemonOn("overlay2");
  const context = must(openContext(daemon, CONTEXT));
  const step = (line: string): boolean => {
    const base = must(copyStep(daemon, undefined, orderOf("COPY app /", undefined), context)).image;
    return must(copyStep(daemon, base, orderOf(line, undefined), context)).cached;
  };
  expect(["COPY a.txt /x", "COPY ./a.txt /x", "COPY a.txt /y", "COPY b.txt /x"].map(step)).toEqual([false, true, false, false]);
});
