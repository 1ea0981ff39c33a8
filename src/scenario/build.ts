/**
 * Builds a scenario's images: layers written in place, Docker's builder, images out of archives and those of before 1.10.
 *
 * Interface: `tops` has the topmost layer of each image that is built; a failure is told once, with its place in the file.
 */
import { isErrno } from "../../sim/core/errno.ts";
import type { CallSession } from "../calls/session.ts";
import type { CopySource } from "../images/build-context.ts";
import type { Instruction } from "../images/builder.ts";
import type { Operation } from "./action.ts";
import { type Archive, contextKey, unpackArchive } from "./archive.ts";
import { perform as performOperation, type Tools } from "./operation.ts";
import type { Place } from "./problem.ts";
import type { Credentials, ImagePlan, LayerPlan } from "./scenario.ts";
import { WorldFailure } from "./world.ts";

/** Why images could not be built, and where. */
export type Fail = (where: string, why: string, place: Place) => void;

export class ImageBuilds {
  /** The topmost layer of each image. */
  readonly tops: Map<string, string> = new Map();
  readonly #tools: Tools;
  readonly #archives: ReadonlyMap<string, Archive>;
  readonly #tell: Fail;
  #failed = false;

  constructor(tools: Tools, archives: ReadonlyMap<string, Archive>, tell: Fail) {
    this.#tools = tools;
    this.#archives = archives;
    this.#tell = tell;
  }

  #fail(where: string, why: string, place: Place): void {
    if (!this.#failed) this.#tell(where, why, place);
    this.#failed = true;
  }

