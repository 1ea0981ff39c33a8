/**
 * Whole scenarios as fast-check arbitraries: a file's text, so that what a property prints is a file that `cowlab run` takes.
 *
 * Interface: every file is well formed, and its image can be built: layers hold only what the plain tree can do. Steps may be refused. They
 * shrink to one driver, one layer, no steps, each part on its own.
 */
import fc from "fast-check";
import { isErrno } from "../../sim/core/errno.ts";
import { formatJson, isRecord, type Json } from "../calls/json.ts";
import type { Step } from "../calls/step.ts";
import { actionOf } from "../fuzz/counterexample.ts";
import { rulesOf } from "../fuzz/differences.ts";
import { ModelTree } from "../fuzz/model/tree.ts";
import { MODELLED, PRELUDE, type Vocabulary } from "../fuzz/vocabulary.ts";
import { prepare } from "../fuzz/world.ts";
import { DRIVER_NAMES } from "../scenario/schema.ts";
import { operation } from "./arbitraries.ts";

export interface ScenarioOptions {
  /** Drivers to choose from; default all seven. */
  readonly drivers?: readonly string[];
  readonly vocabulary?: Vocabulary;
  readonly layersMax?: number;
  readonly stepsMax?: number;
}

/** Calls that make or change what a layer holds. */
const BUILDS: ReadonlySet<string> = new Set(
  "mkdir rmdir unlink link symlink rename chmod lchown mknod truncate setxattr utimens".split(" "),
);
const SCRIPTS = ["cp -r /d /copy", "mv /d /moved", "rm -rf /d", "mkdir -p /d/x/y", "echo more >> /a", "ls -lR /"] as const;
const CONTAINERS = ["c1", "c2"] as const;
const BACKINGS = ["ext4", "xfs"] as const;

/** The prelude as actions of a layer: its file that is opened, written and closed as one write. */
const BEGINNING: readonly Step[] = PRELUDE.filter(({ call }) => call !== "write" && call !== "close");

/** The actions of each layer that succeed on what the layers below hold. */
function buildable(layers: readonly (readonly Step[])[]): Json[][] {
  const plain = rulesOf({ target: "", backing: "", mountOptions: "" }, false);
  let tree = new ModelTree(plain, plain);
  return layers.map((steps, index) => {
    if (index > 0) {
      tree.seal();
      tree = tree.fork();
    }
    const made = index === 0 ? BEGINNING.map((step) => [step, actionIn(step)] as const) : [];
    const all = [...made, ...steps.map((step) => [step, actionOf(step)] as const)];
    return all.flatMap(([step, action]) => {
      const prepared = prepare(step);
      return prepared === undefined || isErrno(prepared.call.model(tree, step)) ? [] : [action];
    });
  });
}

/** A step of the beginning: opening a new file is writing it. */
function actionIn(step: Step): Json {
  return step["call"] === "open" ? { write: step["path"] ?? "", text: "from the image" } : actionOf(step);
}

/** One call by root, with no umask. */
function plainCall(vocabulary: Vocabulary): fc.Arbitrary<Step> {
  return operation(vocabulary).map(({ as: _, umask: __, ...step }) => step);
}

function stepArbitrary(vocabulary: Vocabulary): fc.Arbitrary<Record<string, Json>> {
  const where = fc.constantFrom(...CONTAINERS);
  const made = fc.tuple(where, operation(vocabulary)).map(([container, { as, umask, ...step }]) => ({
    in: container,
    ...(as === undefined ? {} : { as }),
    ...(umask === undefined ? {} : { umask }),
    do: actionOf(step),
  }));
  return fc.oneof(
    { arbitrary: made, weight: 12 },
    { arbitrary: fc.tuple(where, fc.constantFrom(...SCRIPTS)).map(([at, sh]) => ({ in: at, do: { sh } })), weight: 2 },
    { arbitrary: where.map((container) => ({ do: { diff: container } })), weight: 1 },
    { arbitrary: fc.constantFrom("100ms", "6s", "40s").map((tick) => ({ do: { tick } })), weight: 1 },
    { arbitrary: fc.constant({ do: { drop_caches: 1 } }), weight: 1 },
  );
}

/** Without the steps on files that no step before them opened in their container, which no scenario may have. */
function withoutDangling(steps: readonly Readonly<Record<string, Json>>[]): Readonly<Record<string, Json>>[] {
  const opened = new Set<string>();
  return steps.filter((step) => {
    const { do: made } = step;
    if (!isRecord(made)) return false;
    if (typeof made["as"] === "string") opened.add(`${step["in"]} $${made["as"]}`);
    const on = Object.values(made)[0];
    return typeof on !== "string" || !on.startsWith("$") || opened.has(`${step["in"]} ${on}`);
  });
}

/** A scenario file's text. */
export function scenario(options: ScenarioOptions = {}): fc.Arbitrary<string> {
  const { drivers = DRIVER_NAMES, vocabulary = MODELLED, layersMax = 3, stepsMax = 20 } = options;
  const words = MODELLED.words.filter(({ call }) => BUILDS.has(call));
  const layer = fc.array(plainCall({ ...MODELLED, words }), { maxLength: 8 });
  return fc
    .record({
      chosen: fc.shuffledSubarray([...drivers], { minLength: 1 }),
      backing: fc.constantFrom(...BACKINGS),
      layers: fc.array(layer, { minLength: 1, maxLength: layersMax }),
      steps: fc.array(stepArbitrary(vocabulary), { maxLength: stepsMax }),
    })
    .map(({ chosen, backing, layers, steps }) => {
      const lines = withoutDangling(steps).map((step, index) => `  - ${formatJson({ id: `s${index + 1}`, ...step })}`);
      return [
        "version: 1",
        "name: generated",
        "about: A scenario that a property made.",
        `drivers: ${formatJson(chosen)}`,
        `host: { backing: ${backing}, device: 2GiB }`,
        "images:",
        "  app:",
        "    layers:",
        ...buildable(layers)
          .filter((actions) => actions.length > 0)
          .map((actions) => `      - ${formatJson(actions)}`),
        `containers: { ${CONTAINERS.map((name) => `${name}: { image: app }`).join(", ")} }`,
        lines.length === 0 ? "steps: []" : "steps:",
        ...lines,
        "",
      ].join("\n");
    });
}
