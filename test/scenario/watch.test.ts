/**
 * Watches in scenarios: what inotify tells in a container, and of the image's own files.
 */
import { expect, test } from "vitest";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";

function answers(driver: string, steps: string): readonly unknown[] {
  const text = `version: 1
name: watch
about: Who hears what?
drivers: [${driver}]
host: { device: 2GiB }
images: { app: { layers: [[{ mkdir: /d }, { write: /d/f, text: x }]] } }
containers: { c: { image: app } }
steps:
${steps}
`;
  const [run] = runScenario(loadScenario(text, "watch.yaml"), { makeWorld }).drivers;
  return (run?.steps ?? []).map(({ answer }) => ("value" in answer ? answer.value : answer));
}

test("a watch in the container hears writes after a copy-up, one on the image's file in the layer hears nothing", () => {
  const told = answers(
    "overlay2",
    `  - { in: c, do: { watch: /d/f, as: w } }
  - { in: "app:1", do: { watch: /d/f, as: w } }
  - { in: c, do: { append: /d/f, text: y } }
  - { in: c, do: { watched: $w } }
  - { in: "app:1", do: { watched: $w } }`,
  );
  expect(told.slice(3)).toEqual([["IN_MODIFY"], []]);
});

test("events come with names and once in a row, and are told once", () => {
  const told = answers(
    "vfs",
    `  - { in: c, do: { watch: /d, as: w } }
  - { in: c, do: { append: /d/f, text: y } }
  - { in: c, do: { append: /d/f, text: y } }
  - { in: c, do: { mkdir: /d/sub } }
  - { in: c, do: { watched: $w } }
  - { in: c, do: { watched: $w } }`,
  );
  expect(told.slice(4)).toEqual([["IN_MODIFY f", "IN_CREATE|IN_ISDIR sub"], []]);
});

test("what cannot be watched says why, and a watch that was never set is refused with its place", () => {
  expect(answers("vfs", "  - { in: c, do: { watch: /none, as: w } }")).toEqual([{ errno: "ENOENT" }]);
  expect(() => answers("vfs", "  - { in: c, do: { watched: $w } }")).toThrow("watch.yaml:9:18: no step before this one opened");
  expect(() => answers("vfs", '  - { in: "app:1", do: { mkdir: /d/x } }')).toThrow('no container is called "app:1"');
});
