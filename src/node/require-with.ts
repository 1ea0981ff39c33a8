/**
 * Programs that import node:fs themselves, loaded so that they get another object of its shape.
 *
 * Interface: `requireWith(fs, from)` gives a require whose modules are its own: loaded afresh, however often the process has them already, and
 * handed `fs` for "fs" and "node:fs", `fs.promises` for "fs/promises". The files of the programs themselves still come from this machine.
 * It reaches CommonJS alone: a package that has only an ES module cannot be loaded so, and what a program does with the machine by other
 * means than node:fs (child processes, native modules, process.cwd) is not touched.
 */
import Module, { createRequire } from "node:module";

/** The parts of a module that its loader needs; Node documents them as the wrapper's `module`. */
interface LoadedModule {
  exports: unknown;
  filename: string;
  load(filename: string): void;
}

type Load = (request: string, parent: object | undefined, isMain: boolean) => unknown;

/** What Node's module loader has and its types leave out. */
interface Loader {
  new (filename: string, parent?: object): LoadedModule;
  _load: Load;
  _resolveFilename(request: string, parent: object): string;
}

interface Sandbox {
  readonly fs: { readonly promises: unknown };
  readonly loaded: Map<string, LoadedModule>;
}

const loader = Module as unknown as Loader;
/** The sandbox of each module that was loaded in one. */
const sandboxes = new WeakMap<object, Sandbox>();
let watching = false;

/** Lets every require of a module in a sandbox stay in it, also those that come late. */
function watchRequires(): void {
  if (watching) return;
  watching = true;
  const load = loader._load;
  loader._load = (request, parent, isMain) => {
    const sandbox = parent === undefined ? undefined : sandboxes.get(parent);
    return sandbox === undefined || parent === undefined
      ? load(request, parent, isMain)
      : loadInside(sandbox, request, parent, load);
  };
}

function loadInside(sandbox: Sandbox, request: string, parent: object, load: Load): unknown {
  const name = request.replace(/^node:/, "");
  if (name === "fs") return sandbox.fs;
  if (name === "fs/promises") return sandbox.fs.promises;
  if (Module.isBuiltin(request)) return load(request, parent, false);
  const filename = loader._resolveFilename(request, parent);
  const known = sandbox.loaded.get(filename);
  if (known !== undefined) return known.exports;
  const made = new loader(filename, parent);
  sandbox.loaded.set(filename, made);
  sandboxes.set(made, sandbox);
  try {
    made.load(filename);
  } catch (error) {
    sandbox.loaded.delete(filename);
    throw error;
  }
  return made.exports;
}

/**
 * A require for programs that use `fs`.
 * @param from - where names are looked up: a file's path or URL, such as `import.meta.url`
 * @example
 * const { move } = requireWith(fs, import.meta.url)("fs-extra");
 */
export function requireWith(fs: { readonly promises: unknown }, from: string | URL): (name: string) => unknown {
  watchRequires();
  const sandbox: Sandbox = { fs, loaded: new Map() };
  const ordinary = createRequire(from);
  const top = {};
  sandboxes.set(top, sandbox);
  return (name) => loadInside(sandbox, Module.isBuiltin(name) ? name : ordinary.resolve(name), top, loader._load);
}
