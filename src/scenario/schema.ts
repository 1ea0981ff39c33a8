/**
 * The language of scenario files as one zod schema, from which the JSON Schema is made too.
 *
 * Interface: a schema is made for the drivers that expectations may name; its quantities read the file's variables. A file that passes
 * is well formed; whether its names fit together is checked afterwards (check.ts).
 */
import { z } from "zod";
import { Errno } from "../../sim/core/errno.ts";
import { type Action, actionUnion, type Operation } from "./action.ts";
import { actionsFor } from "./actions.ts";
import { CUT_COMMANDS, FAIL_KINDS, FAULT_PHASES, FOR_EVER, type PlannedFault, planOf } from "./faults.ts";
import { countText } from "./figures.ts";
import { COSTS, DOCKERS } from "./host-options.ts";
import { containerSchema, imageSchema, type WrittenContainer, type WrittenImage } from "./image-schema.ts";
import { COLUMN_NAMES, columnNamed, METRIC_IDS, metricOf } from "./metrics.ts";
import { quoted } from "./problem.ts";
import type { Variables } from "./quantity.ts";
import { type Bounds, oneOf, type Slots, slotsFor } from "./slots.ts";

/** Docker's seven storage drivers. */
export const DRIVER_NAMES = ["aufs", "btrfs", "devicemapper", "overlay", "overlay2", "vfs", "zfs"] as const;
export type DriverName = (typeof DRIVER_NAMES)[number];

/** Backing filesystems, named as mount(8) names them. */
const BACKINGS = ["ext4", "xfs", "btrfs", "zfs", "tmpfs"] as const;

/** What the schemas of all files have in common: all but the drivers that expectations may name. */
interface CommonParts {
  /** The keys before `steps`. */
  readonly head: Shape;
  /** The keys of a step before its expectations. */
  readonly step: Shape;
  /** What can be expected of a step, and of the whole run. */
  readonly ofStep: Expected;
  readonly ofRun: Expected;
  readonly faults: z.ZodType;
  readonly compare: z.ZodType;
}

type Shape = Readonly<Record<string, z.ZodType>>;

/** Expectations of one kind, of one driver. */
interface Expected {
  readonly shape: Shape;
  readonly ofDriver: z.ZodType;
}

// A schema parses one file, so code made for it never pays; and a page's content policy may forbid to make any.
z.config({ jitless: true });

type Written = Readonly<Record<string, unknown>>;

export interface WrittenStep {
  readonly id?: string | undefined;
  readonly note?: string | undefined;
  readonly in?: string | undefined;
  readonly as?: { readonly uid: number; readonly gid: number; readonly groups?: readonly number[] | undefined } | undefined;
  readonly umask?: number | undefined;
  readonly repeat?: number | undefined;
  readonly do: Operation;
  readonly expect?: Written | undefined;
  readonly warn?: Written | undefined;
}
export interface WrittenDriver {
  readonly id?: string | undefined;
  readonly driver: DriverName;
  readonly options?: Readonly<Record<string, string>> | undefined;
  readonly backing?: (typeof BACKINGS)[number] | undefined;
  readonly kernel?: string | undefined;
  readonly docker?: string | undefined;
}
interface WrittenHost {
  readonly backing?: (typeof BACKINGS)[number] | undefined;
  readonly device?: number | undefined;
  readonly memory?: number | undefined;
  readonly readahead?: number | undefined;
  readonly kernel?: string | undefined;
  readonly docker?: string | undefined;
  readonly mount?: string | undefined;
  readonly cost?: string | undefined;
  readonly mkfs?: string | undefined;
}
/** A scenario file that is well formed. */
export interface WrittenScenario {
  readonly version: 1;
  readonly name: string;
  readonly about: string;
  readonly sources?: readonly string[] | undefined;
  readonly drivers?: "all" | readonly (DriverName | WrittenDriver)[] | undefined;
  readonly host?: WrittenHost | undefined;
  readonly seed?: number | undefined;
  readonly vars?: Readonly<Record<string, unknown>> | undefined;
  readonly matrix?: Readonly<Record<string, readonly unknown[]>> | undefined;
  readonly images?: Readonly<Record<string, WrittenImage>> | undefined;
  readonly containers?: Readonly<Record<string, WrittenContainer>> | undefined;
  readonly steps: readonly WrittenStep[];
  readonly faults?: Readonly<Record<string, PlannedFault>> | undefined;
  readonly expect?: Written | undefined;
  readonly warn?: Written | undefined;
  readonly compare?: { readonly metrics?: readonly string[] | undefined; readonly reference?: string | undefined } | undefined;
}

