/**
 * The parameters of a scenario: its variables, and the matrix over which it runs.
 *
 * Interface: a matrix is every combination of its values, the last parameter the fastest. Parameters are read before variables, which may use
 * them; those that the command line gives take the place of either. A value is what a size may be: 64KiB, 3, 2*$n.
 */
import type { Plain, PlainDocument, PlainPath } from "./document.ts";
import { countText } from "./figures.ts";
import { valueAt } from "./issues.ts";
import { quoted } from "./problem.ts";
import { Fault, readSize, type Variables } from "./quantity.ts";
import { suggestion } from "./suggest.ts";

/** One combination: numbers by name for the file's `$names`, and those of the matrix as they are written. */
export interface Combination {
  readonly variables: Variables;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Values by the name of a parameter or variable, instead of the file's. */
export type Overrides = ReadonlyMap<string, readonly string[]>;

const COMBINATIONS_MAX = 10_000;

/** What is wrong, and where: `key` where it is the key at `path`. */
export interface ParameterFault {
  readonly path: PlainPath;
  readonly message: string;
}

/** Every combination of a file, one where it has no matrix; or what is wrong. */
export function combinationsOf(
  document: PlainDocument,
  overrides: Overrides,
): readonly Combination[] | readonly ParameterFault[] {
  const faults: ParameterFault[] = [];
  const axes = axesOf(document.value, overrides, faults);
  const count = axes.reduce((product, { values }) => product * values.length, 1);
  if (count > COMBINATIONS_MAX)
    faults.push({ path: ["matrix"], message: `more than ${countText(COMBINATIONS_MAX)} combinations: ${countText(count)}` });
  if (faults.length > 0) return faults;
  const out: Combination[] = [];
  for (let index = 0; index < count; index++) {
    const combination = combinationAt(document.value, axes, index, overrides);
    if (!("variables" in combination)) return combination;
    out.push(combination);
  }
  return out;
}

interface Axis {
  readonly name: string;
  readonly values: readonly Plain[];
}

function mappingAt(value: Plain, key: string): Readonly<Record<string, Plain>> {
  const found = valueAt(value, [key]);
  return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Readonly<Record<string, Plain>>) : {};
}

/** The matrix's parameters, and variables that the command line gives several values. */
function axesOf(value: Plain, overrides: Overrides, faults: ParameterFault[]): readonly Axis[] {
  const matrix = mappingAt(value, "matrix");
  const vars = mappingAt(value, "vars");
  const known = [...Object.keys(matrix), ...Object.keys(vars)];
  const axes: Axis[] = [];
  for (const [name, values] of Object.entries(matrix)) {
    if (Object.hasOwn(vars, name)) faults.push({ path: ["matrix", name], message: `${quoted(name)} is a variable, too` });
    const list = overrides.get(name) ?? values;
    if (Array.isArray(list)) axes.push({ name, values: list as readonly Plain[] });
    else faults.push({ path: ["matrix", name], message: `expected a list of values, found ${quoted(values)}` });
  }
  for (const [name, values] of overrides) {
    if (!known.includes(name))
      faults.push({ path: [], message: `-P: no parameter or variable is called ${quoted(name)}${suggestion(name, known)}` });
    else if (!Object.hasOwn(matrix, name)) axes.push({ name, values });
  }
  return axes;
}

function combinationAt(value: Plain, axes: readonly Axis[], index: number, overrides: Overrides): Combination | ParameterFault[] {
  const faults: ParameterFault[] = [];
  const variables = new Map<string, number>();
  const parameters: Record<string, string> = {};
  const chosen = new Map<string, { readonly value: Plain; readonly place: PropertyKey }>();
  let rest = index;
  for (const { name, values } of [...axes].reverse()) {
    const place = rest % values.length;
    chosen.set(name, { value: values[place] ?? null, place });
    rest = Math.floor(rest / values.length);
  }
  const unread = new Set<string>();
  const all = new Set(Object.keys(mappingAt(value, "vars")));
  const take = (name: string, written: Plain, path: PlainPath): void => {
    const found = readSize(written, variables);
    if (!(found instanceof Fault)) {
      variables.set(name, found);
      return;
    }
    const [, other = ""] = /^no variable is called "\$(\w+)"/.exec(found.message) ?? [];
    // What follows from another fault is not told beside it.
    if (!unread.has(other)) {
      const message = all.has(other) ? `"$${other}" stands below: a variable may use those above it` : found.message;
      faults.push({
        path: path.slice(0, overrides.has(name) ? 2 : path.length),
        message: `${overrides.has(name) ? "-P " : ""}${name}: ${message}`,
      });
    }
    unread.add(name);
  };
  for (const { name } of axes) {
    const one = chosen.get(name);
    if (one === undefined) continue;
    take(name, one.value, ["matrix", name, one.place]);
    parameters[name] = String(one.value);
  }
  for (const [name, written] of Object.entries(mappingAt(value, "vars")))
    if (!chosen.has(name)) take(name, written, ["vars", name]);
  return faults.length > 0 ? faults : { variables, parameters };
}
