/** Random calls on tmpfs beside a naive tree of plain objects: results and the tree at the end are equal. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { O_CREAT, O_RDWR, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { runs } from "../runs.ts";
import { testHost } from "./host.ts";

interface ModelFile {
  text: string;
}
type ModelDirectory = Map<string, ModelFile | ModelDirectory>;

/** The directory at a path of plain names, or what the kernel says when there is none. */
function directoryAt(root: ModelDirectory, names: readonly string[]): ModelDirectory | string {
  let at = root;
  for (const name of names) {
    const found = at.get(name);
    if (found === undefined) return "ENOENT";
    if (!(found instanceof Map)) return "ENOTDIR";
    at = found;
  }
  return at;
}

/** The directory of a path's last name, with that name. */
function split(root: ModelDirectory, names: readonly string[]): { at: ModelDirectory; name: string } | string {
  const at = directoryAt(root, names.slice(0, -1));
  return typeof at === "string" ? at : { at, name: names.at(-1) as string };
}

function contains(above: ModelFile | ModelDirectory, below: ModelDirectory): boolean {
  if (above === below) return true;
  return above instanceof Map && [...above.values()].some((child) => contains(child, below));
}

const model = {
  mkdir(root: ModelDirectory, path: readonly string[]): string {
    const place = split(root, path);
    if (typeof place === "string") return place;
    if (place.at.has(place.name)) return "EEXIST";
    place.at.set(place.name, new Map());
    return "ok";
  },
  rmdir(root: ModelDirectory, path: readonly string[]): string {
    const place = split(root, path);
    if (typeof place === "string") return place;
    const victim = place.at.get(place.name);
    if (victim === undefined) return "ENOENT";
    if (!(victim instanceof Map)) return "ENOTDIR";
    if (victim.size > 0) return "ENOTEMPTY";
    place.at.delete(place.name);
    return "ok";
  },
  unlink(root: ModelDirectory, path: readonly string[]): string {
    const place = split(root, path);
    if (typeof place === "string") return place;
    const victim = place.at.get(place.name);
    if (victim === undefined) return "ENOENT";
    if (victim instanceof Map) return "EISDIR";
    place.at.delete(place.name);
    return "ok";
  },
  append(root: ModelDirectory, path: readonly string[], text: string): string {
    const place = split(root, path);
    if (typeof place === "string") return place;
    const known = place.at.get(place.name);
    if (known instanceof Map) return "EISDIR";
    if (known === undefined) place.at.set(place.name, { text });
    else known.text += text;
    return "ok";
  },
  link(root: ModelDirectory, path: readonly string[], to: readonly string[]): string {
    const source = split(root, path);
    if (typeof source === "string") return source;
    const file = source.at.get(source.name);
    if (file === undefined) return "ENOENT";
    const target = split(root, to);
    if (typeof target === "string") return target;
    if (target.at.has(target.name)) return "EEXIST";
    if (file instanceof Map) return "EPERM";
    target.at.set(target.name, file);
    return "ok";
  },
  rename(root: ModelDirectory, path: readonly string[], to: readonly string[]): string {
    const source = split(root, path);
    if (typeof source === "string") return source;
    const target = split(root, to);
    if (typeof target === "string") return target;
    const moved = source.at.get(source.name);
    if (moved === undefined) return "ENOENT";
    const replaced = target.at.get(target.name);
    if (contains(moved, target.at)) return "EINVAL";
    if (source.at !== target.at && replaced !== undefined && contains(replaced, source.at)) return "ENOTEMPTY";
    if (moved === replaced) return "ok";
    if (replaced !== undefined) {
      if (moved instanceof Map && !(replaced instanceof Map)) return "ENOTDIR";
      if (!(moved instanceof Map) && replaced instanceof Map) return "EISDIR";
      if (replaced instanceof Map && replaced.size > 0) return "ENOTEMPTY";
    }
    source.at.delete(source.name);
    target.at.set(target.name, moved);
    return "ok";
  },
};

function append(task: Task, path: string, text: string): unknown {
  const fd = task.open(path, O_CREAT | O_RDWR);
  if (isErrno(fd)) return fd;
  task.lseek(fd, 0, 2);
  const written = task.write(fd, Content.text(text));
  task.close(fd);
  return isErrno(written) ? written : undefined;
}

function shownTree(task: Task, path: string): unknown {
  const out: Record<string, unknown> = {};
  const entries = task.readdir(path);
  for (const entry of isErrno(entries) ? [] : entries) {
    const child = path === "/" ? `/${entry.name}` : `${path}/${entry.name}`;
    if ((entry.type & S_IFMT) === S_IFDIR) out[entry.name] = shownTree(task, child);
    else {
      const fd = task.open(child, O_RDWR) as number;
      out[entry.name] = (task.read(fd, 1e6) as Content).toText();
      task.close(fd);
    }
  }
  return out;
}

function shownModel(directory: ModelDirectory): unknown {
  return Object.fromEntries([...directory].map(([name, node]) => [name, node instanceof Map ? shownModel(node) : node.text]));
}

const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 });
const step = fc.record({
  call: fc.constantFrom("mkdir", "mkdir", "append", "append", "rmdir", "unlink", "link", "rename", "rename"),
  path,
  to: path,
  text: fc.string({ maxLength: 40, unit: "binary-ascii" }),
});

test("random calls on tmpfs answer as a naive tree of objects does, and leave the same tree", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const host = testHost();
      const { task } = host;
      const root: ModelDirectory = new Map();
      for (const each of steps) {
        const from = `/${each.path.join("/")}`;
        const to = `/${each.to.join("/")}`;
        let got: unknown;
        let want: string;
        if (each.call === "link" || each.call === "rename") {
          got = task[each.call](from, to);
          want = model[each.call](root, each.path, each.to);
        } else if (each.call === "append") {
          got = append(task, from, each.text);
          want = model.append(root, each.path, each.text);
        } else {
          got = task[each.call as "mkdir"](from);
          want = model[each.call as "mkdir"](root, each.path);
        }
        expect(isErrno(got) ? got.code : "ok", `${each.call} ${from} ${to}`).toBe(want);
        host.check();
      }
      expect(shownTree(task, "/")).toEqual(shownModel(root));
    }),
    runs(300),
  );
});