const ERRNO_CODES: readonly string[] = Errno.all().map((errno) => errno.code);

/** A slot for the bounds of a metric, by its unit. */
function boundsSlot(slots: Slots, column: string): z.ZodType<Bounds, unknown> {
  const found = columnNamed(column);
  return found !== undefined && metricOf(found.metric).unit === "nanoseconds" ? slots.spanBounds : slots.bounds;
}

type OptionalBounds = Record<string, z.ZodOptional<z.ZodType<Bounds, unknown>>>;

function amounts(slots: Slots, columns: readonly string[]): OptionalBounds {
  return Object.fromEntries(columns.map((column) => [column, boundsSlot(slots, column).optional()]));
}

function expectedOf(shape: Shape): Expected {
  return { shape, ofDriver: z.strictObject(shape) };
}

/**
 * Expectations of one kind: for every driver at the top or under `each`, for one driver under its id.
 * @param ids - the drivers that the file names; undefined: any name may stand for one (the JSON Schema)
 */
function expectations({ shape, ofDriver }: Expected, ids: readonly string[] | undefined): z.ZodType {
  const one = ofDriver.optional();
  const each = { ...shape, each: one };
  if (ids === undefined) return z.object(each).catchall(ofDriver);
  return z.strictObject({ ...each, ...Object.fromEntries(ids.map((id) => [id, one])) });
}

function backingSchema(): z.ZodType {
  return oneOf("backing filesystem", BACKINGS).meta({ description: "the filesystem at /var/lib/docker" });
}

function kernelSchema(): z.ZodType {
  return z.string().regex(/^\d+\.\d+$/, "expected a kernel version such as 6.18, in quotes");
}

function dockerSchema(): z.ZodType {
  return z.string().meta({ description: `whose storage drivers: ${[...DOCKERS.keys()].join(", ")}, in quotes` });
}

function driverSchema(slots: Slots): z.ZodType {
  const scalar = z.union([z.string(), z.number(), z.boolean()], {
    error: (issue) => `expected a text, a number, true or false, found ${quoted(issue.input)}`,
  });
  const name = oneOf("driver", DRIVER_NAMES);
  return z.union([
    name,
    z
      .strictObject({
        id: slots.name.optional(),
        driver: name,
        options: z.record(z.string(), scalar.transform(String)).optional(),
        backing: backingSchema().optional(),
        kernel: kernelSchema().optional(),
        docker: dockerSchema().optional(),
      })
      .meta({
        description: "a driver with options, or on another filesystem, kernel or Docker, under an id of its own",
      }),
  ]);
}

function hostSchema(slots: Slots): z.ZodType {
  return z.strictObject({
    backing: backingSchema().optional(),
    device: slots.size.optional(),
    memory: slots.size.optional(),
    readahead: slots.size.optional().meta({
      description: "the longest range that is read ahead of what was asked for (read_ahead_kb): none where it is left out",
    }),
    kernel: kernelSchema().optional(),
    docker: dockerSchema().optional(),
    mount: z
      .string()
      .regex(/^[\w=.-]+(,[\w=.-]+)*$/, "expected mount options such as pquota")
      .optional()
      .meta({ description: "options that the backing filesystem is mounted with, such as pquota or noatime" }),
    mkfs: slots.text.optional().meta({ description: "options of mkfs for the backing filesystem, such as -i 65536" }),
    cost: slots.name.optional().meta({ description: `the disk's cost profile: ${[...COSTS.keys()].join(", ")}` }),
  });
}

