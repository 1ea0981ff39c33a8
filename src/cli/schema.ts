/**
 * `cowlab schema`: the published JSON Schemas.
 */
import { resultSchema } from "../report/result-schema.ts";
import { jsonSchema } from "../scenario/schema.ts";
import { suggestion } from "../scenario/suggest.ts";
import { UsageError } from "./exit.ts";

const SCHEMAS: Readonly<Record<string, () => unknown>> = { scenario: jsonSchema, result: resultSchema };

/** The schema of scenario files or of results, as text. */
export function schemaText(what: string): string {
  const make = Object.hasOwn(SCHEMAS, what) ? SCHEMAS[what] : undefined;
  if (make === undefined) throw new UsageError(`no schema of "${what}"${suggestion(what, Object.keys(SCHEMAS))}`);
  return `${JSON.stringify(make(), null, 2)}\n`;
}
