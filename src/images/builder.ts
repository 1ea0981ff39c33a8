/**
 * Docker's classic builder: an image a step, each made by committing a container (moby v20.10.27 builder/dockerfile).
 *
 * Rules: RUN acts in a container of the image so far, in its WORKDIR; other instructions change the configuration, and the container's
 * unchanged tree gives no layer. WORKDIR is relative to the one before, and makes the folder where there is none. A configuration without a
 * PATH gets Docker's. A step that was done before on the same image is taken from the cache: a child of it with the same command. Once the
 * image has volumes, the container of a RUN has them too, and they go with it: what it writes there is in no image.
 */
import type { Errno } from "../../sim/core/errno.ts";
import { layerPath } from "../archive/names.ts";
import { isList, isRecord, parseJson } from "../calls/json.ts";
import { CallSession } from "../calls/session.ts";
import { type DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import { exists, makeDirectories } from "../drivers/files.ts";
import type { WritableLayer } from "../layers/layer-store.ts";
import { makeNetworkFiles, mountRuntime, removeNetworkFiles } from "../layers/runtime-mounts.ts";
import { parseVolume, type VolumeOption } from "../layers/volume-option.ts";
import { enterContainer, prepareVolumes, removeVolumes } from "../layers/volumes.ts";
import { commitContainer } from "./commit.ts";
import type { Daemon } from "./daemon.ts";
import { fieldOf, type JsonRecord, recordOf } from "./go-json.ts";
import { runConfigOf, type StoredImage } from "./image-store.ts";
import { type ExecUser, execUser } from "./user.ts";

/** One line of a Dockerfile. */
export interface Instruction {
  readonly verb: "RUN" | "ENV" | "LABEL" | "CMD" | "ENTRYPOINT" | "EXPOSE" | "STOPSIGNAL" | "WORKDIR" | "USER" | "VOLUME";
  /** What stands behind the verb; where Docker takes a list of words, also one in JSON. */
  readonly text: string;
}

export interface BuiltStep {
  readonly image: StoredImage;
  /** Whether it was there already. */
  readonly cached: boolean;
}

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The command that the step's container has, and the history shows. */
function commandOf({ verb, text }: Instruction): string[] {
  if (verb === "RUN") return ["/bin/sh", "-c", text];
  // What makes files is one word with its mark, what changes the configuration alone a second one.
  if (verb === "WORKDIR") return ["/bin/sh", "-c", `#(nop) ${verb} ${text}`];
  return ["/bin/sh", "-c", "#(nop) ", `${verb} ${shownText({ verb, text })}`];
}

/** Docker prints lists of Go's here: VOLUME [/a /b], CMD ["/bin/sh" "-c" "x"]. */
function shownText({ verb, text }: Instruction): string {
  switch (verb) {
    case "VOLUME":
      return `[${wordsOf(text).join(" ")}]`;
    case "CMD":
    case "ENTRYPOINT":
      return `[${commandForm(text)
        .map((word) => JSON.stringify(word))
        .join(" ")}]`;
    case "EXPOSE":
      return [...wordsOf(text)].sort().join(" ");
    case "ENV":
    case "LABEL":
      return wordsOf(text).join(" ");
    default:
      return text;
  }
}

/** A list in JSON; undefined of any other text. */
function listIn(text: string): string[] | undefined {
  if (!text.trim().startsWith("[")) return undefined;
  const list = parseJson(text);
  return isList(list) ? list.map(String) : undefined;
}

/** A command: a list of words as they are, a text for the shell. */
function commandForm(text: string): string[] {
  return listIn(text) ?? ["/bin/sh", "-c", text];
}

/** What a step begins with: the image's configuration, with a PATH. */
export function configBefore(parent: StoredImage | undefined): JsonRecord {
  const config = runConfigOf(parent);
  const env = fieldOf(config, "Env");
  const words = isList(env) ? env : [];
  const hasPath = words.some((word) => String(word).startsWith("PATH="));
  return { ...config, ...(hasPath ? {} : { Env: [...words, DEFAULT_PATH] }), Image: parent?.config.id ?? "" };
}

/** The instruction as it is carried out: a WORKDIR's path from the root. */
function settled({ verb, text }: Instruction, before: JsonRecord): Instruction {
  if (verb !== "WORKDIR") return { verb, text };
  return { verb, text: layerPath(text.startsWith("/") ? text : `${workdirOf(before)}/${text}`) };
}

/** Where steps begin. */
export function workdirOf(config: JsonRecord): string {
  const path = fieldOf(config, "WorkingDir");
  return typeof path === "string" && path !== "" ? path : "/";
}

/** The words of a list or a line; quotes hold spaces together. */
function wordsOf(text: string): string[] {
  const written = text.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  return listIn(text) ?? written.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}

/** Cuts KEY=VALUE words. */
function pairs(text: string): [string, string][] {
  return wordsOf(text).flatMap((word) => {
    const at = word.indexOf("=");
    return at <= 0 ? [] : [[word.slice(0, at), word.slice(at + 1)]];
  });
}

/** The configuration after an instruction. */
function configAfter(before: JsonRecord, { verb, text }: Instruction): JsonRecord {
  const env = fieldOf(before, "Env");
  const labels = fieldOf(before, "Labels");
  switch (verb) {
    case "ENV": {
      // A variable that is there keeps its place.
      const words = new Map((isList(env) ? env : []).map((one) => [String(one).split("=")[0] ?? "", String(one)]));
      for (const [key, value] of pairs(text)) words.set(key, `${key}=${value}`);
      return { ...before, Env: [...words.values()] };
    }
    case "LABEL":
      return { ...before, Labels: { ...(isRecord(labels) ? labels : {}), ...Object.fromEntries(pairs(text)) } };
    case "CMD":
      return { ...before, Cmd: commandForm(text) };
    case "ENTRYPOINT":
      return { ...before, Entrypoint: commandForm(text) };
    case "STOPSIGNAL":
      return { ...before, StopSignal: text };
    case "EXPOSE": {
      const ports = fieldOf(before, "ExposedPorts");
      const all = [
        ...(isRecord(ports) ? Object.keys(ports) : []),
        ...wordsOf(text).map((port) => (port.includes("/") ? port : `${port}/tcp`)),
      ];
      return { ...before, ExposedPorts: Object.fromEntries([...new Set(all)].sort().map((port) => [port, {}])) };
    }
    case "WORKDIR":
      return { ...before, WorkingDir: text };
    case "USER":
      return { ...before, User: text };
    case "VOLUME": {
      const volumes = fieldOf(before, "Volumes");
      return {
        ...before,
        Volumes: { ...(isRecord(volumes) ? volumes : {}), ...Object.fromEntries(wordsOf(text).map((path) => [path, {}])) },
      };
    }
    default:
      return before;
  }
}

/** The child of an image that the same command made. */
export function cachedStep(daemon: Daemon, parent: StoredImage | undefined, command: readonly string[]): StoredImage | undefined {
  if (parent === undefined) return undefined;
  const wanted = JSON.stringify(command);
  for (const id of daemon.images.childrenOf(parent.config.id)) {
    const child = daemon.images.get(id);
    const made = child === undefined ? undefined : recordOf(child.config.record, "container_config", "image");
    if (made !== undefined && JSON.stringify(fieldOf(made, "Cmd")) === wanted) return child;
  }
  return undefined;
}

/**
 * Does one step over an image (undefined: scratch).
 * @param act - does the step's work in the container's process; what it returns is why it failed
 */
export function buildStep(
  daemon: Daemon,
  parent: StoredImage | undefined,
  instruction: Instruction,
  act: (session: CallSession, user: ExecUser | undefined) => DriverError | undefined,
): BuiltStep | DriverError {
  const before = configBefore(parent);
  const step = settled(instruction, before);
  const command = commandOf(step);
  const cached = cachedStep(daemon, parent, command);
  if (cached !== undefined) return { image: cached, cached: true };
  const container = daemon.layers.createWritable(`build-${daemon.host.random.uint32()}`, parent?.top?.chainId ?? "", {
    init: true,
  });
  if (isDriverError(container)) return container;
  const config = configAfter(before, step);
  const isRun = step.verb === "RUN";
  const workdir = isRun || step.verb === "WORKDIR" ? workdirOf(config) : "/";
  const run = { container, runs: isRun, volumes: isRun ? volumesOf(before) : [], workdir, user: isRun ? userOf(before) : "" };
  const failed = runIn(daemon, run, act);
  // What the container was started with tells its name, but that of a RUN: there it is what the cache is asked for.
  const named = { Hostname: container.mountId.slice(0, 12), Labels: fieldOf(config, "Labels") ?? {} };
  const containerConfig = { ...config, Cmd: command, ...(isRun ? { Entrypoint: null } : named) };
  const image = failed ?? commitContainer(daemon, container, { parent, config, containerConfig, container: container.mountId });
  const released = daemon.layers.releaseWritable(container);
  if (isDriverError(image)) return image;
  return isDriverError(released) ? released : { image, cached: false };
}

/** Whom a configuration lets containers run as; "" for root. */
export function userOf(config: JsonRecord): string {
  const user = fieldOf(config, "User");
  return typeof user === "string" ? user : "";
}

/** The volumes that a configuration gives each container, without names. */
export function volumesOf(config: JsonRecord): VolumeOption[] {
  const volumes = fieldOf(config, "Volumes");
  const parsed = isRecord(volumes) ? Object.keys(volumes).map(parseVolume) : [];
  return parsed.filter((volume) => typeof volume !== "string");
}

function runIn(
  { host, driver }: Daemon,
  {
    container,
    runs,
    volumes,
    workdir,
    user: named,
  }: {
    readonly container: WritableLayer;
    /** Whether a process is started in it, or only its files are looked at. */
    readonly runs: boolean;
    readonly volumes: readonly VolumeOption[];
    readonly workdir: string;
    readonly user: string;
  },
  act: (session: CallSession, user: ExecUser | undefined) => DriverError | undefined,
): DriverError | undefined {
  const root = driver.get(container.mountId);
  if (isDriverError(root)) return root;
  const points = prepareVolumes(host, { root, counters: { treeCopyFiles: 0, treeCopyBytes: 0 } }, volumes);
  if (isDriverError(points)) return points;
  const network = runs ? makeNetworkFiles(host, container.mountId) : [];
  if (isDriverError(network)) return network;
  const entered = enterContainer(host, root, [...network, ...points], runs ? (inside) => mountRuntime(host, inside) : undefined);
  if (isDriverError(entered)) return entered;
  const { task } = entered;
  const user = named === "" ? undefined : execUser(task, named);
  const unmade = exists(task, workdir) ? undefined : makeDirectories(task, workdir, 0o755);
  const session = new CallSession(task);
  const failed = unmade ?? chdirError(task.chdir(workdir), workdir) ?? (isDriverError(user) ? user : act(session, user));
  session.end();
  entered.leave();
  const removed = runs ? removeNetworkFiles(host, container.mountId) : undefined;
  return failed ?? removed ?? removeVolumes(host, points) ?? driver.put(container.mountId);
}

function chdirError(errno: Errno | undefined, path: string): DriverError | undefined {
  return errno === undefined ? undefined : pathError("chdir", path, errno);
}