/** What the machine can be run under: one of the three kinds of plan, by its keys. */
export function planSchema(slots: Slots): z.ZodType<PlannedFault, unknown> {
  const keys = z.strictObject({
    power_cut: oneOf("command", CUT_COMMANDS).optional().meta({ description: "the power goes after a command of the disk" }),
    keep: slots.keep.optional(),
    torn: z.array(slots.ordinal).optional().meta({ description: "of these unflushed writes every other sector is there" }),
    fail: oneOf("thing that fails", FAIL_KINDS).optional(),
    times: slots.times.optional().meta({ description: `how many fail, or "${FOR_EVER}"` }),
    at: slots.ordinal.optional().meta({ description: "which command or allocation, from 1; without it each in turn" }),
    every: slots.ordinal.optional().meta({ description: "of those in turn every so many" }),
    from: oneOf("phase", FAULT_PHASES).optional().meta({ description: "the phase with which counting begins: steps" }),
    memory: slots.size.optional().meta({ description: "memory for the page cache" }),
    device: slots.size.optional().meta({ description: "the size of the disk" }),
    inodes: slots.ordinal.optional().meta({ description: "inodes of the backing filesystem" }),
  });
  return keys.transform((written, context) => {
    // What is wrong with a key is told already.
    if (context.issues.length > 0) return z.NEVER;
    const plan = planOf(written);
    if ("kind" in plan) return plan;
    context.addIssue({ code: "custom", message: plan.message, path: plan.key === undefined ? [] : [plan.key] });
    return z.NEVER;
  }) as unknown as z.ZodType<PlannedFault, unknown>;
}

/** What a step can answer. */
function answers(slots: Slots): Shape {
  return {
    result: z
      .literal("ok", {
        error: (issue) => `a result can only be ok, found ${quoted(issue.input)}; an error is expected as { error: EXDEV }`,
      })
      .optional(),
    error: oneOf("error", ERRNO_CODES).optional(),
    message: slots.text.optional().meta({ description: "words in the text of a driver's error" }),
    value: z.unknown().optional(),
    status: z.int().min(0).max(255).optional().meta({ description: "the exit status of a script" }),
    stdout: slots.text.optional().meta({ description: "all that a script wrote, its last line's end aside" }),
    stderr: slots.text.optional().meta({ description: "words in what a script complained about" }),
  };
}

function stepShape(slots: Slots, operation: z.ZodType): Shape {
  return {
    id: slots.name.optional(),
    note: slots.text.optional(),
    in: slots.treeName.optional().meta({ description: "the container that makes the call; to watch, also a layer as IMAGE:N" }),
    as: z.strictObject({ uid: slots.id, gid: slots.id, groups: z.array(slots.id).optional() }).optional(),
    umask: slots.mode.optional(),
    repeat: slots.count
      .refine((times) => times >= 1, { error: "expected once or more often" })
      .refine((times) => times <= REPEAT_MAX, { error: `expected ${countText(REPEAT_MAX)} times at most` })
      .optional()
      .meta({ description: "how many times it is done, as long as none fails" }),
    do: operation,
  };
}

/** Some seconds of the quickest calls: a step that never ends is a slip of the pen. */
const REPEAT_MAX = 10_000_000;

