/**
 * What RUN and WORKDIR leave in layers, beside dockerd 20.10.24 on Linux 6.18 (the classic builder, busybox's commands in the place of coreutils'):
 * test/data/docker/run-steps, each step with its layer's entries; times but 0 are "now".
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { buildStep, type Instruction } from "../../src/images/builder.ts";
import { importRootfs } from "../../src/images/commit.ts";
import type { Daemon } from "../../src/images/daemon.ts";
import type { StoredImage } from "../../src/images/image-store.ts";
import { squashImage } from "../../src/images/squash.ts";
import { historyOf } from "../../src/images/views.ts";
import type { Layer } from "../../src/layers/layer-store.ts";
import { parseScript, SyntaxFault } from "../../src/shell/parse.ts";
import { runScript } from "../../src/shell/run.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";

const FOLDER = new URL("../data/docker/run-steps/", import.meta.url);
const TYPES: Readonly<Record<string, string>> = { "0": "-", "5": "d", "2": "l", "1": "h" };
const PASSWD = "root:x:0:0:root:/:/bin/sh\nbob:x:77:88::/:/bin/sh\n";
const GROUP = "root:x:0:\nstaff:x:50:bob,root\nteam:x:60:bob\n";

function baseTar(): Content {
  const writer = new TarWriter();
  writer.add(tarHeader({ name: "bin/" }));
  writer.add(tarHeader({ name: "etc/" }));
  for (const [name, text] of [
    ["etc/passwd", PASSWD],
    ["etc/group", GROUP],
  ] as const)
    writer.add(tarHeader({ name, size: text.length }), Content.text(text));
  return writer.end();
}

/** One line of a Dockerfile over an image. */
function built(daemon: Daemon, image: StoredImage, line: string): StoredImage {
  const verb = line.slice(0, line.indexOf(" ")) as Instruction["verb"];
  const text = line.slice(verb.length + 1);
  const step = buildStep(daemon, image, { verb, text }, ({ task }) => {
    const script = parseScript(text);
    if (verb === "RUN" && !(script instanceof SyntaxFault))
      runScript(script, { task, random: new Random(1), variables: new Map(), onCall: undefined });
    return undefined;
  });
  return must(step).image;
}

/** The entries of a layer. */
function entriesOf(daemon: Daemon, layer: Layer): string[] {
  return [...readTar(must(daemon.layers.tarStream(layer)), { mode: "docker" })].map(({ header }) => {
    const mode = (header.mode & 0o7777).toString(8).padStart(4, "0");
    const name = header.name.replace(/\/$/, "") + (header.linkname === "" ? "" : ` -> ${header.linkname}`);
    const when = header.mtime.seconds === 0 ? 0 : "now";
    return `    ${TYPES[header.typeflag]}${mode} ${header.uid}:${header.gid} ${header.size} ${when} ${name}`;
  });
}

test.each(["overlay2", "vfs", "btrfs"])("%s: the layers of a Dockerfile's steps are Docker's", (driver) => {
  const daemon = daemonOn(driver);
  let image = must(importRootfs(daemon, baseTar()));
  const shown: string[] = [];
  for (const line of readFileSync(new URL("Dockerfile", FOLDER), "utf8").trimEnd().split("\n").slice(1)) {
    const before = image.top?.chainId;
    image = built(daemon, image, line);
    shown.push(line.startsWith("RUN ") ? line.slice(4) : `#(nop) ${line}`);
    if (image.top === undefined || image.top.chainId === before) shown.push("    (empty layer)");
    else shown.push(...entriesOf(daemon, image.top));
  }
  expect(shown).toEqual(
    readFileSync(new URL(`${driver}.txt`, FOLDER), "utf8")
      .trimEnd()
      .split("\n"),
  );
  daemon.layers.check();
  daemon.host.check();
});

