/**
 * What an action of a step is: how the file writes it, and the operation that it means.
 *
 * Interface: the first field of an action has its name.
 */
import { z } from "zod";
import type { Instruction } from "../images/builder.ts";
import type { SimpleCommand } from "../shell/parse.ts";
import type { FailKind, Kept } from "./faults.ts";
import type { MetricId } from "./metrics.ts";
import type { Variables } from "./quantity.ts";

/** Bytes to write, in words: a text, or so many bytes of something. */
export type Data =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "fill"; readonly unit: Uint8Array; readonly size: number }
  | { readonly kind: "pattern"; readonly seed: number; readonly size: number }
  /** Incompressible bytes that no other write of the run has. */
  | { readonly kind: "random"; readonly size: number };

/** A system call as src/calls takes it: its name and its arguments. */
export interface CallStep {
  readonly call: string;
  readonly [argument: string]: unknown;
}

/** Makes a folder of many files. */
export interface PopulateOperation {
  readonly kind: "populate";
  readonly path: string;
  /** In each lowest folder. */
  readonly files: number;
  /** Empty ones, in each lowest folder. */
  readonly folders: number;
  /** Levels of folders below `path`, two in each. */
  readonly depth: number;
  /** Bytes of each file, which no other file has. */
  readonly size: number;
  /** Whether the filesystem is synced behind them, before anybody looks at what they take. */
  readonly sync: boolean;
}

/** What `walk` does to everything below a folder. */
export const WALK_ACTS = ["stat", "read", "append", "chmod", "remove"] as const;

/** Goes through everything below a folder. */
export interface WalkOperation {
  readonly kind: "walk";
  readonly path: string;
  readonly act: (typeof WALK_ACTS)[number];
  readonly text: string;
  readonly mode: number;
}

type Verb = Instruction["verb"];

export type Operation =
  | { readonly kind: "call"; readonly step: CallStep; readonly data?: Data }
  /** open, write, close; `append` opens with O_APPEND instead of O_TRUNC. */
  | { readonly kind: "writeFile"; readonly path: string; readonly append: boolean; readonly mode: number; readonly data: Data }
  /** open, read to the end, close. */
  | { readonly kind: "readFile"; readonly path: string }
  | { readonly kind: "tick"; readonly span: number }
  | { readonly kind: "measure"; readonly metrics: readonly MetricId[] }
  | { readonly kind: "dropCaches" }
  /** The plug is pulled, and the machine starts again. */
  | { readonly kind: "powerCut"; readonly kept: Kept }
  /** The `at`-th command of the disk, or allocation, from now on fails, and those behind it: `times` in all. */
  | { readonly kind: "fail"; readonly what: FailKind; readonly at: number; readonly times: number }
  /** Nothing fails any more. */
  | { readonly kind: "mend" }
  | { readonly kind: "diff"; readonly container: string }
  /** `name`: a container, or an image's layer as `IMAGE:N`. */
  | { readonly kind: "remove"; readonly name: string }
  /** A command of zfs(8) or zpool(8); names of containers and layers among its words stand for their datasets. */
  | { readonly kind: "zfs"; readonly tool: ZfsTool; readonly words: readonly string[] }
  | { readonly kind: "show"; readonly image: string; readonly field: ImageField }
  | { readonly kind: "ps"; readonly container: string }
  | { readonly kind: "stack"; readonly image: string; readonly layers: number; readonly by: "docker" | "driver" }
  | { readonly kind: "du"; readonly acrossMounts: boolean }
  | PopulateOperation
  | WalkOperation
  /** An instruction of a build that changes the configuration alone. */
  | {
      readonly kind: "instruction";
      readonly verb: Exclude<Verb, "RUN">;
      readonly text: string;
    }
  /** COPY or ADD of a Dockerfile. */
  | {
      readonly kind: "copy";
      readonly verb: "COPY" | "ADD";
      readonly sources: readonly string[];
      readonly to: string;
      /** Another image of the file; undefined: the build's context. */
      readonly from: string | undefined;
      readonly chown: string | undefined;
      readonly chmod: string | undefined;
    }
  /** A script of the small shell; `text` as the file writes it. */
  | { readonly kind: "shell"; readonly text: string; readonly script: readonly SimpleCommand[]; readonly variables: Variables };

/** What `show` tells of an image. */
export const IMAGE_FIELDS = [
  "id",
  "diff_ids",
  "chain_ids",
  "size",
  "layer_sizes",
  "created_by",
  "intermediate",
  "old_ids",
  "usage",
] as const;
export type ImageField = (typeof IMAGE_FIELDS)[number];

/** The commands of zfs that a machine has. */
export type ZfsTool = "zfs" | "zpool";

/** Where an action can stand: in a container's steps and in layers, on the machine (no `in`), or in the layers of a build. */
type Scope = "files" | "machine" | "build";

export interface Action {
  readonly name: string;
  readonly about: string;
  readonly scope: Scope;
  readonly fields: readonly string[];
  readonly schema: z.ZodType<Operation, unknown>;
}

type Shape = z.core.$ZodLooseShape;

/** Makes an action out of its fields. */
export function action<S extends Shape>(
  about: string,
  shape: S,
  make: (fields: z.output<z.ZodObject<S, z.core.$strict>>) => Operation,
  scope: Scope = "files",
): Action {
  const fields = Object.keys(shape);
  const schema = z.strictObject(shape).meta({ description: about }).transform(make);
  return { name: fields[0] ?? "", about, scope, fields, schema: schema as unknown as z.ZodType<Operation, unknown> };
}

/**
 * One of several actions, or `other`. A mapping is held against the actions whose names are among its keys, which its own is; where none of them
 * takes it, every one is tried, so that the issue is that of a plain union.
 */
export function actionUnion(actions: readonly Action[], ...other: readonly z.ZodType[]): z.ZodType<Operation, unknown> {
  const union = z.union([...other, ...actions.map(({ schema }) => schema)]);
  const { run } = union._zod;
  union._zod.run = (payload, context) => {
    const { value } = payload;
    const isMapping = typeof value === "object" && value !== null && !Array.isArray(value);
    for (const { name, schema } of isMapping ? actions : []) {
      if (!Object.hasOwn(value as object, name)) continue;
      const taken = schema._zod.run({ value, issues: [] }, context);
      if (!(taken instanceof Promise) && taken.issues.length === 0) return taken;
    }
    return run(payload, context);
  };
  return union as unknown as z.ZodType<Operation, unknown>;
}

/** A system call whose arguments are given; those that are undefined are left out. */
export function call(name: string, parameters: Readonly<Record<string, unknown>>, data?: Data): Operation {
  const step: Record<string, unknown> & { call: string } = { call: name };
  for (const [key, value] of Object.entries(parameters)) if (value !== undefined) step[key] = value;
  return data === undefined ? { kind: "call", step } : { kind: "call", step, data };
}

/** The name behind the `$` of an open file. */
export function fd(text: string): string {
  return text.slice(1);
}

/** A field that takes a path or an open file, as the call that goes with it: `stat` or `fstat`. */
export function target(
  text: string,
  byPath: string,
  byDescriptor: string,
): { readonly call: string; readonly on: Record<string, string> } {
  return text.startsWith("$") ? { call: byDescriptor, on: { fd: fd(text) } } : { call: byPath, on: { path: text } };
}

/** Permission bits as calls take them. */
export function octal(mode: number | undefined): string | undefined {
  return mode === undefined ? undefined : mode.toString(8).padStart(4, "0");
}
