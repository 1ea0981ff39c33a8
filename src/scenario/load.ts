/**
 * Reads a scenario file: YAML → plain values → schema → names that fit together → Scenario.
 * Interface: `loadScenario` gives the scenario or every problem that one stage found; a file with a problem is not run at all.
 */
import type { z } from "zod";
import type { Operation } from "./action.ts";
import { checkFit } from "./check.ts";
import { type Plain, type PlainDocument, type PlainPath, readYaml } from "./document.ts";
import { HOST_DEFAULTS } from "./host-options.ts";
import type { WrittenImage } from "./image-schema.ts";
import { findingsOf, valueAt } from "./issues.ts";
import { type Column, columnNamed } from "./metrics.ts";
import { type Combination, combinationsOf, type Overrides } from "./parameters.ts";
import { type Place, type Problem, quoted, ScenarioError } from "./problem.ts";
import {
  type DriverChoice,
  type Expectation,
  type ImagePlan,
  imagesBelow,
  type LayerPlan,
  type Scenario,
  type StepPlan,
} from "./scenario.ts";
import { DRIVER_NAMES, ScenarioSchemas, type WrittenDriver, type WrittenScenario, type WrittenStep } from "./schema.ts";
import type { Bounds } from "./slots.ts";

/** What the table of a scenario without `compare.metrics` shows, as far as anything of it happened. */
const METRICS_DEFAULT = [
  "data_copied",
  "space_allocated_at_create",
  "space_allocated_at_steps",
  "device_bytes_written_at_steps",
  "modelled_time_at_steps",
];
/** More problems than this help nobody. */
const PROBLEMS_MAX = 20;

/** Kept from file to file; what one file names does not stay in them. */
const SCHEMAS = new ScenarioSchemas();

interface Reading {
  readonly file: string;
  readonly document: PlainDocument;
  readonly problems: Problem[];
  /** Whether its variables could not be read. */
  readonly isBlind: boolean;
}

/**
 * Reads one scenario: of a file with a matrix its first combination.
 * @param text - the file's content
 * @param file - what problems call it
 * @throws ScenarioError with every problem found.
 */
export function loadScenario(text: string, file: string): Scenario {
  return loadScenarios(text, file)[0] as Scenario;
}

/**
 * Reads a file's scenarios: one, or one for each combination of its matrix, in order.
 * @param overrides - values for its parameters and variables, instead of the file's
 * @throws ScenarioError with every problem found.
 */
export function loadScenarios(text: string, file: string, overrides: Overrides = new Map()): readonly Scenario[] {
  const document = readYaml(text, file);
  if (!("value" in document)) throw new ScenarioError(document);
  const combinations = combinationsOf(document, overrides);
  const faults = combinations.flatMap((one) => ("message" in one ? [one] : []));
  const problems = faults.map(({ path, message }) => ({ file, ...document.placeOf(path), message }));
  if (problems.length > 0 && combinations.some((one) => "variables" in one)) throw new ScenarioError(inOrder(problems));
  const usable = combinations.flatMap((one) => ("variables" in one ? [one] : []));
  const first = usable[0] ?? { variables: new Map(), parameters: {} };
  return (usable.length === 0 ? [first] : usable).map((combination) =>
    readOne({ file, document, problems: [...problems], isBlind: problems.length > 0 }, combination),
  );
}

/** What follows from a variable that could not be read is not told beside that. */
const FOLLOWS = /^(?:\w+: )?no variable is called "/;

function readOne(reading: Reading, { variables, parameters }: Combination): Scenario {
  const { document } = reading;
  const version = valueAt(document.value, ["version"]);
  // Of a later version every other key may mean something else.
  if (version !== undefined && version !== 1)
    throw new ScenarioError([
      { file: reading.file, ...document.placeOf(["version"]), message: `this program reads version 1, not ${quoted(version)}` },
    ]);
  const ids = driverIds(document.value);
  const schema = SCHEMAS.schemaFor(ids, variables);
  const parsed = (schema as z.ZodType<WrittenScenario>).safeParse(document.value);
  if (!parsed.success) {
    for (const finding of findingsOf(parsed.error, schema, document.value)) {
      report(
        reading,
        finding.message,
        finding.key === undefined ? document.placeOf(finding.path) : document.placeOfKey(finding.path, finding.key),
      );
    }
    throw new ScenarioError(inOrder(reading.problems));
  }
  const scenario = build(reading, parsed.data, parameters);
  checkFit(scenario, document, (message, place) => report(reading, message, place));
  if (reading.problems.length > 0) throw new ScenarioError(inOrder(reading.problems));
  return scenario;
}