describe("docker build --squash (recorded with --experimental on overlay2)", () => {
  const lines = [
    "RUN touch /bin/stat",
    "RUN mkdir -p /d/e && echo x > /d/e/f && echo y > /d/g",
    "RUN rm -r /d/e && rm /bin/stat && echo z > /big",
    "ENV A=1",
    "RUN rm /big; echo 1 > /etc/new",
  ];

  test.each(["overlay2", "aufs", "vfs", "devicemapper"])("%s: what was built is one layer over the base", (driver) => {
    const daemon = daemonOn(driver);
    const [first, ...others] = lines;
    const base = built(daemon, must(importRootfs(daemon, baseTar())), first ?? "");
    const top = others.reduce((image, line) => built(daemon, image, line), base);
    const squashed = must(squashImage(daemon, top, base));
    expect(squashed.config.diffIds).toEqual([...base.config.diffIds, squashed.top?.diffId]);
    expect(squashed.top === undefined ? [] : entriesOf(daemon, squashed.top)).toEqual([
      "    d0755 0:0 0 now bin",
      "    -0000 0:0 0 now bin/.wh.stat",
      "    d0755 0:0 0 now d",
      "    -0644 0:0 2 now d/g",
      "    d0755 0:0 0 now etc",
      "    -0644 0:0 2 now etc/new",
    ]);
    const [merged, ...steps] = historyOf(daemon, squashed);
    expect(merged).toMatchObject({ size: 4, createdBy: "", comment: `merge ${top.config.id} to ${base.config.id}` });
    expect(steps.slice(0, 4).map(({ size }) => size)).toEqual([0, 0, 0, 0]);
    daemon.images.check();
    daemon.layers.check();
  });

  test("a build without a layer cannot be squashed", () => {
    const daemon = daemonOn("vfs");
    const base = must(importRootfs(daemon, baseTar()));
    expect(String(squashImage(daemon, built(daemon, base, "ENV A=1"), base))).toMatch(
      /^error squashing image: .* is not a parent of the specified layer: cannot provide diff to non-parent$/,
    );
  });
});

test("a configuration takes instructions as Docker's does", () => {
  const daemon = daemonOn("vfs");
  const lines = [
    "ENTRYPOINT /app run",
    'CMD ["a", "b c"]',
    "RUN echo 1 > /f",
    'ENTRYPOINT ["/x"]',
    "EXPOSE 80 443/udp",
    "CMD only",
    "EXPOSE 53/udp",
    'LABEL a=b c="d e"',
    'VOLUME ["/v 1"]',
    "STOPSIGNAL SIGTERM",
    'ENV A=1 B="x y"',
    "ENV A=2",
  ];
  const images = [must(importRootfs(daemon, baseTar()))];
  for (const line of lines) images.push(built(daemon, images.at(-1) as StoredImage, line));
  const last = images.at(-1)?.config;
  expect(last?.history.slice(1).map(({ createdBy }) => createdBy.slice(11))).toEqual([
    '#(nop)  ENTRYPOINT ["/bin/sh" "-c" "/app run"]',
    '#(nop)  CMD ["a" "b c"]',
    "echo 1 > /f",
    '#(nop)  ENTRYPOINT ["/x"]',
    "#(nop)  EXPOSE 443/udp 80",
    '#(nop)  CMD ["/bin/sh" "-c" "only"]',
    "#(nop)  EXPOSE 53/udp",
    "#(nop)  LABEL a=b c=d e",
    "#(nop)  VOLUME [/v 1]",
    "#(nop)  STOPSIGNAL SIGTERM",
    "#(nop)  ENV A=1 B=x y",
    "#(nop)  ENV A=2",
  ]);
  expect(last?.record["config"]).toMatchObject({
    ExposedPorts: { "443/udp": {}, "53/udp": {}, "80/tcp": {} },
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=2", "B=x y"],
    Cmd: ["/bin/sh", "-c", "only"],
    Volumes: { "/v 1": {} },
    Entrypoint: ["/x"],
    Labels: { a: "b", c: "d e" },
    StopSignal: "SIGTERM",
  });
  expect(images[3]?.config.record["container_config"]).toMatchObject({ Entrypoint: null, Hostname: "", Labels: null });
  expect(images[2]?.config.record["container_config"]).toMatchObject({
    Entrypoint: ["/bin/sh", "-c", "/app run"],
    Hostname: expect.stringMatching(/^[0-9a-f]{12}$/),
    Labels: {},
  });
});
