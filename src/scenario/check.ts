/**
 * Whether a well-formed scenario's names fit together: images, containers, open files, drivers, and what may stand where.
 */
import { k4_0, k6_18, kernelProfile } from "../../sim/core/kernel-profile.ts";
import type { Operation } from "./action.ts";
import { DATA_ACTIONS, dataFault } from "./data-actions.ts";
import type { PlainDocument } from "./document.ts";
import { optionFault } from "./driver-options.ts";
import { COSTS, DOCKERS } from "./host-options.ts";
import { CONTAINERS_MAX } from "./image-schema.ts";
import { valueAt } from "./issues.ts";
import { type Place, quoted } from "./problem.ts";
import { diskFault } from "./quantity.ts";
import { imagesBelow, type Scenario, type StepPlan } from "./scenario.ts";
import { suggestion } from "./suggest.ts";

type Report = (message: string, place: Place) => void;

/** Reports everything that does not fit. */
export function checkFit(scenario: Scenario, document: PlainDocument, report: Report): void {
  checkHost(scenario, document, report);
  checkDrivers(scenario, document, report);
  checkImages(scenario, document, report);
  const containers = scenario.containers.map((container) => container.name);
  if (containers.length > CONTAINERS_MAX) report(`more than ${CONTAINERS_MAX} containers`, document.placeOf(["containers"]));
  for (const index of repeated(containers)) {
    const { written, name } = scenario.containers[index] ?? { written: "", name: "" };
    report(`two containers are called ${quoted(name)}`, document.placeOf(["containers", written]));
  }
  checkSteps(scenario, document, containers, report);
}

function repeated(names: readonly string[]): readonly number[] {
  const seen = new Set<string>();
  return names.flatMap((name, index) => (seen.size === seen.add(name).size ? [index] : []));
}

function checkHost({ host }: Scenario, document: PlainDocument, report: Report): void {
  const { kernel, cost, docker, device } = host;
  const unfit = diskFault(device);
  if (unfit !== undefined) report(unfit, document.placeOf(["host", "device"]));
  checkDocker(docker, document.placeOf(["host", "docker"]), report);
  checkKernel(kernel, document.placeOf(["host", "kernel"]), report);
  if (cost !== undefined && !COSTS.has(cost)) {
    report(`unknown cost profile ${quoted(cost)}${suggestion(cost, [...COSTS.keys()])}`, document.placeOf(["host", "cost"]));
  }
}

function checkKernel(kernel: string | undefined, place: Place, report: Report): void {
  if (kernel !== undefined && kernelProfile(kernel) === undefined)
    report(`no kernel ${quoted(kernel)} is known; known: the releases from ${k4_0.version} to ${k6_18.version}`, place);
}

function checkDocker(docker: string | undefined, place: Place, report: Report): void {
  if (docker !== undefined && !DOCKERS.has(docker))
    report(`no Docker ${quoted(docker)} is known; known: ${[...DOCKERS.keys()].join(", ")}`, place);
}

function checkDrivers({ drivers, compare }: Scenario, document: PlainDocument, report: Report): void {
  const ids = drivers.map((driver) => driver.id);
  for (const index of repeated(ids)) {
    report(
      `two drivers have the id ${quoted(ids[index])}: give one of them another by "id"`,
      document.placeOf(["drivers", index]),
    );
  }
  drivers.forEach(({ driver, options, kernel, docker }, index) => {
    checkDocker(docker, document.placeOf(["drivers", index, "docker"]), report);
    checkKernel(kernel, document.placeOf(["drivers", index, "kernel"]), report);
    for (const [name, value] of Object.entries(options)) {
      const fault = optionFault(driver, name, value);
      if (fault !== undefined) report(fault, document.placeOfKey(["drivers", index, "options"], name));
    }
  });
  const { reference } = compare;
  if (reference !== undefined && !ids.includes(reference)) {
    report(
      `no driver here has the id ${quoted(reference)}${suggestion(reference, ids)}`,
      document.placeOf(["compare", "reference"]),
    );
  }
}

