/**
 * Scenarios whose images come from archives or from Docker's builder.
 */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readScenarios } from "../../src/node/files.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario, type ScenarioRun } from "../../src/scenario/run.ts";

function failures(run: ScenarioRun): string[] {
  return run.drivers.flatMap(({ id, stopped, verdicts }) => [
    ...(stopped === undefined ? [] : [`${id}: ${stopped.where}: ${stopped.why}`]),
    ...verdicts.filter(({ ok }) => !ok).map((verdict) => `${id}: ${JSON.stringify(verdict)}`),
  ]);
}

test("containers run from images of docker save and of an OCI layout, and builds stand on them", async () => {
  const [loaded] = await readScenarios(fileURLToPath(new URL("../data/images/from-archive.yaml", import.meta.url)));
  if (loaded === undefined) throw new Error("no scenario");
  const { scenario, archives } = loaded;
  const run = runScenario(scenario, { makeWorld, archives });
  expect(run.drivers.length).toBeGreaterThan(1);
  expect(failures(run)).toEqual([]);
});

test("an image is built out of a folder with a .dockerignore and another image, and users act by their names", async () => {
  const [loaded] = await readScenarios(fileURLToPath(new URL("../data/docker/copy/site.yaml", import.meta.url)));
  if (loaded === undefined) throw new Error("no scenario");
  const { scenario, archives } = loaded;
  const run = runScenario(scenario, { makeWorld, archives });
  expect(failures(run)).toEqual([]);
  expect(run.drivers.map(({ steps }) => steps.length)).toEqual([5, 5, 5]);
});

test.each([
  ["{ layers: [{ copy: a, to: /a, from: base }] }", /"copy" needs `build: classic`/],
  ["{ build: classic, layers: [{ add: a, to: /a }] }", /"add" needs a folder to take files from: `context: FOLDER`/],
  ["{ build: classic, layers: [{ copy: a, to: /a, from: bas }] }", /no image is called "bas"; did you mean "base"/],
  ["{ build: classic, layers: [{ copy: a, to: /a, from: plain }] }", /files cannot be copied from "plain", which is not built/],
  ["{ build: classic, layers: [{ copy: a, to: /a, from: app }] }", /the image "app" is built from itself/],
])("an image %s is refused with what to write instead", (app, words) => {
  const images = "  base: { build: classic, layers: [{ sh: echo 1 > /a }] }\n  plain: { layers: [{ sh: echo 1 > /a }] }\n";
  expect(() => runText(`${images}  app: ${app}`, "  - { do: { tick: 1s } }")).toThrow(words);
});

test("containers begin in the WORKDIR of their image, and chown knows the names that the image has", () => {
  const layers = `
      - sh: "echo 'app:x:7:8::/:' > /etc/passwd && echo 'team:x:9:' > /etc/group"
      - { workdir: /srv/app }
      - sh: "echo 1 > f && chown app f && echo 1 > g && chown app:team g && echo 1 > h && chown app: h && chgrp team f"`;
  const steps = `
  - { in: c, do: { sh: "stat -c '%u:%g' f g h" }, expect: { stdout: "7:9\\n7:9\\n7:8" } }
  - { in: c, do: { sh: chown nobody f }, expect: { stderr: "chown: invalid user: 'nobody'" } }
  - { do: { power_cut: now } }
  - { in: c, do: { sh: ls }, expect: { stdout: "f\\ng\\nh" } }
`;
  const images = `  app:\n    build: classic\n    layers: ${layers}\ncontainers: { c: { image: app, volumes: /data } }\n`;
  expect(failures(runText(images, steps))).toEqual([]);
});

test("squash makes one layer of what a build adds", () => {
  const images = `
  base: { build: classic, layers: [{ write: /a, size: 10 }] }
  app: { from: base, build: classic, squash: true, layers: [{ write: /big, size: 1MiB }, { sh: rm /big }, { write: /b, size: 20 }] }`;
  const steps = "  - { do: { show: app, field: layer_sizes }, expect: { value: [10, 20] } }";
  expect(failures(runText(images, steps))).toEqual([]);
});

test.each([
  ["{ run: npm ci }", /unknown action "run": "sh" has the command of a RUN/],
  ["{ sh: 'for i in 1 2; do echo $i; done' }", /for is not part of this shell: `repeat: N` beside `do`/],
])("a Dockerfile's word %s is answered with the scenario's", (layer, words) => {
  expect(() => runText(`  app: { build: classic, layers: [${layer}] }`, "  - { do: { tick: 1s } }")).toThrow(words);
});

test("a name that an image without /etc/passwd cannot have is told with what makes it", () => {
  const run = runText(
    "  app: { build: classic, layers: [{ sh: echo 1 > /f && chown bob /f }] }",
    "  - { do: { tick: 1s } }",
    "[vfs]",
  );
  expect(run.drivers[0]?.stopped?.why).toMatch(/invalid user: 'bob'; the image has no \/etc\/passwd: \{ sh: /);
});

function runText(images: string, steps: string, drivers = "[overlay2, vfs]"): ScenarioRun {
  const text = `version: 1\nname: t\nabout: t\ndrivers: ${drivers}\nimages:\n${images}\nsteps:\n${steps}\n`;
  return runScenario(loadScenario(text, "t.yaml"), { makeWorld });
}

describe("the classic builder", () => {
  const image = (name: string, layers: string): string => `  ${name}:\n    build: classic\n    ${layers}\n`;

  test("takes a repeated step from the cache, and builds again behind one that differs", () => {
    const base = image("base", "layers: [{ write: /f, text: one }]");
    const steps = (last: string): string =>
      `from: base\n    layers: [{ env: A=1 }, { write: /g, text: two }, { write: /h, text: ${last} }]`;
    const images = base + image("one", steps("x")) + image("two", steps("y"));
    const run = runText(images, "  - { do: { show: one, field: intermediate }, expect: { value: 5 } }");
    expect(failures(run)).toEqual([]);
  });

  test("a step that changes nothing makes an image and no layer, on every driver with the same list of layers", () => {
    const images = image("app", "layers: [{ write: /f, text: one }, { stat: /f }, { label: a=b }]");
    const steps = "  - { do: { show: app, field: layer_sizes }, expect: { value: [3] } }";
    expect(failures(runText(images, steps))).toEqual([]);
  });

  test("a step that fails stops the build with the call and its errno", () => {
    const run = runText(image("app", "layers: [{ write: /f, text: one }, { rmdir: /nowhere }]"), "  - { do: { tick: 1s } }");
    expect(run.drivers.map(({ stopped }) => stopped?.why)).toEqual(["rmdir /nowhere: ENOENT", "rmdir /nowhere: ENOENT"]);
  });

  test("instructions outside of a build, and builds on images that were not built, are refused with their place", () => {
    expect(() => runText("  app: { layers: [{ env: A=1 }] }", "  - { do: { tick: 1s } }")).toThrow(/build: classic/);
    const mixed = "  base: { layers: [{ write: /f, text: x }] }\n  app: { from: base, build: classic, layers: [{ env: A=1 }] }";
    expect(() => runText(mixed, "  - { do: { tick: 1s } }")).toThrow(/cannot stand on/);
  });
});
