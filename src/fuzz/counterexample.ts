/**
 * A counterexample as files: a trace whose results are the plain tree's, and a scenario that expects them.
 *
 * Interface: `expectations` runs the plain trees alone. The trace says that seen inodes are not held, so that a replay meets the same numbers.
 */
import { formatJson, isRecord, type Json } from "../calls/json.ts";
import type { CallResult, Step } from "../calls/step.ts";
import { textOf } from "../calls/step.ts";
import { rulesOf } from "./differences.ts";
import { ModelTree } from "./model/tree.ts";
import type { Script } from "./script.ts";
import { treeRows } from "./tree-rows.ts";
import { prepare } from "./world.ts";

/** What each step of a script should give; undefined where nothing is said. */
function expectations({ ground, steps }: Script): (CallResult | undefined)[] {
  const trees = new Map<string, ModelTree>();
  const sealed = new Set<string>();
  return steps.map((step) => {
    const { lab, parent } = step;
    if (lab === "layer" || lab === "container") {
      const below = typeof parent === "string" ? trees.get(parent) : undefined;
      if (below !== undefined && typeof parent === "string" && !sealed.has(parent)) {
        below.seal();
        sealed.add(parent);
      }
      trees.set(textOf(step, "name"), below?.fork() ?? new ModelTree(rulesOf(ground, false), rulesOf(ground, true)));
      return undefined;
    }
    const tree = lab === undefined ? trees.get(textOf(step, "on")) : undefined;
    return tree === undefined ? undefined : expectation(tree, step);
  });
}

function expectation(tree: ModelTree, step: Step): CallResult | undefined {
  if (step["call"] === "tree") return treeRows(tree);
  const prepared = prepare(step);
  if (prepared === undefined) return undefined;
  tree.actor = prepared.actor;
  tree.umask = prepared.umask;
  if (prepared.call.leavesOut?.(tree, step) === true) return undefined;
  return prepared.call.told(prepared.call.model(tree, step), tree);
}

/** The text of a trace file. */
export function traceText(script: Script, name: string): string {
  const results = expectations(script);
  const header = { trace: 1, name, ...script.ground, kernel: "the plain tree", holdsSeen: false };
  const lines = script.steps.map((step, index) => {
    const result = results[index];
    return result === undefined ? step : { ...step, result };
  });
  return `${[header, ...lines].map((line) => formatJson(line as Json)).join("\n")}\n`;
}

/** Calls whose action has another name, or that act on a descriptor. */
const ACTIONS: Readonly<Record<string, string>> = { ftruncate: "truncate", fstat: "stat", fchmod: "chmod", fchown: "chown" };
const RENAMED: Readonly<Record<string, string>> = { len: "size" };
const LEFT_OUT: ReadonlySet<string> = new Set(["on", "call", "as", "umask", "path", "fd", "data"]);

/** A unit, repeated, as a scenario's data: it has a word only for one byte. */
function filling(unit: string, length: number): Record<string, Json> {
  if (unit.length === 1) return { fill: unit.charCodeAt(0), size: length };
  return { text: unit.repeat(Math.ceil(length / unit.length)).slice(0, length) };
}

/** A call step as a scenario's action (the language's own words for what it is given). */
export function actionOf(step: Step): Record<string, Json> {
  const call = textOf(step, "call");
  if (call === "sync") return { sync: "filesystem" };
  const { path, fd, data } = step;
  const action: Record<string, Json> = {};
  action[ACTIONS[call] ?? call] = path ?? (typeof fd === "string" ? `$${fd}` : "/");
  for (const [key, value] of Object.entries(step)) {
    if (LEFT_OUT.has(key)) continue;
    action[RENAMED[key] ?? key] = key === "flags" && Array.isArray(value) ? value.join("|") : value;
  }
  if (action["flags"] === "") delete action["flags"];
  if (call === "open" && fd !== undefined) action["as"] = fd;
  if (typeof data === "string") action["text"] = data;
  if (isRecord(data)) Object.assign(action, filling(String(data["fill"]), Number(data["len"])));
  return action;
}

/** The layers below a tree, lowest first. */
function ancestors(steps: readonly Step[], name: string): string[] {
  const made = steps.find((step) => step["lab"] !== undefined && step["name"] === name);
  const parent = made?.["parent"];
  return typeof parent === "string" ? [...ancestors(steps, parent), parent] : [];
}

function expected(result: CallResult | undefined): Record<string, Json> {
  if (result === undefined) return {};
  if ("errno" in result) return { expect: { error: result.errno } };
  return "value" in result ? { expect: { value: result.value } } : { expect: { result: "ok" } };
}

/**
 * A scenario file with the script's last tree as a container; undefined where a scenario cannot tell it: layers by other users, time that
 * passes before the container is there.
 */
export function scenarioText(script: Script, name: string): string | undefined {
  const { ground, steps } = script;
  const last = steps.findLast((step) => step["on"] !== undefined);
  if (last === undefined || ground.mountOptions !== "") return undefined;
  const container = textOf(last, "on");
  const chain = ancestors(steps, container);
  const results = expectations(script);
  const layers: Json[][] = chain.map(() => []);
  const lines: string[] = [];
  for (const [index, step] of steps.entries()) {
    const layer = chain.indexOf(String(step["on"]));
    const result = results[index];
    if (layer >= 0) {
      if (step["as"] !== undefined || step["umask"] !== undefined) return undefined;
      // A layer's build ends at a refused call; such a call changes nothing.
      if (result !== undefined && !("errno" in result) && step["call"] !== "tree") layers[layer]?.push(actionOf(step));
    } else if (step["on"] === container) {
      const who = {
        ...(step["as"] === undefined ? {} : { as: step["as"] }),
        ...(step["umask"] === undefined ? {} : { umask: step["umask"] }),
      };
      lines.push(`  - ${formatJson({ id: `s${index + 1}`, in: "c", ...who, do: actionOf(step), ...expected(result) })}`);
    }
  }
  if (layers.length === 0) layers.push([{ mkdir: "/lowest" }]);
  return `version: 1
name: ${name}
about: A counterexample that cowlab found.
drivers: [${ground.target}]
host: { backing: ${ground.backing}, device: 2GiB }
images:
  app: ${formatJson({ layers })}
containers: { c: { image: app } }
steps:
${lines.join("\n")}
`;
}