function checkImages({ images, containers }: Scenario, document: PlainDocument, report: Report): void {
  const names = images.map((image) => image.name);
  for (const image of images) {
    const path = ["images", image.name];
    if (image.layers.length === 0 && image.from === undefined)
      report("an image needs a layer or a `from`", document.placeOf(path));
    checkBuild(image, images, report);
    if (standsOnItself(image.name, images))
      report(`the image ${quoted(image.name)} is built from itself`, document.placeOf([...path, "from"]));
    checkDataIn(valueAt(document.value, [...path, "layers"]), [...path, "layers"], document, report);
    image.layers.forEach((layer, index) => {
      const opened = new Set<string>();
      for (const operation of layer.operations) checkDescriptors(operation, opened, layer.place, report);
      if (layer.operations.length === 0) report("a layer needs a step", document.placeOf([...path, "layers", index]));
    });
  }
  const first = containers.filter(({ written }, index) => containers[index - 1]?.written !== written);
  for (const { written, image, volumes } of first) {
    const twice = volumes.findIndex(({ path }, index) => volumes.findIndex((other) => other.path === path) < index);
    if (twice >= 0) {
      const place = document.placeOf(["containers", written, "volumes", twice]);
      report(`Duplicate mount point: ${volumes[twice]?.path}`, place);
    }
    if (names.includes(image)) continue;
    report(`no image is called ${quoted(image)}${suggestion(image, names)}`, document.placeOf(["containers", written, "image"]));
  }
}

/** Images of the builder stand on such images, on archives or on nothing; only they have instructions. */
function checkBuild(image: Scenario["images"][number], images: Scenario["images"], report: Report): void {
  for (const layer of image.layers)
    if (image.build === undefined && layer.operations.some((operation) => operation.kind === "instruction"))
      report("an instruction of a Dockerfile needs `build: classic` in its image", layer.place);
  if (image.squash && image.build !== "classic") report("`squash` needs `build: classic`", image.place);
  if (image.build === "v1" && image.from !== undefined)
    report("an image of `build: v1` stands on nothing: leave out `from`", image.place);
  for (const { operations, place } of image.layers)
    for (const operation of operations) if (operation.kind === "copy") checkCopy(operation, image, images, { report, place });
  const base = image.from?.kind === "image" ? images.find((other) => other.name === image.from?.name) : undefined;
  if (image.build !== undefined && base !== undefined && base.build === undefined)
    report(
      `an image that is built cannot stand on ${quoted(base.name)}, which is not: give that \`build: classic\` too`,
      image.place,
    );
}

type CopyOperation = Extract<Operation, { kind: "copy" }>;

/** What is copied comes out of a context, or of an image that Docker's own stores have. */
function checkCopy(
  { verb, from }: CopyOperation,
  image: Scenario["images"][number],
  images: Scenario["images"],
  { report, place }: { readonly report: Report; readonly place: Place },
): void {
  const word = verb.toLowerCase();
  if (image.build !== "classic") report(`${quoted(word)} needs \`build: classic\` in its image`, place);
  if (from === undefined && image.context === undefined)
    report(
      `${quoted(word)} needs a folder to take files from: \`context: FOLDER\` in its image${verb === "COPY" ? ", or `from: IMAGE` beside it" : ""}`,
      place,
    );
  if (from === undefined) return;
  const source = images.find(({ name }) => name === from);
  const names = images.map(({ name }) => name).filter((name) => name !== image.name);
  if (source === undefined) report(`no image is called ${quoted(from)}${suggestion(from, names)}`, place);
  else if (source.build === undefined && source.from?.kind !== "archive")
    report(`files cannot be copied from ${quoted(from)}, which is not built: give it \`build: classic\` too`, place);
}

function standsOnItself(name: string, images: Scenario["images"]): boolean {
  const seen = new Set<string>();
  const reaches = (from: string): boolean => {
    const below = images.find((image) => image.name === from);
    if (below === undefined || seen.has(from)) return false;
    seen.add(from);
    return imagesBelow(below).some((one) => one === name || reaches(one));
  };
  return reaches(name);
}

/** Data fields anywhere in layers: a layer is one step or a list of them. */
function checkDataIn(value: unknown, path: readonly PropertyKey[], document: PlainDocument, report: Report): void {
  if (!Array.isArray(value)) {
    checkData(value, path, document, report);
    return;
  }
  for (const [index, item] of value.entries()) checkDataIn(item, [...path, index], document, report);
}

function checkData(value: unknown, path: readonly PropertyKey[], document: PlainDocument, report: Report): void {
  if (typeof value !== "object" || value === null || !DATA_ACTIONS.some((name) => Object.hasOwn(value, name))) return;
  const fault = dataFault(value as Readonly<Record<string, unknown>>);
  if (fault !== undefined) report(fault, document.placeOf(path));
}

