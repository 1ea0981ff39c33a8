/**
 * Docker's classic builder: an image a step, each made by committing a container (moby v20.10.27 builder/dockerfile).
 *
 * Rules: RUN acts in a container of the image so far; other instructions change the configuration, and the container's unchanged tree gives
 * an empty layer. A step that was done before on the same image is taken from the cache: a child of it with the same command.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { isList, isRecord } from "../calls/json.ts";
import { CallSession } from "../calls/session.ts";
import { type DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import type { WritableLayer } from "../layers/layer-store.ts";
import { commitContainer } from "./commit.ts";
import type { Daemon } from "./daemon.ts";
import { fieldOf, type JsonRecord, recordOf } from "./go-json.ts";
import type { StoredImage } from "./image-store.ts";

/** One line of a Dockerfile. */
export interface Instruction {
  readonly verb: "RUN" | "COPY" | "ENV" | "LABEL" | "CMD" | "WORKDIR" | "USER";
  /** What stands behind the verb. */
  readonly text: string;
}

export interface BuiltStep {
  readonly image: StoredImage;
  /** Whether it was there already. */
  readonly cached: boolean;
}

/** The command that the step's container has, and the history shows. */
function commandOf({ verb, text }: Instruction): string[] {
  return verb === "RUN" ? ["/bin/sh", "-c", text] : ["/bin/sh", "-c", "#(nop) ", `${verb} ${text}`];
}

/** Cuts KEY=VALUE words. */
function pairs(text: string): [string, string][] {
  return text.split(/\s+/).flatMap((word) => {
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
      const names = pairs(text).map(([key]) => key);
      const kept = isList(env) ? env.filter((one) => !names.includes(String(one).split("=")[0] ?? "")) : [];
      return { ...before, Env: [...kept, ...pairs(text).map(([key, value]) => `${key}=${value}`)] };
    }
    case "LABEL":
      return { ...before, Labels: { ...(isRecord(labels) ? labels : {}), ...Object.fromEntries(pairs(text)) } };
    case "CMD":
      return { ...before, Cmd: ["/bin/sh", "-c", text] };
    case "WORKDIR":
      return { ...before, WorkingDir: text };
    case "USER":
      return { ...before, User: text };
    default:
      return before;
  }
}

/** The child of an image that the same command made. */
function cachedStep(daemon: Daemon, parent: StoredImage | undefined, command: readonly string[]): StoredImage | undefined {
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
  act: (session: CallSession) => DriverError | undefined,
): BuiltStep | DriverError {
  const command = commandOf(instruction);
  const cached = cachedStep(daemon, parent, command);
  if (cached !== undefined) return { image: cached, cached: true };
  const container = daemon.layers.createWritable(`build-${daemon.host.random.uint32()}`, parent?.top?.chainId ?? "", {
    init: true,
  });
  if (isDriverError(container)) return container;
  const failed = runIn(daemon, container, act);
  const before = (parent === undefined ? undefined : recordOf(parent.config.record, "config", "image")) ?? {};
  const config = configAfter(before, instruction);
  const containerConfig = { ...config, Cmd: command };
  const image = failed ?? commitContainer(daemon, container, { parent, config, containerConfig, container: container.mountId });
  const released = daemon.layers.releaseWritable(container);
  if (isDriverError(image)) return image;
  return isDriverError(released) ? released : { image, cached: false };
}

function runIn(
  daemon: Daemon,
  container: WritableLayer,
  act: (session: CallSession) => DriverError | undefined,
): DriverError | undefined {
  const root = daemon.driver.get(container.mountId);
  if (isDriverError(root)) return root;
  const task = daemon.host.task.chroot(root);
  const session = isErrno(task) ? pathError("chroot", root, task) : new CallSession(task);
  const failed = isDriverError(session) ? session : act(session);
  if (!isDriverError(session)) session.end();
  return failed ?? daemon.driver.put(container.mountId);
}
