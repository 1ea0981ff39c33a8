/**
 * A saved run held to its own schema before anything is made of it: what a file lacks, or has of another kind, is told by its place.
 *
 * Interface: knows of JSON Schema what `result-schema.ts` uses. Keys that the schema does not name are passed over: a later version may have more.
 */
import { resultSchema } from "./result-schema.ts";

/** The words of JSON Schema that are looked at. */
interface Schema {
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly type?: string | readonly string[];
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
}

type Fields = Readonly<Record<string, unknown>>;

function isOfType(value: unknown, type: string): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (type === "integer") return Number.isSafeInteger(value);
  return type === "number" ? Number.isFinite(value) : typeof value === type;
}

const ARTICLES: Readonly<Record<string, string>> = {
  array: "a list",
  object: "a mapping",
  integer: "a whole number",
  string: "a text",
};

function kindFault(value: unknown, schema: Schema): string | undefined {
  const types = typeof schema.type === "string" ? [schema.type] : schema.type;
  if (types?.some((type) => isOfType(value, type)) === false)
    return `is not ${types.map((type) => ARTICLES[type] ?? `a ${type}`).join(" or ")}`;
  if (schema.const !== undefined && value !== schema.const) return `is not ${JSON.stringify(schema.const)}`;
  if (schema.enum?.includes(value) === false) return "is none of those that this version knows";
  if (schema.minimum !== undefined && typeof value === "number" && value < schema.minimum) return `is below ${schema.minimum}`;
  return undefined;
}

function fieldFault(
  fields: Fields,
  { properties = {}, required = [], additionalProperties }: Schema,
  place: string,
): string | undefined {
  const at = (key: string): string => (place === "" ? key : `${place}.${key}`);
  const lacking = required.find((key) => !Object.hasOwn(fields, key));
  if (lacking !== undefined) return `${at(lacking)} is missing`;
  for (const [key, value] of Object.entries(fields)) {
    const others = typeof additionalProperties === "object" ? additionalProperties : undefined;
    const schema = Object.hasOwn(properties, key) ? properties[key] : others;
    const fault = schema === undefined ? undefined : faultIn(value, schema, at(key));
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** The first place where a value is not as its schema says, in words; undefined where there is none. */
function faultIn(value: unknown, schema: Schema, place: string): string | undefined {
  const kind = kindFault(value, schema);
  if (kind !== undefined) return `${place} ${kind}`;
  if (schema.oneOf?.every((one) => faultIn(value, one, place) !== undefined) === true) return `${place} is none of its forms`;
  if (Array.isArray(value)) {
    const { items } = schema;
    for (const [index, item] of (items === undefined ? [] : value).entries()) {
      const fault = items === undefined ? undefined : faultIn(item, items, `${place}[${index}]`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  return typeof value === "object" && value !== null ? fieldFault(value as Fields, schema, place) : undefined;
}

/** What a run's document lacks or has wrong, by its place, such as "scenarios[0].name is missing"; undefined for a whole one. */
export function documentFault(document: unknown): string | undefined {
  return faultIn(document, resultSchema() as Schema, "");
}