function report(reading: Reading, message: string, place: Place): void {
  if (reading.isBlind && FOLLOWS.test(message)) return;
  reading.problems.push({ file: reading.file, ...place, message });
}

/** Problems by place, each once. */
function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const sorted = [...problems].sort((one, other) => one.line - other.line || one.column - other.column);
  const distinct = sorted.filter((one, index) => index === 0 || JSON.stringify(one) !== JSON.stringify(sorted[index - 1]));
  if (distinct.length <= PROBLEMS_MAX) return distinct;
  const last = distinct[PROBLEMS_MAX] as Problem;
  return [...distinct.slice(0, PROBLEMS_MAX), { ...last, message: `and ${distinct.length - PROBLEMS_MAX} problems more` }];
}

/** The ids that expectations may name, read before the schema judges the drivers. */
function driverIds(value: Plain): readonly string[] {
  const drivers = valueAt(value, ["drivers"]);
  if (!Array.isArray(drivers)) return DRIVER_NAMES;
  return drivers.flatMap((entry: Plain) => {
    const id = typeof entry === "string" ? entry : (valueAt(entry, ["id"]) ?? valueAt(entry, ["driver"]));
    return typeof id === "string" ? [id] : [];
  });
}

/** Containers in the order of the file; of those with a count each by its number. */
function containersOf({ containers = {} }: WrittenScenario, document: PlainDocument): Scenario["containers"] {
  return Object.entries(containers).flatMap(([written, { image, count, size, init = false, user, volumes = [] }]) => {
    const plan = { written, image, size, init, user, volumes, place: document.placeOf(["containers", written]) };
    if (count === undefined) return [{ ...plan, name: written }];
    return Array.from({ length: count }, (_, index) => ({ ...plan, name: `${written}-${index + 1}` }));
  });
}

function build(reading: Reading, written: WrittenScenario, parameters: Scenario["parameters"]): Scenario {
  const { document } = reading;
  const host = written.host ?? {};
  const drivers: readonly (string | WrittenDriver)[] =
    written.drivers === undefined || written.drivers === "all" ? DRIVER_NAMES : written.drivers;
  return {
    file: reading.file,
    name: written.name,
    about: written.about.trim(),
    parameters,
    sources: written.sources ?? [],
    drivers: drivers.map((driver, index) =>
      driverChoice(driver as WrittenDriver | DriverChoice["driver"], document.placeOf(["drivers", index])),
    ),
    host: {
      backing: host.backing ?? HOST_DEFAULTS.backing,
      device: host.device ?? HOST_DEFAULTS.device,
      memory: host.memory ?? HOST_DEFAULTS.memory,
      kernel: host.kernel ?? HOST_DEFAULTS.kernel,
      docker: host.docker ?? HOST_DEFAULTS.docker,
      mount: host.mount,
      cost: host.cost,
      ...(host.readahead === undefined ? {} : { readahead: host.readahead }),
      ...(host.mkfs === undefined ? {} : { mkfs: host.mkfs }),
    },
    seed: written.seed ?? 1,
    images: inBuildOrder(Object.entries(written.images ?? {}).map(([name, image]) => imagePlan(name, image, written, document))),
    containers: containersOf(written, document),
    steps: written.steps.map((step, index) => stepPlan(step, index, document)),
    faults: Object.entries(written.faults ?? {}).map(([name, plan]) => ({ name, plan })),
    expectations: [
      ...expectationsOf(written.expect, ["expect"], document),
      ...softly(expectationsOf(written.warn, ["warn"], document)),
    ],
    compare: {
      columns: (written.compare?.metrics ?? METRICS_DEFAULT)
        .map((name) => columnNamed(name))
        .filter((column): column is Column => column !== undefined),
      reference: written.compare?.reference,
      byDefault: written.compare?.metrics === undefined,
    },
  };
}

