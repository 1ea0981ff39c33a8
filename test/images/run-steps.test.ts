/**
 * What RUN and WORKDIR leave in layers, beside dockerd 20.10.24 on Linux 6.18 (the classic builder, busybox's commands in the place of coreutils'):
 * test/data/docker/run-steps, each step with its layer's entries; times but 0 are "now".
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { buildStep, type Instruction } from "../../src/images/builder.ts";
import { importRootfs } from "../../src/images/commit.ts";
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

test.each(["overlay2", "vfs", "btrfs"])("%s: the layers of a Dockerfile's steps are Docker's", (driver) => {
  const daemon = daemonOn(driver);
  let image = must(importRootfs(daemon, baseTar()));
  const shown: string[] = [];
  const lines = readFileSync(new URL("Dockerfile", FOLDER), "utf8").trimEnd().split("\n").slice(1);
  for (const line of lines) {
    const verb = line.slice(0, line.indexOf(" ")) as Instruction["verb"];
    const text = line.slice(verb.length + 1);
    const step = buildStep(daemon, image, { verb, text }, ({ task }) => {
      const script = parseScript(text);
      if (verb === "RUN" && !(script instanceof SyntaxFault))
        runScript(script, { task, random: new Random(1), variables: new Map(), onCall: undefined });
      return undefined;
    });
    const { top } = must(step).image;
    shown.push(verb === "RUN" ? text : `#(nop) ${line}`);
    if (top === undefined || top.chainId === image.top?.chainId) shown.push("    (empty layer)");
    else
      for (const { header } of readTar(must(daemon.layers.tarStream(top)), { mode: "docker" })) {
        const mode = (header.mode & 0o7777).toString(8).padStart(4, "0");
        const name = header.name.replace(/\/$/, "") + (header.linkname === "" ? "" : ` -> ${header.linkname}`);
        const when = header.mtime.seconds === 0 ? 0 : "now";
        shown.push(`    ${TYPES[header.typeflag]}${mode} ${header.uid}:${header.gid} ${header.size} ${when} ${name}`);
      }
    image = must(step).image;
  }
  expect(shown).toEqual(
    readFileSync(new URL(`${driver}.txt`, FOLDER), "utf8")
      .trimEnd()
      .split("\n"),
  );
  daemon.layers.check();
  daemon.host.check();
});
