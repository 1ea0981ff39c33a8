/**
 * The images of a scenario that lie in Docker's own stores: out of archives, by the classic builder, or from before 1.10 and migrated.
 */
import { isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import type { NewHasher } from "../archive/digest.ts";
import { hexOf } from "../archive/digest.ts";
import { CallSession } from "../calls/session.ts";
import { DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import { diffOf } from "../drivers/layer-diff.ts";
import { openContext } from "../images/build-context.ts";
import { buildStep, type Instruction, userOf, volumesOf, workdirOf } from "../images/builder.ts";
import { copyStep } from "../images/copy-step.ts";
import { type Daemon, hostTime, openStores } from "../images/daemon.ts";
import { runConfigOf, type StoredImage } from "../images/image-store.ts";
import { addLegacyImage, migrateImages } from "../images/legacy.ts";
import { squashImage } from "../images/squash.ts";
import { chainOf } from "../images/views.ts";
import type { Lab } from "../layers/lab.ts";
import { chainSize } from "../layers/layer-store.ts";
import { contextTar, importArchive, shownField } from "./archived-image.ts";
import { stackInStore, stackOnDriver } from "./stack.ts";
import { type World, WorldFailure } from "./world.ts";

/** The part of a World that is about such images. */
type Stores = Pick<
  World,
  | "importImage"
  | "buildStep"
  | "openContext"
  | "copyStep"
  | "squash"
  | "imageUser"
  | "imageWorkdir"
  | "buildLegacyStep"
  | "migrate"
  | "imageLayer"
  | "imageVolumes"
  | "imageSize"
  | "stack"
  | "show"
>;

const ID_BYTES = 32;

function failureOf(error: DriverError | undefined): WorldFailure | undefined {
  return error === undefined ? undefined : new WorldFailure(error.message);
}

/** The images of Docker's own stores that a scenario made, by the names that it gives them. */
export class MadeImages {
  readonly stored: Map<string, StoredImage> = new Map();
  /** Of images from before 1.10 the ids of each one's steps, the first one first. */
  readonly legacy: Map<string, string[]> = new Map();
}

/** Builds as they were before 1.10: each step's image has a random id, and is the parent of the next. */
class LegacyBuilds {
  readonly images: Map<string, string[]>;
  readonly #host: Host;
  readonly #lab: Lab;

  constructor({ host, lab, images }: StoreParts) {
    this.#host = host;
    this.#lab = lab;
    this.images = images.legacy;
  }

  step(name: string, { verb, text }: Instruction, act: (session: CallSession) => string | undefined): DriverError | undefined {
    const { driver } = this.#lab;
    const steps = this.images.get(name) ?? [];
    const parent = steps.at(-1) ?? "";
    const container = hexOf(this.#host.random.bytes(ID_BYTES));
    const failed = driver.createReadWrite(container, parent) ?? this.#run(container, act);
    if (failed !== undefined) return failed;
    const tar = diffOf(this.#host, driver, { id: container, parent });
    if (isDriverError(tar)) return tar;
    const command = verb === "RUN" ? ["/bin/sh", "-c", text] : ["/bin/sh", "-c", `#(nop) ${verb} ${text}`];
    const id = addLegacyImage(this.#host, driver, { parent, created: hostTime(this.#host), command, tar });
    if (isDriverError(id)) return id;
    this.images.set(name, [...steps, id]);
    return driver.remove(container);
  }

  #run(container: string, act: (session: CallSession) => string | undefined): DriverError | undefined {
    const { driver } = this.#lab;
    const root = driver.get(container);
    if (isDriverError(root)) return root;
    const task = this.#host.task.chroot(root);
    if (isErrno(task)) return pathError("chroot", root, task);
    const session = new CallSession(task);
    const why = act(session);
    session.end();
    return why === undefined ? driver.put(container) : new DriverError(why);
  }
}

/** Migrates the images of before 1.10; their names are then those of images by content. */
function migrateAll(daemon: Daemon, { stored, legacy }: MadeImages): WorldFailure | undefined {
  const migration = migrateImages(daemon);
  if (isDriverError(migration)) return new WorldFailure(migration.message);
  const [first] = migration.failed;
  if (first !== undefined) return new WorldFailure(`migration failed for ${first.old}, err: ${first.why}`);
  for (const [name, steps] of legacy) {
    const top = migration.images.find(({ old }) => old === steps.at(-1));
    const image = top === undefined ? undefined : daemon.images.get(top.id);
    if (image !== undefined) stored.set(name, image);
  }
  return undefined;
}

interface StoreParts {
  readonly host: Host;
  readonly lab: Lab;
  readonly images: MadeImages;
  readonly newHasher?: NewHasher;
}

/** What Docker's classic builder does. */
function buildsOf(
  daemon: () => Daemon,
  images: Map<string, StoredImage>,
  find: (name: string) => StoredImage | WorldFailure,
): Pick<World, "buildStep" | "openContext" | "copyStep" | "squash"> {
  return {
    buildStep: (name, from, instruction, act) => {
      const parent = from === undefined ? undefined : images.get(from);
      const step = buildStep(daemon(), parent, instruction, (session, user) => {
        const why = act(session, user);
        return why === undefined ? undefined : new DriverError(why);
      });
      if (isDriverError(step)) return new WorldFailure(step.message);
      images.set(name, step.image);
      return undefined;
    },
    openContext: (archive) => {
      const source = openContext(daemon(), contextTar(archive.entries));
      return isDriverError(source) ? new WorldFailure(source.message) : source;
    },
    squash: (name, from) => {
      const image = find(name);
      if (image instanceof WorldFailure) return image;
      const squashed = squashImage(daemon(), image, from === undefined ? undefined : images.get(from));
      if (isDriverError(squashed)) return new WorldFailure(squashed.message);
      images.set(name, squashed);
      return undefined;
    },
    copyStep: (name, from, order, context) => {
      const source = order.from === undefined ? undefined : find(order.from);
      if (source instanceof WorldFailure) return source;
      const parent = from === undefined ? undefined : images.get(from);
      const step = copyStep(daemon(), parent, { ...order, from: source }, context);
      if (isDriverError(step)) return new WorldFailure(step.message);
      images.set(name, step.image);
      return undefined;
    },
  };
}

/** The images of Docker's own stores by the names that scenarios give them. */
export function storesOf(parts: StoreParts): Stores {
  const { host, lab } = parts;
  let opened: Daemon | undefined;
  const daemon = (): Daemon => (opened ??= openStores(host, lab.driver, parts));
  const images = parts.images.stored;
  const legacy = new LegacyBuilds(parts);
  const find = (name: string): StoredImage | WorldFailure =>
    images.get(name) ?? new WorldFailure(`no builder made the image ${name}, and no archive had it`);
  return {
    importImage: (name, archive) => {
      const image = importArchive(daemon(), archive);
      if (isDriverError(image)) return new WorldFailure(image.message);
      images.set(name, image);
      return undefined;
    },
    ...buildsOf(daemon, images, find),
    buildLegacyStep: (name, instruction, act) => failureOf(legacy.step(name, instruction, act)),
    migrate: () => migrateAll(daemon(), parts.images),
    imageUser: (name) => userOf(runConfigOf(images.get(name))),
    imageWorkdir: (name) => workdirOf(runConfigOf(images.get(name))),
    imageVolumes: (name) => volumesOf(runConfigOf(images.get(name))),
    imageLayer: (name) => {
      const image = find(name);
      if (image instanceof WorldFailure) return image;
      if (image.top === undefined) return new WorldFailure("the image has no layers");
      if (!lab.names.includes(image.top.chainId)) lab.adopt(image.top.chainId, image.top.cacheId);
      return image.top.chainId;
    },
    imageSize: (layer) => {
      const image = [...images.values()].find(({ top }) => top?.chainId === layer);
      return image === undefined ? new WorldFailure("no builder made the image, and no archive had it") : chainSize(image.top);
    },
    stack: ({ image: name, layers, by }) => {
      const image = find(name);
      if (image instanceof WorldFailure) return image;
      const chain = image.top?.chainId ?? "";
      const depth = chainOf(image.top).length;
      if (by === "docker") return stackInStore(daemon().layers, lab.driver, { chain, depth }, layers);
      if (!lab.has(chain)) lab.adopt(chain, image.top?.cacheId ?? "");
      return stackOnDriver(lab, { top: chain, depth }, layers);
    },
    show: (name, field) => {
      const image = find(name);
      if (image instanceof WorldFailure) return image;
      return field === "old_ids" ? [...(legacy.images.get(name) ?? [])] : shownField(daemon(), image, field);
    },
  };
}