function driverChoice(entry: WrittenDriver | DriverChoice["driver"], place: Place): DriverChoice {
  if (typeof entry === "string") return { id: entry, driver: entry, options: {}, place };
  const { driver, id = driver, options = {}, backing, kernel, docker } = entry;
  return {
    id,
    driver,
    options,
    place,
    ...(backing === undefined ? {} : { backing }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(docker === undefined ? {} : { docker }),
  };
}

function imagePlan(name: string, image: WrittenImage, written: WrittenScenario, document: PlainDocument): ImagePlan {
  const path = ["images", name];
  const from = image.from;
  const kind = from !== undefined && Object.hasOwn(written.images ?? {}, from) ? "image" : "archive";
  const layers = (image.layers ?? []).map((layer, index): LayerPlan => {
    const operations = (Array.isArray(layer) ? layer : [layer]) as readonly Operation[];
    const title = commandText(valueAt(document.value, [...path, "layers", index]));
    return { operations, title, place: document.placeOf([...path, "layers", index]) };
  });
  return {
    name,
    from: from === undefined || from === "scratch" ? undefined : { kind, name: from },
    layers,
    build: image.build,
    context: image.context,
    squash: image.squash ?? false,
    place: document.placeOf(path),
  };
}

/** Images so that one stands behind those it is built from; a circle keeps the order of the file (check.ts reports it). */
function inBuildOrder(images: readonly ImagePlan[]): readonly ImagePlan[] {
  const out: ImagePlan[] = [];
  const visit = (image: ImagePlan, below: readonly ImagePlan[]): void => {
    if (out.includes(image) || below.includes(image)) return;
    for (const name of imagesBelow(image)) {
      const base = images.find((other) => other.name === name);
      if (base !== undefined) visit(base, [...below, image]);
    }
    out.push(image);
  };
  for (const image of images) visit(image, []);
  return out;
}

function stepPlan(step: WrittenStep, index: number, document: PlainDocument): StepPlan {
  const path = ["steps", index];
  return {
    id: step.id ?? `step-${index + 1}`,
    container: step.in,
    as: step.as === undefined ? undefined : { uid: step.as.uid, gid: step.as.gid, groups: step.as.groups ?? [] },
    umask: step.umask,
    repeat: step.repeat ?? 1,
    title: titleOf(valueAt(document.value, [...path, "do"])),
    operation: step.do,
    expectations: [
      ...expectationsOf(step.expect, [...path, "expect"], document),
      ...softly(expectationsOf(step.warn, [...path, "warn"], document)),
    ],
    place: document.placeOf(path),
  };
}

/** Whether a value is a list of words or numbers. */
function isPlainList(value: Plain): value is readonly (string | number)[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string" || typeof item === "number");
}

/** An action as the file writes it, in one line. */
function commandText(action: Plain | undefined): string {
  if (typeof action !== "object" || action === null) return "";
  if (Array.isArray(action)) return action.map(commandText).join(" && ");
  const script = valueAt(action, ["sh"]);
  if (typeof script === "string") return script.trim().replaceAll("\n", "; ");
  const shown = (value: Plain): string =>
    isPlainList(value) ? value.join(",") : typeof value === "object" ? quoted(value) : String(value);
  const words = Object.entries(action).map(([key, value], index) => `${key}${index === 0 ? " " : "="}${shown(value)}`);
  return words.join(" ").replaceAll("\n", "\\n");
}

/** The same, short. */
function titleOf(action: Plain | undefined): string {
  const text = commandText(action);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

const ANSWER_KEYS: ReadonlySet<string> = new Set(["result", "error", "message", "value", "status", "stdout", "stderr"]);

/** Expectations of every driver stand at the top or under `each`; those of one driver under its id. */
function expectationsOf(
  written: Readonly<Record<string, unknown>> | undefined,
  path: PlainPath,
  document: PlainDocument,
): readonly Expectation[] {
  if (written === undefined) return [];
  return Object.entries(written).flatMap(([key, value]) => {
    if (value === undefined) return [];
    if (ANSWER_KEYS.has(key) || columnNamed(key) !== undefined)
      return [expectation(undefined, key, value, document.placeOfKey(path, key))];
    const driver = key === "each" ? undefined : key;
    return Object.entries(value as Readonly<Record<string, unknown>>).flatMap(([inner, what]) =>
      what === undefined ? [] : [expectation(driver, inner, what, document.placeOfKey([...path, key], inner))],
    );
  });
}

function softly(expectations: readonly Expectation[]): readonly Expectation[] {
  return expectations.map((one) => ({ ...one, soft: true }));
}

function expectation(driver: string | undefined, key: string, value: unknown, place: Place): Expectation {
  const column = columnNamed(key);
  const what = column === undefined ? answerOf(key, value) : ({ kind: "amount", column, bounds: value as Bounds } as const);
  return { driver, what, place, soft: false };
}

function answerOf(key: string, value: unknown): Expectation["what"] {
  switch (key) {
    case "error":
      return { kind: "error", code: String(value) };
    case "message":
      return { kind: "message", words: String(value) };
    case "value":
      return { kind: "value", value };
    case "status":
      return { kind: "status", status: Number(value) };
    case "stdout":
      return { kind: "stdout", text: String(value) };
    case "stderr":
      return { kind: "stderr", words: String(value) };
    default:
      return { kind: "ok" };
  }
}