function checkSteps(scenario: Scenario, document: PlainDocument, containers: readonly string[], report: Report): void {
  const { steps } = scenario;
  const ids = steps.map((step) => step.id);
  for (const index of repeated(ids))
    report(`two steps have the id ${quoted(ids[index])}`, document.placeOf(["steps", index, "id"]));
  const opened = new Map<string, Set<string>>();
  steps.forEach((step, index) => {
    const path = ["steps", index];
    checkData(valueAt(document.value, [...path, "do"]), [...path, "do"], document, report);
    checkPlace(step, document.placeOf([...path, "in"]), placesOf(step, scenario), report);
    const place = document.placeOf([...path, "do"]);
    if ((step.operation.kind === "diff" || step.operation.kind === "ps") && !containers.includes(step.operation.container)) {
      report(
        `no container is called ${quoted(step.operation.container)}${suggestion(step.operation.container, containers)}`,
        place,
      );
    }
    const inContainer = opened.get(step.container ?? "") ?? new Set();
    opened.set(step.container ?? "", inContainer);
    if (step.operation.kind === "stack" || step.operation.kind === "show")
      checkImage(step.operation.image, scenario, place, report);
    if (step.operation.kind === "remove") checkRemoved(step.operation.name, scenario, place, report);
    if (step.operation.kind === "powerCut") opened.clear();
    checkDescriptors(step.operation, inContainer, place, report);
    checkAnswers(step, report);
  });
}

function checkImage(name: string, { images }: Scenario, place: Place, report: Report): void {
  const names = images.map((image) => image.name);
  if (!names.includes(name)) report(`no image is called ${quoted(name)}${suggestion(name, names)}`, place);
}

/** The layers that the file's own steps write, as IMAGE:N. */
function writtenLayers({ images }: Scenario): readonly string[] {
  const written = images.filter((image) => image.build === undefined);
  return written.flatMap((image) => image.layers.map((_, index) => `${image.name}:${index + 1}`));
}

/** Where a step may act: in a container; whoever watches may do it in the host's folder of a layer, too. */
function placesOf({ operation }: StepPlan, scenario: Scenario): readonly string[] {
  const containers = scenario.containers.map((container) => container.name);
  const watches = operation.kind === "call" && ["watch", "watched"].includes(operation.step.call);
  return watches ? [...containers, ...writtenLayers(scenario)] : containers;
}

/** What is removed is a container, or a layer that the file's own steps write. */
function checkRemoved(name: string, scenario: Scenario, place: Place, report: Report): void {
  const { images, containers } = scenario;
  if (containers.some((container) => container.name === name)) return;
  const layers = writtenLayers(scenario);
  if (layers.includes(name)) return;
  if (images.some((image) => image.build !== undefined && name.startsWith(`${image.name}:`))) {
    report(`${quoted(name)} lies in Docker's own store, which counts its users: only containers of that image can go`, place);
    return;
  }
  const known = [...containers.map((container) => container.name), ...layers];
  report(`no container or layer is called ${quoted(name)}${suggestion(name, known)}`, place);
}

function isCall(operation: Operation): boolean {
  return ["shell", "call", "writeFile", "readFile", "populate", "walk"].includes(operation.kind);
}

function checkPlace(step: StepPlan, place: Place, containers: readonly string[], report: Report): void {
  if (!isCall(step.operation)) {
    if (step.container !== undefined) report(`${quoted(step.title)} acts on the machine: leave out "in"`, place);
    return;
  }
  if (step.container === undefined) report(`"in" is missing: which container makes the call?`, step.place);
  else if (!containers.includes(step.container)) {
    report(`no container is called ${quoted(step.container)}${suggestion(step.container, containers)}`, place);
  }
}

/** Open files must have been opened before, in the same container. */
function checkDescriptors(operation: Operation, opened: Set<string>, place: Place, report: Report): void {
  if (operation.kind !== "call") return;
  const { step } = operation;
  const name = step["fd"];
  if (step.call === "open" || step.call === "watch") {
    opened.add(String(name));
    return;
  }
  for (const used of [name, step.call === "clone" || step.call === "copy_file_range" ? step["to"] : undefined]) {
    if (typeof used !== "string" || opened.has(used)) continue;
    const known = [...opened].map((one) => `$${one}`);
    report(`no step before this one opened ${quoted(`$${used}`)} in this container${suggestion(`$${used}`, known)}`, place);
  }
}

/** A step has one answer: `result`, `error`, `message` and `value` exclude each other for one driver. */
function checkAnswers(step: StepPlan, report: Report): void {
  const answered = new Set<string>();
  for (const { driver, what, place, soft } of step.expectations) {
    if (what.kind === "amount") continue;
    if (what.kind === "status" || what.kind === "stdout" || what.kind === "stderr") {
      if (step.operation.kind !== "shell") report(`only a script has ${quoted(what.kind)}: { sh: … }`, place);
      continue;
    }
    const whose = `${soft} ${driver ?? "each"}`;
    if (answered.has(whose)) report('expect one of "result", "error", "message" and "value"', place);
    answered.add(whose);
  }
}
