/**
 * The JSON Schema (draft-07) of a run's document: what `--json` prints and `--save` keeps.
 */
import { COLUMN_NAMES, METRIC_IDS, metricOf } from "../scenario/metrics.ts";

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const whole: Schema = { type: "integer" };

/** An object with these keys and no others; those in `optional` may be missing. */
function object(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((key) => !optional.includes(key));
  return { type: "object", properties, required, additionalProperties: false };
}

function list(items: Schema): Schema {
  return { type: "array", items };
}

function words(values: Schema): Schema {
  return { type: "object", additionalProperties: values };
}

const figures: Schema = object(
  Object.fromEntries(
    METRIC_IDS.map((id) => [id, { type: "number", description: `${metricOf(id).about} (${metricOf(id).unit})` }]),
  ),
);

const answer: Schema = {
  description: "what a step gave: nothing but success, a value, or the errno or the driver's words",
  oneOf: [object({ ok: { const: true } }), object({ value: {} }), object({ errno: text })],
};

const phase: Schema = { enum: ["build", "create", "steps"] };

const expectation: Schema = object(
  {
    step: text,
    what: { type: "string", description: "answer, status, stdout, stderr, or a metric" },
    ok: { type: "boolean" },
    soft: { const: true, description: "a warning: it fails nothing" },
    unreached: { const: true, description: "the run never came so far" },
    expected: text,
    found: text,
    line: whole,
    column: whole,
  },
  ["step", "soft", "unreached"],
);

const driver: Schema = object(
  {
    id: text,
    driver: text,
    options: words(text),
    backing: { type: "string", description: "the filesystem at /var/lib/docker" },
    kernel: { type: "string", description: "the release of Linux, where it is not the host's" },
    phases: object({ build: figures, create: figures, steps: figures }),
    total: figures,
    steps: list(object({ id: text, answer, figures, status: whole, stderr: text }, ["status", "stderr"])),
    expectations: list(expectation),
    stopped: object({ phase, where: text, why: text, line: whole, column: whole }),
  },
  ["kernel", "stopped"],
);

const scenario: Schema = object(
  {
    name: text,
    file: text,
    about: text,
    sources: list(text),
    parameters: words(text),
    seed: whole,
    host: words({ type: ["string", "number"] }),
    columns: list(
      object({ name: { enum: COLUMN_NAMES }, title: text, unit: { enum: ["bytes", "count", "pages", "nanoseconds", "ratio"] } }),
    ),
    reference: text,
    steps: list(object({ id: text, title: text, container: text, line: whole }, ["container"])),
    images: list(object({ name: text, from: text, layers: list(text) }, ["from"])),
    containers: list(object({ name: text, image: text })),
    drivers: list(driver),
    missing: list(object({ id: text, why: text })),
  },
  ["reference"],
);

/** The whole schema. */
export function resultSchema(): unknown {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "cowlab run, version 1",
    ...object(
      {
        format: { const: "cowlab-run" },
        version: { const: 1 },
        shard: object({
          index: { ...whole, minimum: 0 },
          count: { ...whole, minimum: 1 },
          numbers: list({ ...whole, minimum: 0 }),
        }),
        scenarios: list(scenario),
      },
      ["shard"],
    ),
  };
}
