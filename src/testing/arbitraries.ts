/**
 * Arbitraries of fast-check: operations, trees, stacks of layers, scripts, block workloads, fault plans and scenarios.
 *
 * Interface: they shrink to what is simplest: fewer steps first, then an argument that stands earlier in its list, then no user and no umask. All
 * come from the vocabularies of src/fuzz, so that a property and a campaign speak of the same things.
 */
import fc from "fast-check";
import type { Json } from "../calls/json.ts";
import type { Step } from "../calls/step.ts";
import { differencesOf } from "../fuzz/differences.ts";
import type { FaultPlan } from "../fuzz/faults/machine.ts";
import type { Ground } from "../fuzz/ground.ts";
import type { Script } from "../fuzz/script.ts";
import { KERNEL, MODELLED, PRELUDE, type Vocabulary, type Word } from "../fuzz/vocabulary.ts";

function wordArbitrary({ call, arguments: given }: Word): fc.Arbitrary<Step> {
  const fields = Object.fromEntries(Object.entries(given).map(([key, values]) => [key, fc.constantFrom(...values)]));
  return fc.record(fields).map((made) => ({ call, ...(made as Record<string, Json>) }));
}

/** One call of a vocabulary, now and then made by somebody without privileges. */
export function operation(vocabulary: Vocabulary = MODELLED): fc.Arbitrary<Step> {
  const words = vocabulary.words.map((word) => ({
    arbitrary: wordArbitrary(word),
    weight: Math.max(1, Math.round(word.weight * 10)),
  }));
  const who = fc.option(fc.constantFrom(...vocabulary.users), { freq: vocabulary.asEvery });
  return fc.tuple(fc.oneof(...words), who, fc.constantFrom(...vocabulary.umasks)).map(([step, as, umask]) => ({
    ...step,
    ...(as === null ? {} : { as }),
    ...(umask === undefined ? {} : { umask }),
  }));
}

/** Calls in a row. */
export function operations(
  options: { readonly maxLength?: number; readonly vocabulary?: Vocabulary } = {},
): fc.Arbitrary<Step[]> {
  return fc.array(operation(options.vocabulary), { maxLength: options.maxLength ?? 30 });
}

/** A tree as the calls that make it: folders, files, links, attributes over a few names. */
export function tree(options: { readonly maxLength?: number } = {}): fc.Arbitrary<Step[]> {
  const makes: ReadonlySet<string> = new Set([
    "mkdir",
    "symlink",
    "link",
    "mknod",
    "chmod",
    "chown",
    "setxattr",
    "utimens",
    "truncate",
  ]);
  const words = MODELLED.words.filter(({ call }) => makes.has(call));
  return operations({ ...options, vocabulary: { ...MODELLED, words } }).map((steps) => [...PRELUDE, ...steps]);
}

function inLayer(on: string, steps: readonly Step[]): Step[] {
  return steps.map((step) => ({ on, ...step }));
}

export interface StackOptions {
  readonly vocabulary?: Vocabulary;
  readonly layersMax?: number;
  readonly callsMax?: number;
}

/** Layers over each other, each with its calls, the lowest one on the usual beginnings. */
export function layerStack(options: StackOptions = {}): fc.Arbitrary<Step[]> {
  const calls = operations({ maxLength: options.callsMax ?? 8, ...(options.vocabulary && { vocabulary: options.vocabulary }) });
  return fc.array(calls, { minLength: 1, maxLength: options.layersMax ?? 3 }).map((layers) =>
    layers.flatMap((steps, index) => {
      const name = `L${index}`;
      const parent = index === 0 ? {} : { parent: `L${index - 1}` };
      return [{ lab: "layer", name, ...parent }, ...inLayer(name, index === 0 ? [...PRELUDE, ...steps] : steps)];
    }),
  );
}

/** A script on one of the grounds: layers, then a container, whose tree is looked at in the end, and its upper folder with `upper`. */
export function script(
  grounds: readonly Ground[],
  options: StackOptions & { readonly upper?: boolean } = {},
): fc.Arbitrary<Script> {
  const above = operations({ maxLength: 30, ...(options.vocabulary && { vocabulary: options.vocabulary }) });
  return fc.tuple(fc.constantFrom(...grounds), layerStack(options), above).map(([ground, below, calls]) => {
    const leftOut = options.vocabulary === KERNEL ? [] : differencesOf(ground).flatMap(({ leavesOut }) => leavesOut ?? []);
    const layers = below.filter((step) => step["lab"] === "layer").length;
    const steps: Step[] = [
      ...below,
      { lab: "container", name: "C", parent: `L${layers - 1}` },
      ...inLayer("C", calls),
      { on: "C", call: "tree" },
    ];
    if (options.upper === true) steps.push({ lab: "upper", name: "C" });
    return { ground, steps: steps.filter((step) => !leftOut.some((isOut) => isOut(step))) };
  });
}

/** A script of what a real kernel can be asked, and whose upper folder is looked at. */
export function kernelScript(grounds: readonly Ground[]): fc.Arbitrary<Script> {
  return script(grounds, { vocabulary: KERNEL, upper: true });
}

/** A command to a block device: bytes, multiples of 512. */
export type BlockCommand =
  | { readonly kind: "write"; readonly offset: number; readonly length: number; readonly seed: number }
  | { readonly kind: "discard" | "read"; readonly offset: number; readonly length: number }
  | { readonly kind: "flush" };

/** Commands within a device of `size` bytes, aligned to `unit`. */
export function blockWorkload(
  options: { readonly size?: number; readonly unit?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<BlockCommand[]> {
  const { size = 2 ** 20, unit = 4096, maxLength = 60 } = options;
  const units = size / unit;
  const range = fc
    .tuple(fc.nat(units - 1), fc.integer({ min: 1, max: 16 }))
    .map(([first, count]) => ({ offset: first * unit, length: Math.min(count, units - first) * unit }));
  const command = fc.oneof(
    { arbitrary: fc.tuple(range, fc.nat(999)).map(([at, seed]) => ({ kind: "write" as const, ...at, seed })), weight: 6 },
    { arbitrary: range.map((at) => ({ kind: "read" as const, ...at })), weight: 2 },
    { arbitrary: range.map((at) => ({ kind: "discard" as const, ...at })), weight: 1 },
    { arbitrary: fc.constant({ kind: "flush" as const }), weight: 1 },
  );
  return fc.array(command, { maxLength });
}

/** What a run is made under: nothing, commands of the disk that fail, a small disk, little memory. */
export function faultPlan(): fc.Arbitrary<FaultPlan> {
  const fault = fc.record({
    on: fc.constantFrom("read" as const, "write" as const, "flush" as const),
    at: fc.integer({ min: 1, max: 200 }),
    times: fc.constantFrom(1, Number.POSITIVE_INFINITY),
  });
  return fc.oneof(
    fc.constant({}),
    fc.array(fault, { minLength: 1, maxLength: 2 }).map((faults) => ({ faults })),
    fc.constantFrom({ size: 8 * 2 ** 20 }, { size: 16 * 2 ** 20 }, { memory: 2 ** 20 }),
  );
}