  /** Builds one image; why it failed goes to `stop`. */
  build(image: ImagePlan): void {
    const archived = image.from?.kind === "archive" ? this.#archives.get(image.from.name) : undefined;
    if (image.build === "v1") {
      this.#buildLegacy(image);
      return;
    }
    if (image.build === "classic" || archived?.image !== undefined) {
      this.#buildInStore(image, archived);
      return;
    }
    let parent = image.from?.kind === "image" ? this.tops.get(image.from.name) : undefined;
    if (image.from?.kind === "archive") {
      parent = `${image.name}:base`;
      if (!this.#buildBase(parent, image)) return;
    }
    for (const [index, layer] of image.layers.entries()) {
      const name = `${image.name}:${index + 1}`;
      if (!this.#buildLayer(name, parent, layer)) return;
      parent = name;
    }
    if (parent !== undefined) this.tops.set(image.name, parent);
  }

  /** An image of Docker's own stores: out of an archive, by its builder, or both. */
  #buildInStore(image: ImagePlan, archived: Archive | undefined): void {
    const where = `image ${image.name}`;
    const imported = archived === undefined ? undefined : this.#tools.world.importImage(image.name, archived);
    if (imported !== undefined) this.#fail(where, imported.message, image.place);
    let from = archived === undefined && image.from?.kind === "image" ? image.from.name : archived && image.name;
    const context = this.#openContext(image);
    for (const layer of image.build === undefined ? [] : image.layers) {
      if (this.#failed) break;
      const failure = this.#buildStep(image.name, from, layer, context);
      if (failure !== undefined) this.#fail(where, failure.message, layer.place);
      from = image.name;
    }
    if (image.squash && !this.#failed) {
      const failure = this.#tools.world.squash(image.name, image.from?.kind === "image" ? image.from.name : undefined);
      if (failure !== undefined) this.#fail(where, failure.message, image.place);
    }
    const closed = context?.close();
    if (closed !== undefined) this.#fail(where, closed.message, image.place);
    if (this.#failed) return;
    let top: string | WorldFailure = this.#tools.world.imageLayer(image.name);
    if (top instanceof WorldFailure) {
      this.#fail(where, top.message, image.place);
      return;
    }
    for (const [index, layer] of (image.build === undefined ? image.layers : []).entries()) {
      const name: string = `${image.name}:${index + 1}`;
      if (!this.#buildLayer(name, top, layer)) return;
      top = name;
    }
    this.tops.set(image.name, top);
  }

  /** The files that the build may copy, as Docker unpacks them before its first step. */
  #openContext(image: ImagePlan): CopySource | undefined {
    if (image.build === undefined || image.context === undefined) return undefined;
    const archive = this.#archives.get(contextKey(image.context));
    const opened = archive === undefined ? new WorldFailure("its context was not read") : this.#tools.world.openContext(archive);
    if (!(opened instanceof WorldFailure)) return opened;
    this.#fail(`image ${image.name}`, opened.message, image.place);
    return undefined;
  }

  #buildStep(
    name: string,
    from: string | undefined,
    layer: LayerPlan,
    context: CopySource | undefined,
  ): WorldFailure | undefined {
    const [only] = layer.operations;
    if (only?.kind === "copy") return this.#tools.world.copyStep(name, from, only, context);
    return this.#tools.world.buildStep(name, from, instructionOf(layer), (session, user) => this.#act(layer, session, user));
  }

  /** An image of before 1.10, and its migration. */
  #buildLegacy(image: ImagePlan): void {
    const where = `image ${image.name}`;
    for (const layer of image.layers) {
      const failure = this.#tools.world.buildLegacyStep(image.name, instructionOf(layer), (session) => this.#act(layer, session));
      if (failure !== undefined) this.#fail(where, failure.message, layer.place);
      if (this.#failed) return;
    }
    const top = this.#tools.world.migrate() ?? this.#tools.world.imageLayer(image.name);
    if (top instanceof WorldFailure) this.#fail(where, top.message, image.place);
    else this.tops.set(image.name, top);
  }

  /** The work of one step. @returns why it failed */
  #act(layer: LayerPlan, session: CallSession, as?: Credentials): string | undefined {
    for (const operation of layer.operations) {
      const { answer } = performOperation(this.#tools, operation, { session, as, umask: undefined, name: "build" });
      if ("errno" in answer) return failureText(operation, session, answer.errno);
    }
    return undefined;
  }

  #buildBase(name: string, image: ImagePlan): boolean {
    const archive = this.#archives.get(image.from?.name ?? "");
    const where = `image ${image.name}, ${image.from?.name}`;
    const session = this.#tools.world.addLayer(name, undefined) ?? this.#tools.world.session(name);
    if (session instanceof WorldFailure) this.#fail(where, session.message, image.place);
    else if (archive === undefined) this.#fail(where, "not read", image.place);
    else {
      const failure = unpackArchive(session.task, archive);
      if (failure !== undefined) this.#fail(where, `${failure.path}: ${failure.errno.code}`, image.place);
      this.#seal(name, where, image.place);
    }
    return !this.#failed;
  }

  #buildLayer(name: string, parent: string | undefined, layer: LayerPlan): boolean {
    const where = `layer ${name}`;
    const session = this.#tools.world.addLayer(name, parent) ?? this.#tools.world.session(name);
    if (session instanceof WorldFailure) this.#fail(where, session.message, layer.place);
    else {
      for (const operation of layer.operations) {
        const { answer } = performOperation(this.#tools, operation, { session, as: undefined, umask: undefined, name });
        if ("errno" in answer) this.#fail(where, failureText(operation, session, answer.errno), layer.place);
        if (this.#failed) return false;
      }
      this.#seal(name, where, layer.place);
    }
    return !this.#failed;
  }

  #seal(name: string, where: string, place: Place): void {
    const failure = this.#tools.world.seal(name);
    if (failure !== undefined) this.#fail(where, failure.message, place);
  }
}

/** A layer's item as a line of a Dockerfile. */
function instructionOf(layer: LayerPlan): Instruction {
  const [only] = layer.operations;
  return only?.kind === "instruction" ? { verb: only.verb, text: only.text } : { verb: "RUN", text: layer.title };
}

/** What an operation is, in the words of the file. */
function describeOperation(operation: Operation): string {
  if (operation.kind === "call") return `${operation.step.call} ${operation.step["path"] ?? operation.step["fd"] ?? ""}`.trim();
  if (operation.kind === "shell") return operation.text.trim();
  if (operation.kind === "writeFile") return `${operation.append ? "append" : "write"} ${operation.path}`;
  if (operation.kind === "readFile") return `read ${operation.path}`;
  return "path" in operation ? `${operation.kind} ${operation.path}` : operation.kind;
}

/** Actions that make what they name, in a folder that must be there. */
const MAKES: ReadonlySet<string> = new Set(["mkdir", "mknod", "open", "symlink", "writeFile", "populate"]);

/** Why an operation failed, and what to do where something is made in a folder that is not there. */
function failureText(operation: Operation, session: CallSession, errno: string): string {
  const text = `${describeOperation(operation)}: ${errno}`;
  const path = operation.kind === "call" ? String(operation.step["path"] ?? "") : "path" in operation ? operation.path : "";
  const makes = MAKES.has(operation.kind === "call" ? operation.step.call : operation.kind);
  const folder = path.slice(0, path.replace(/\/+$/, "").lastIndexOf("/"));
  if (/: invalid (user|group): /.test(errno) && isErrno(session.task.stat("/etc/passwd")))
    return `${text}; the image has no /etc/passwd: { sh: "mkdir -p /etc && echo NAME:x:1000:1000::/: >> /etc/passwd" } names a user`;
  if (errno !== "ENOENT" || !makes || folder === "" || !isErrno(session.task.stat(folder))) return text;
  return `${text}: there is no folder ${folder} yet; { sh: mkdir -p ${folder} } makes it`;
}
