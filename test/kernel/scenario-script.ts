/**
 * A scenario as steps that the kernel's oracle can make: what its layers hold, its containers, and its calls.
 */
import type { Json } from "../../src/calls/json.ts";
import type { Step } from "../../src/calls/step.ts";
import type { Data, Operation } from "../../src/scenario/action.ts";
import type { Scenario } from "../../src/scenario/scenario.ts";

/** A step, and the id of the scenario's step that it ends; undefined for those that only lead there. */
export interface KernelStep {
  readonly step: Step;
  readonly ends?: string;
}

/** The name under which figures are asked for before there is a layer. */
export const GROUND = "ground";

/** Content is told by its length: no filesystem here looks at it. */
function dataOf(data: Data): Json {
  if (data.kind === "text") return data.text;
  return { fill: "cowlab", len: data.size };
}

function callsOf(operation: Operation): Step[] | undefined {
  switch (operation.kind) {
    case "call":
      return [{ ...(operation.step as Step), ...(operation.data === undefined ? {} : { data: dataOf(operation.data) }) }];
    case "writeFile": {
      const flags = ["O_WRONLY", "O_CREAT", operation.append ? "O_APPEND" : "O_TRUNC"];
      const mode = operation.mode.toString(8).padStart(4, "0");
      return [
        { call: "open", path: operation.path, flags, mode, fd: "whole" },
        { call: "write", fd: "whole", data: dataOf(operation.data) },
        { call: "close", fd: "whole" },
      ];
    }
    case "readFile":
      return [
        { call: "open", path: operation.path, flags: ["O_RDONLY"], fd: "whole" },
        { call: "read", fd: "whole", len: 2 ** 30 },
        { call: "close", fd: "whole" },
      ];
    default:
      return undefined;
  }
}

/** Files that the scenario reads whole, with who reads them. */
function readFiles({ steps }: Scenario): Step[] {
  return steps.flatMap(({ container, operation }) =>
    container !== undefined && operation.kind === "readFile" ? [{ on: container, call: "drop", path: operation.path }] : [],
  );
}

/** Building and starting; `undefined` when the scenario needs more than calls on files. */
export function layersOf(scenario: Scenario): Step[] | undefined {
  const out: Step[] = [{ lab: "layer", name: GROUND }];
  for (const image of scenario.images) {
    if (image.build !== undefined || image.from !== undefined) return undefined;
    for (const [index, layer] of image.layers.entries()) {
      const name = `${image.name}-${index + 1}`;
      out.push({ lab: "layer", name, ...(index === 0 ? {} : { parent: `${image.name}-${index}` }) });
      for (const operation of layer.operations) {
        const calls = callsOf(operation);
        if (calls === undefined) return undefined;
        out.push(...calls.map((call) => ({ on: name, ...call })));
      }
    }
  }
  return out;
}

/** The containers, each over its image. */
export function containersOf({ containers, images }: Scenario): Step[] {
  return containers.map(({ name, image }) => {
    const layers = images.find((one) => one.name === image)?.layers.length ?? 0;
    return { lab: "container", name, parent: `${image}-${layers}` };
  });
}

/** The calls of the steps; emptying the page cache is dropping every file that is read later. */
export function callsOfSteps(scenario: Scenario): KernelStep[] {
  return scenario.steps.flatMap(({ id, container, operation }): KernelStep[] => {
    if (operation.kind === "dropCaches") return readFiles(scenario).map((step) => ({ step }));
    const calls = container === undefined ? undefined : callsOf(operation);
    if (calls === undefined || container === undefined) return [];
    // What was read is the answer of a whole read, not that the file was closed.
    const answering = calls.length - (operation.kind === "readFile" ? 2 : 1);
    return calls.map((call, index) => ({
      step: { on: container, ...call },
      ...(index === answering ? { ends: id } : {}),
    }));
  });
}
