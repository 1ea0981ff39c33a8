/**
 * What real programs do in a container: each case is one thing that one of them does, with what must have come of it.
 */
import { Content } from "../../sim/core/content.ts";
import { O_CREAT, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { fromJson, type Lower, type OverlayFs } from "../../src/entry/fs.ts";

/** Where a program runs: its files, and a require that hands them to it. */
export interface Place {
  readonly fs: OverlayFs;
  readonly require: (name: string) => unknown;
}

export interface Case {
  readonly program: string;
  readonly does: string;
  /** Does it. @returns what came of it, to be compared with `result` */
  readonly run: (place: Place) => unknown;
  readonly result: unknown;
  /** Drivers that do not come to it as an ordinary filesystem does, and why. */
  readonly differs?: { readonly drivers: readonly string[]; readonly why: string };
}

/** The image: a project, a log, and a file with two names. */
export const IMAGE: Lower = {
  fill: (task) => {
    fromJson({
      "/proj/README": "read me\n",
      "/proj/src/main.js": "main()\n",
      "/proj/src/lib/one.js": "one\n",
      "/proj/src/lib/two.js": "two\n",
      "/var/log/app.log": "first\n",
      "/var/lib/state.json": '{"n":1}',
      "/tmp": null,
    }).fill(task);
    const fd = task.open("/proj/linked", O_WRONLY | O_CREAT, 0o644);
    if (typeof fd !== "number") return;
    task.write(fd, Content.text("linked\n"));
    task.close(fd);
    task.link("/proj/linked", "/proj/other-name");
  },
};

type Call = (...args: unknown[]) => Promise<unknown>;
/** A program's functions by name, as they are called here. */
function functionsOf<Name extends string>(program: unknown): Readonly<Record<Name, Call>> {
  return program as Readonly<Record<Name, Call>>;
}

const AUTHOR = { name: "A", email: "a@example.com", timestamp: 1_600_000_000, timezoneOffset: 0 };

async function gitRepository({ fs, require }: Place) {
  const git = functionsOf<"init" | "add" | "commit" | "statusMatrix" | "checkout" | "branch">(require("isomorphic-git"));
  const at = { fs, dir: "/proj" };
  await git.init({ ...at, defaultBranch: "main" });
  await git.add({ ...at, filepath: "." });
  await git.commit({ ...at, message: "first", author: AUTHOR });
  return { git, at };
}

const GIT: readonly Case[] = [
  {
    program: "isomorphic-git",
    does: "init, add, commit, status",
    run: async (place) => {
      const { git, at } = await gitRepository(place);
      place.fs.writeFileSync("/proj/README", "changed\n");
      const rows = (await git.statusMatrix(at)) as [string, number, number, number][];
      return rows.filter(([, head, work, stage]) => !(head === 1 && work === 1 && stage === 1));
    },
    result: [["README", 1, 2, 1]],
  },
  {
    program: "isomorphic-git",
    does: "branch, commit, checkout back",
    run: async (place) => {
      const { git, at } = await gitRepository(place);
      await git.branch({ ...at, ref: "work", checkout: true });
      place.fs.writeFileSync("/proj/src/main.js", "other()\n");
      place.fs.writeFileSync("/proj/new.js", "new\n");
      await git.add({ ...at, filepath: ["src/main.js", "new.js"] });
      await git.commit({ ...at, message: "second", author: AUTHOR });
      await git.checkout({ ...at, ref: "main" });
      return [place.fs.readFileSync("/proj/src/main.js", "utf8"), place.fs.existsSync("/proj/new.js")];
    },
    result: ["main()\n", false],
  },
];

const UNIONS: readonly string[] = ["aufs", "overlay", "overlay2"];
const OVERLAYS: readonly string[] = ["overlay", "overlay2"];
const UNION_RENAME = "a union mount refuses to rename a directory of the image (EXDEV)";

const MOVES: readonly Case[] = [
  {
    program: "node:fs",
    does: "rename a directory of the image",
    run: ({ fs }) => {
      fs.renameSync("/proj/src", "/proj/source");
      return fs.readdirSync("/proj/source");
    },
    result: ["lib", "main.js"],
    differs: { drivers: UNIONS, why: UNION_RENAME },
  },
  {
    program: "fs-extra",
    does: "move a directory of the image",
    run: async ({ fs, require }) => {
      await functionsOf<"move">(require("fs-extra")).move("/proj/src", "/moved");
      return [fs.readdirSync("/moved", { recursive: true }), fs.existsSync("/proj/src")];
    },
    result: [["lib", "main.js", "lib/one.js", "lib/two.js"], false],
    differs: { drivers: UNIONS, why: `${UNION_RENAME}; move copies and removes then` },
  },
  {
    program: "fs-extra",
    does: "copy, outputJson, remove",
    run: async ({ fs, require }) => {
      const extra = functionsOf<"copy" | "outputJson" | "remove">(require("fs-extra"));
      await extra.copy("/proj", "/copy");
      await extra.outputJson("/made/on/the/way.json", { a: 1 });
      await extra.remove("/proj");
      return [fs.readdirSync("/copy/src/lib"), fs.readFileSync("/made/on/the/way.json", "utf8"), fs.existsSync("/proj")];
    },
    result: [["one.js", "two.js"], '{"a":1}\n', false],
  },
  {
    program: "rimraf",
    does: "remove a tree of the image",
    run: async ({ fs, require }) => {
      await functionsOf<"rimraf">(require("rimraf")).rimraf("/proj");
      return fs.existsSync("/proj");
    },
    result: false,
  },
  {
    program: "rimraf",
    does: "moveRemove a tree of the image",
    run: async ({ fs, require }) => {
      await functionsOf<"moveRemove">(require("rimraf")).moveRemove("/proj", { tmp: "/tmp" });
      return fs.existsSync("/proj");
    },
    result: false,
    differs: {
      drivers: OVERLAYS,
      why: "moveRemove renames each directory once it is empty, and has no other way; overlayfs refuses also that, AUFS only what has something in it",
    },
  },
];

const OTHERS: readonly Case[] = [
  {
    program: "glob",
    does: "find files, in both forms",
    run: async ({ fs, require }) => {
      const { glob, globSync } = functionsOf<"glob" | "globSync">(require("glob"));
      const found = (await glob("**/*.js", { fs, cwd: "/proj" })) as string[];
      const top = globSync("*", { fs, cwd: "/proj", nodir: true }) as unknown as string[];
      return [found.sort(), top.sort()];
    },
    result: [
      ["src/lib/one.js", "src/lib/two.js", "src/main.js"],
      ["README", "linked", "other-name"],
    ],
  },
  {
    program: "tar",
    does: "pack, unpack",
    run: async ({ fs, require }) => {
      const tar = functionsOf<"create" | "extract">(require("tar"));
      await tar.create({ file: "/tmp/all.tgz", gzip: true, cwd: "/proj" }, ["."]);
      fs.mkdirSync("/out");
      await tar.extract({ file: "/tmp/all.tgz", cwd: "/out" });
      return [fs.readdirSync("/out", { recursive: true }), fs.statSync("/out/linked").nlink];
    },
    result: [["README", "linked", "other-name", "src", "src/lib", "src/main.js", "src/lib/one.js", "src/lib/two.js"], 2],
  },
  {
    program: "tar",
    does: "unpack over files of the image",
    run: async ({ fs, require }) => {
      const tar = functionsOf<"create" | "extract">(require("tar"));
      fs.mkdirSync("/new/src", { recursive: true });
      fs.writeFileSync("/new/src/main.js", "newer()\n");
      await tar.create({ file: "/tmp/new.tar", cwd: "/new" }, ["."]);
      await tar.extract({ file: "/tmp/new.tar", cwd: "/proj" });
      return [fs.readFileSync("/proj/src/main.js", "utf8"), fs.readdirSync("/proj/src")];
    },
    result: ["newer()\n", ["lib", "main.js"]],
  },
  {
    program: "write-file-atomic",
    does: "replace a file of the image, in both forms",
    run: async ({ fs, require }) => {
      const write = require("write-file-atomic") as Call & { sync: (path: string, data: string) => void };
      await write("/var/lib/state.json", '{"n":2}');
      write.sync("/proj/README", "again\n");
      return [
        fs.readFileSync("/var/lib/state.json", "utf8"),
        fs.readFileSync("/proj/README", "utf8"),
        fs.readdirSync("/var/lib"),
      ];
    },
    result: ['{"n":2}', "again\n", ["state.json"]],
  },
  {
    program: "proper-lockfile",
    does: "lock, check, unlock a file of the image",
    run: async ({ fs, require }) => {
      const lock = functionsOf<"lock" | "check">(require("proper-lockfile"));
      const release = (await lock.lock("/var/lib/state.json", { fs })) as () => Promise<void>;
      const held = await lock.check("/var/lib/state.json", { fs });
      const second = await lock.lock("/var/lib/state.json", { fs }).catch((error: { code: string }) => error.code);
      await release();
      return [held, second, await lock.check("/var/lib/state.json", { fs })];
    },
    result: [true, "ELOCKED", false],
  },
  {
    program: "node:fs",
    does: "keep a log open for reading while another appends",
    run: ({ fs }) => {
      const fd = fs.openSync("/var/log/app.log", "r");
      fs.appendFileSync("/var/log/app.log", "second\n");
      const seen = fs.readFileSync(fd, "utf8");
      fs.closeSync(fd);
      return seen;
    },
    result: "first\nsecond\n",
  },
  {
    program: "node:fs",
    does: "write one name of a file with two, read the other",
    run: ({ fs }) => {
      fs.appendFileSync("/proj/linked", "more\n");
      return fs.readFileSync("/proj/other-name", "utf8");
    },
    result: "linked\nmore\n",
    differs: { drivers: OVERLAYS, why: "copying up one name leaves the other in the image; AUFS and the others keep the link" },
  },
];

/** Every case. */
export const CASES: readonly Case[] = [...GIT, ...MOVES, ...OTHERS];