/** Everything of a file but its steps and expectations. */
function headShape(slots: Slots, fileOperations: readonly Action[], layerOperations: readonly Action[]): Shape {
  return {
    version: z.literal(1, { error: () => "this program reads version 1" }),
    name: slots.name,
    about: slots.text,
    sources: z.array(slots.text).optional().meta({ description: "where the question comes from" }),
    drivers: z
      .union([z.literal("all"), z.array(driverSchema(slots)).min(1, "name one driver at least")])
      .optional()
      .meta({ description: "all seven, or a list; default: all" }),
    host: hostSchema(slots).optional(),
    seed: z.int().min(0, "a seed is a whole number from 0 on").optional(),
    vars: z.record(slots.name, z.unknown()).optional().meta({ description: "quantities that others may name as $name" }),
    matrix: z.record(slots.name, z.array(z.unknown()).min(1, "a parameter needs a value")).optional().meta({
      description:
        "parameters with the values that each takes: the scenario runs once for every combination, and names them as $name",
    }),
    images: z.record(slots.name, imageSchema(slots, fileOperations, layerOperations)).optional(),
    containers: z.record(slots.name, containerSchema(slots)).optional(),
  };
}

function commonParts(slots: Slots, actions: readonly Action[]): CommonParts {
  const ofScope = (scope: Action["scope"]): readonly Action[] => actions.filter((action) => action.scope === scope);
  const files = ofScope("files");
  return {
    head: headShape(slots, files, [...files, ...ofScope("build")]),
    step: stepShape(slots, actionUnion([...files, ...ofScope("machine")])),
    ofStep: expectedOf({ ...answers(slots), ...amounts(slots, METRIC_IDS) }),
    ofRun: expectedOf(amounts(slots, COLUMN_NAMES)),
    faults: z.record(slots.name, planSchema(slots)).optional().meta({ description: "what it can be run under, by names" }),
    compare: z
      .strictObject({ metrics: z.array(oneOf("metric", COLUMN_NAMES)).min(1).optional(), reference: slots.name.optional() })
      .optional(),
  };
}

/** The schema of files with these drivers. */
function schemaFor(common: CommonParts, ids: readonly string[] | undefined): z.ZodType<WrittenScenario, unknown> {
  const { head, step, ofStep, ofRun, faults, compare } = common;
  const ofOneStep = expectations(ofStep, ids).optional();
  const warned = { description: "expectations that are told when they fail, and fail nothing" };
  const steps = z.array(z.strictObject({ ...step, expect: ofOneStep, warn: ofOneStep.meta(warned) }));
  const whole = expectations(ofRun, ids).optional();
  const schema = z.strictObject({
    ...head,
    steps: steps.max(100_000, "more than 100000 steps"),
    faults,
    expect: whole,
    warn: whole,
    compare,
  });
  return schema as unknown as z.ZodType<WrittenScenario, unknown>;
}

/** More sets of drivers' ids than this are not kept. */
const SCHEMAS_MAX = 32;

/**
 * The schemas of files, one for each set of drivers' ids: they are dear to make, and a matrix parses one file many times. Quantities in them read
 * the variables of the file that is parsed.
 */
export class ScenarioSchemas {
  readonly #variables = new Map<string, number>();
  readonly #common: CommonParts;
  readonly #known = new Map<string, z.ZodType<WrittenScenario, unknown>>();

  constructor() {
    const slots = slotsFor(this.#variables);
    this.#common = commonParts(slots, actionsFor(slots));
  }

  /** The schema for files with these drivers; it reads `variables` until the next call. */
  schemaFor(ids: readonly string[], variables: Variables): z.ZodType<WrittenScenario, unknown> {
    this.#variables.clear();
    for (const [name, value] of variables) this.#variables.set(name, value);
    const key = ids.join("\n");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= SCHEMAS_MAX) this.#known.clear();
    const made = schemaFor(this.#common, ids);
    this.#known.set(key, made);
    return made;
  }
}

/** The JSON Schema (draft-07) of scenario files, for editors. */
export function jsonSchema(): unknown {
  const slots = slotsFor(new Map());
  const schema = z.toJSONSchema(schemaFor(commonParts(slots, actionsFor(slots)), undefined), {
    target: "draft-7",
    io: "input",
    reused: "ref",
  });
  return { ...schema, title: "cowlab scenario, version 1" };
}
