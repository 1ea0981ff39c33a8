/**
 * Actions on the machine, on images and containers, instructions of a build, and the shell.
 */
import { z } from "zod";
import { type Action, action, IMAGE_FIELDS } from "./action.ts";
import { FAIL_KINDS } from "./faults.ts";
import { METRIC_IDS } from "./metrics.ts";
import { oneOf, type Slots } from "./slots.ts";

/** Actions on the machine; a step with one has no `in`. */
export function machine(slots: Slots): Action[] {
  const metric = oneOf("metric", METRIC_IDS);
  return [
    action(
      "lets virtual time pass: timers run, such as the flusher's",
      { tick: slots.span },
      (at) => ({ kind: "tick", span: at.tick }),
      "machine",
    ),
    action(
      "notes metrics as they stand",
      { measure: z.union([metric, z.array(metric).min(1)]) },
      (at) => ({ kind: "measure", metrics: Array.isArray(at.measure) ? at.measure : [at.measure] }),
      "machine",
    ),
    action(
      "`drop_caches: 1` writes everything back and empties the page cache, as vm.drop_caches does",
      { drop_caches: z.literal(1) },
      () => ({ kind: "dropCaches" }),
      "machine",
    ),
    action(
      "what Docker shows of an image that its builder made, or that came from an archive",
      { show: slots.name, field: oneOf("field", IMAGE_FIELDS) },
      (at) => ({ kind: "show", image: at.show, field: at.field }),
      "machine",
    ),
    action(
      "the sizes that docker ps -s shows of a container: its own layer's, and `virtual`, with the image's",
      { ps: slots.name },
      (at) => ({ kind: "ps", container: at.ps }),
      "machine",
    ),
    action(
      "du of the driver's folder: mounts and all, as it is usually run, or of its disk alone (du -x)",
      { du: oneOf("range", ["all", "disk"]) },
      (at) => ({ kind: "du", acrossMounts: at.du === "all" }),
      "machine",
    ),
    action(
      "puts layers over an image of Docker's store until there are so many in all, or Docker's layer store or the driver alone refuses",
      { stack: slots.name, layers: slots.count, by: oneOf("builder", ["docker", "driver"]) },
      (at) => ({ kind: "stack", image: at.stack, layers: at.layers, by: at.by }),
      "machine",
    ),
    action("docker diff of a container", { diff: slots.name }, (at) => ({ kind: "diff", container: at.diff }), "machine"),
    action(
      "the driver removes a container or, as IMAGE:N, an image's Nth layer, whatever stands on it: Docker itself would refuse that first",
      { remove: slots.treeName },
      (at) => ({ kind: "remove", name: at.remove }),
      "machine",
    ),
    ...zfsTools(slots),
  ];
}

function zfsTools(slots: Slots): Action[] {
  return [
    action(
      "a command of zfs(8) (list, get, set, snapshot, clone, promote, destroy …, with -Hp): names of containers and IMAGE:N stand for their datasets",
      { zfs: slots.text },
      (at) => ({ kind: "zfs", tool: "zfs", words: at.zfs.trim().split(/\s+/) }),
      "machine",
    ),
    action(
      "a command of zpool(8) on the devices of a pool (status, list, scrub, offline, online, clear, sync …)",
      { zpool: slots.text },
      (at) => ({ kind: "zfs", tool: "zpool", words: at.zpool.trim().split(/\s+/) }),
      "machine",
    ),
  ];
}

/** Faults of the machine, as steps. */
export function machineFaults(slots: Slots): Action[] {
  return [
    action(
      "pulls the plug and starts the machine again: of what the disk had not flushed, `keep` is there (default: none), of `torn` writes every other sector",
      { power_cut: oneOf("time", ["now"]), keep: slots.keep.optional(), torn: z.array(slots.ordinal).optional() },
      (at) => ({ kind: "powerCut", kept: { keep: at.keep ?? "none", torn: at.torn ?? [] } }),
      "machine",
    ),
    action(
      "commands of the disk, or allocations of space, fail from the `at`-th on (default: the next), as many `times` (default: once)",
      { fail: oneOf("thing that fails", FAIL_KINDS), at: slots.ordinal.optional(), times: slots.times.optional() },
      (at) => ({ kind: "fail", what: at.fail, at: at.at ?? 1, times: at.times ?? 1 }),
      "machine",
    ),
    action("nothing fails any more", { mend: oneOf("thing", ["all"]) }, () => ({ kind: "mend" }), "machine"),
  ];
}

/** Instructions of a Dockerfile; an action's name is the instruction's in small letters. */
export function building(slots: Slots): Action[] {
  const list = z.array(slots.word).transform((words) => JSON.stringify(words)) as unknown as Slots["word"];
  const words = z.union([slots.word, list]) as unknown as Slots["word"];
  const step = (key: string, about: string, takes = slots.word): Action =>
    action(
      about,
      { [key]: takes } as Record<string, Slots["word"]>,
      (at) => ({ kind: "instruction", verb: key.toUpperCase() as "ENV", text: String(at[key]) }),
      "build",
    );
  return [
    step("env", "ENV of a Dockerfile: KEY=VALUE words"),
    step("label", "LABEL of a Dockerfile: KEY=VALUE words"),
    step("cmd", "CMD of a Dockerfile: a command line, or a list of words", words),
    step("entrypoint", "ENTRYPOINT of a Dockerfile: a command line, or a list of words", words),
    step("expose", "EXPOSE of a Dockerfile: ports, with /tcp or /udp", words),
    step("stopsignal", "STOPSIGNAL of a Dockerfile"),
    step("workdir", "WORKDIR of a Dockerfile: makes the folder, and later steps of the build begin in it"),
    step(
      "user",
      "USER of a Dockerfile: later RUN steps of the build and the containers act as it; names are looked up in /etc/passwd there",
    ),
    step("volume", "VOLUME of a Dockerfile: paths; what later steps write there is in no image", words),
    ...copying(slots),
  ];
}

/** COPY and ADD. */
function copying(slots: Slots): Action[] {
  const sources = z
    .union([slots.text, z.array(slots.text).min(1, "name what is copied")])
    .transform((words) => (typeof words === "string" ? [words] : words))
    .meta({ description: "a path of the build's context or of the image, or a list of them; patterns are taken" });
  const flags = {
    chown: slots.word.optional().meta({ description: "a user, or USER:GROUP, names or numbers" }),
    chmod: slots.word.optional().meta({ description: "Docker's classic builder refuses it" }),
  };
  return [
    action(
      "COPY of a Dockerfile: files, and what folders hold, out of the image's `context` or, with `from`, of another image",
      { copy: sources, to: slots.text, from: slots.name.optional(), ...flags },
      (at) => ({ kind: "copy", verb: "COPY", sources: at.copy, to: at.to, from: at.from, chown: at.chown, chmod: at.chmod }),
      "build",
    ),
    action(
      "ADD of a Dockerfile: the same out of the `context`; tars, compressed or not, are unpacked",
      { add: sources, to: slots.text, ...flags },
      (at) => ({ kind: "copy", verb: "ADD", sources: at.add, to: at.to, from: undefined, chown: at.chown, chmod: at.chmod }),
      "build",
    ),
  ];
}

/** Scripts of the small shell. */
export function shell(slots: Slots): Action[] {
  return [
    action(
      "a command line of the small shell (mv, cp, rm, ln, mkdir, cat, dd …), whose commands make the system calls of coreutils 9",
      { sh: slots.script },
      ({ sh }) => ({ kind: "shell", text: sh.text, script: sh.script, variables: new Map(slots.variables) }),
    ),
  ];
}
