/** What users met of differences from node:fs: each is asked of the real one, too, in a folder of the same name. */
import * as realFs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { type OverlayFs, overlayFs } from "../../src/entry/fs.ts";

type Fs = typeof realFs;

const folder = realFs.mkdtempSync(join(tmpdir(), "cowlab-beside-"));
afterAll(() => realFs.rmSync(folder, { recursive: true, force: true }));

function prepared(fs: Fs): Fs {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(join(folder, "file"), "one\ntwo\n");
  fs.mkdirSync(join(folder, "dir"));
  return fs;
}

/** An error in what a user sees of it. */
function shown(error: unknown): unknown {
  const { name, message, code } = error as NodeJS.ErrnoException;
  return { name, message, code, text: String(error), keys: Object.keys(error as object).sort() };
}

async function outcome(of: () => unknown): Promise<unknown> {
  try {
    const result = await of();
    return Array.isArray(result) ? await Promise.all(result) : result;
  } catch (error) {
    return shown(error);
  }
}

type Loose = (...args: unknown[]) => unknown;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

/** Calls that a user's program makes wrongly or rarely, by what they are about. */
const CASES: Readonly<Record<string, (fs: Fs, file: string) => unknown>> = {
  "a callback that was forgotten": (fs, file) => (fs.stat as unknown as (path: string) => void)(file),
  "a wrong path": (fs) => fs.statSync(5 as never),
  "a number for a path in the promise forms": (fs) => fs.promises.readFile(99 as never),
  "the stack of a folder that rm does not remove": (fs) => fs.rmSync(join(folder, "dir")),
  "the stack of a copy into itself": (fs) => fs.cpSync(join(folder, "dir"), join(folder, "dir", "in"), { recursive: true }),
  "a signal that is none": (fs, file) => fs.readFileSync(file, { signal: {} } as never),
  "a signal that is no matter to the synchronous form": (fs, file) =>
    fs.readFileSync(file, { encoding: "utf8", signal: AbortSignal.abort() } as never),
  "a read that is aborted before it begins": async (fs, file) => {
    const abort = new AbortController();
    const read = fs.promises.readFile(file, { signal: abort.signal });
    abort.abort();
    return read;
  },
  "an aborted write with a callback": (fs, file) =>
    new Promise((resolve) => {
      fs.writeFile(`${file}.new`, "x", { signal: AbortSignal.abort() }, (error) => {
        resolve([shown(error), fs.existsSync(`${file}.new`)]);
      });
    }),
  "exists of what is no path": (fs) => new Promise((resolve) => fs.exists(undefined as never, resolve)),
  "no entry below a file": (fs, file) => fs.statSync(`${file}/x`, { throwIfNoEntry: false }),
  "a symbolic link of a type that there is not": (fs, file) => fs.symlinkSync("x", `${file}.link`, "nope" as never),
  "a date of Stats that is replaced": (fs, file) => {
    const stats = fs.statSync(file);
    stats.mtime = new Date(0);
    return [stats.mtime.getTime(), Object.keys(stats).includes("mtime")];
  },
  "names of functions": (fs) => [fs.statSync.name, fs.readFile.name, fs.promises.readFile.name, fs.ReadStream.name],
  "read of a handle with an offset alone": async (fs, file) => {
    const handle = await fs.promises.open(file);
    const buffer = Buffer.alloc(4, ".");
    const read = handle.read as unknown as (into: Buffer, offset: number) => Promise<{ bytesRead: number }>;
    const { bytesRead } = await read.call(handle, buffer, 1);
    const beyond = await outcome(() => read.call(handle, buffer, 5));
    await handle.close();
    return [bytesRead, String(buffer), beyond];
  },
  "writeFile of a handle with an iteration": async (fs, file) => {
    const handle = await fs.promises.open(file, "r+");
    await handle.writeFile(["1", "2"] as never);
    await handle.close();
    return fs.readFileSync(file, "utf8");
  },
  "the web's stream of a handle": async (fs, file) => {
    const handle = await fs.promises.open(file);
    const parts: string[] = [];
    for await (const part of handle.readableWebStream())
      parts.push(`${Object.prototype.toString.call(part)} ${Buffer.from(part)}`);
    const again = await outcome(() => handle.readableWebStream());
    const isOpen = handle.fd > 0;
    await handle.close();
    return [parts, isOpen, again, await outcome(() => handle.readableWebStream())];
  },
  "a mode that is null": (fs, file) => fs.chmodSync(file, null as never),
  "a mode that is no number": (fs, file) => fs.accessSync(file, "r" as never),
  "a mode beyond the bits that there are": (fs, file) => [outcome(() => fs.accessSync(file, 8)), fs.accessSync(file, 4.5)],
  "a mode that was forgotten before a callback": (fs, file) => (fs.chmod as unknown as Loose)(file, () => undefined),
  "a callback in the place of the data": (fs, file) => (fs.writeFile as unknown as Loose)(file, () => undefined),
  "an argument behind the callback's place": (fs, file) => (fs.rename as unknown as Loose)(file, file, {}, () => undefined),
  "a text with a quote for a number": (fs) => fs.closeSync("it's" as never),
  "two options that exclude each other": (fs, file) =>
    fs.cpSync(file, `${file}.new`, { dereference: true, verbatimSymlinks: true }),
  "a callback's call with throwIfNoEntry": (fs, file) =>
    new Promise((resolve) =>
      (fs.stat as unknown as Loose)(`${file}.none`, { throwIfNoEntry: false }, (error: unknown) => resolve(shown(error))),
    ),
  "stat with options that are null": (fs, file) => fs.statSync(file, null as never),
  "Stats with bigint, their class and keys": (fs, file) => {
    const stats = fs.statSync(file, { bigint: true });
    return [stats.constructor.name, Object.keys(stats), stats.isFile(), typeof stats.mtimeNs, stats.mtime instanceof Date];
  },
  "a date that is none": (fs, file) => fs.utimesSync(file, new Date(Number.NaN), 1),
  "a date that is none, of a link and of an open file": async (fs, file) => {
    fs.symlinkSync("nowhere", `${file}.link`);
    const link = await outcome(() => fs.lutimesSync(`${file}.link`, 1, new Date(Number.NaN)));
    const fd = fs.openSync(file, "r+");
    const open = await outcome(() => fs.futimesSync(fd, new Date(Number.NaN), 1));
    fs.closeSync(fd);
    return [link, open];
  },
  "the real path of what is above a linked folder": (fs) => {
    fs.mkdirSync(join(folder, "dir", "deep"));
    fs.symlinkSync("dir/deep", join(folder, "link"));
    const name = `${folder}/link/../deep/.`;
    return [outcome(() => fs.realpathSync(name)), fs.realpathSync.native(name), fs.promises.realpath(`${folder}/link/..`)];
  },
  "the real path of a file with a slash behind": (fs, file) => fs.promises.realpath(`${file}/`),
  "the real path of a link to itself": async (fs) => {
    fs.symlinkSync("loop", join(folder, "loop"));
    return [
      await outcome(() => fs.realpathSync(join(folder, "loop"))),
      await outcome(() => fs.realpathSync.native(join(folder, "loop"))),
    ];
  },
  "a folder below that goes while its parent is read": async (fs) => {
    fs.mkdirSync(join(folder, "dir", "below"));
    fs.writeFileSync(join(folder, "dir", "below", "x"), "");
    const dir = fs.opendirSync(folder, { recursive: true });
    const [first, second] = [dir.readSync(), dir.readSync()];
    fs.rmSync(join(folder, "dir", "below"), { recursive: true });
    const later = await outcome(() => dir.readSync()?.name);
    dir.closeSync();
    return [[first?.name, second?.name].sort(), later];
  },
  "a closed directory that is read and closed": async (fs) => {
    const dir = fs.opendirSync(folder);
    dir.closeSync();
    const wasThrown = await outcome(() => {
      dir.read();
      return "a promise";
    });
    return [wasThrown, await outcome(() => dir.close()), await outcome(() => dir.closeSync())];
  },
  "rm's delay and rmdir's force": async (fs, file) => [
    await outcome(() => fs.rmSync(file, { retryDelay: -1 })),
    await outcome(() => fs.rmdirSync(join(folder, "dir"), { force: 1 } as never)),
  ],
  "a switch of readdir that is no boolean": async (fs) => [
    await outcome(() =>
      fs.readdirSync(folder, { withFileTypes: 1 } as never).map((entry) => (entry as unknown as realFs.Dirent).isFile()),
    ),
    await outcome(() => (fs.readdir as unknown as Loose)(folder, { recursive: "yes" }, () => undefined)),
  ],
  "an encoding that only names have": (fs, file) => fs.readFileSync(file, { encoding: "buffer" } as never),
  "a file that is too large to be read": (fs, file) => {
    fs.truncateSync(file, 2 ** 31);
    return fs.readFileSync(file);
  },
  "a number that is no descriptor": async (fs) => [
    await outcome(() => fs.truncateSync(1.5 as never, 1)),
    await outcome(() => fs.appendFileSync(-1, "x")),
  ],
  "flush that is null": (fs, file) => fs.writeFileSync(file, "x", { flush: null } as never),
  "what options inherit": (fs, file) => {
    fs.cpSync(file, `${file}.new`, Buffer.from("x") as never);
    return fs.existsSync(`${file}.new`);
  },
  "reads with lengths and offsets that are left out": async (fs, file) => {
    const fd = fs.openSync(file, "r");
    const into = (): Buffer => Buffer.alloc(4, ".");
    const first = into();
    const counts = [fs.readSync(fd, first, 0, undefined as never, 0), fs.readSync(fd, into(), null as never, 1, 2)];
    const without = await outcome(() => (fs.readSync as unknown as Loose)(fd));
    const fraction = await outcome(() => (fs.readSync as unknown as Loose)(fd, into(), []));
    fs.closeSync(fd);
    return [counts, String(first), without, fraction];
  },
  "writes with offsets that are left out, and a length that is a fraction": async (fs, file) => {
    const fd = fs.openSync(file, "r+");
    const count = fs.writeSync(fd, Buffer.from("xyz"), null as never, 2, 1);
    const fraction = await outcome(() => fs.writeSync(fd, Buffer.from("xyz"), 0, 1.5));
    fs.closeSync(fd);
    return [count, fs.readFileSync(file, "utf8"), fraction];
  },
  "options of a stream that are none": (fs, file) => fs.createReadStream(file, true as never),
  "what a watcher does not check": (fs, file) => {
    const watcher = fs.watch(file, { persistent: 1 } as never);
    watcher.close();
  },
  "changes of a watched folder, of which equal ones follow each other": async (fs, file) => {
    const told: string[] = [];
    const both = [1, 2].map((number) => fs.watch(folder, (type, name) => told.push(`${number} ${type} ${name}`)));
    await pause();
    fs.chmodSync(file, 0o600);
    fs.utimesSync(file, 1, 1);
    fs.appendFileSync(file, "1");
    fs.truncateSync(file, 1);
    fs.writeFileSync(`${file}.new`, "x");
    fs.appendFileSync(file, "2");
    await pause();
    for (const watcher of both) watcher.close();
    return told;
  },
  "changes of a watched tree": async (fs, file) => {
    const dir = join(folder, "dir");
    fs.symlinkSync("dir", join(folder, "link"));
    fs.symlinkSync("nowhere", join(dir, "dangling"));
    const told: string[] = [];
    const watcher = fs.watch(folder, { recursive: true }, (type, name) => told.push(`${type} ${name}`));
    const steps = [
      () => fs.writeFileSync(join(dir, "new"), "x"),
      () => fs.appendFileSync(join(dir, "new"), "y"),
      () => fs.mkdirSync(join(dir, "deep", "er"), { recursive: true }),
      () => fs.writeFileSync(join(dir, "deep", "er", "z"), ""),
      () => fs.renameSync(join(dir, "new"), join(folder, "moved")),
      () => fs.unlinkSync(file),
      () => fs.rmSync(dir, { recursive: true }),
    ];
    for (const step of steps) {
      await pause();
      step();
    }
    await pause();
    watcher.close();
    return told;
  },
  "a new file that is watched beside one that has gone": async (fs, file) => {
    const told: string[] = [];
    const first = fs.watch(file, (type) => told.push(`first ${type}`));
    await pause();
    fs.unlinkSync(file);
    await pause();
    fs.writeFileSync(file, "x");
    const second = fs.watch(file, (type) => told.push(`second ${type}`));
    await pause();
    fs.appendFileSync(file, "y");
    await pause();
    first.close();
    second.close();
    return told;
  },
  "a link to itself in a watched tree": async (fs) => {
    const watcher = fs.watch(folder, { recursive: true });
    const codes: unknown[] = [];
    watcher.on("error", (error) => codes.push((error as NodeJS.ErrnoException).code));
    await pause();
    fs.symlinkSync("loop", join(folder, "loop"));
    await pause();
    watcher.close();
    return codes;
  },
  "a tree to be watched that is not there": async (fs, file) => [
    await outcome(() => fs.watch(`${file}.none`, { recursive: true })),
    await outcome(() => fs.watch(file, { recursive: 1 } as never)),
  ],
  "a tree whose changes are waited for": async (fs, file) => {
    const ended = new AbortController();
    const told: unknown[] = [];
    const running = outcome(async () => {
      for await (const { eventType, filename } of fs.promises.watch(folder, { recursive: true, signal: ended.signal }))
        told.push(`${eventType} ${filename}`);
    });
    for (const text of ["1", "2"]) {
      await pause();
      fs.appendFileSync(file, text);
      fs.writeFileSync(`${file}.${text}`, "");
    }
    await pause();
    ended.abort();
    return [told, await running];
  },
  "watchFile without a listener": (fs, file) => (fs.watchFile as unknown as Loose)(file),
  "the times of a copied file": (fs, file) => {
    fs.utimesSync(file, 100, 1234567890.123456);
    fs.chmodSync(file, 0o444);
    fs.cpSync(file, `${file}.new`, { preserveTimestamps: true });
    const { atimeMs, mtimeMs, mode } = fs.statSync(`${file}.new`);
    // The copy has read the source: its time of access is now that one's.
    return [atimeMs > 100_000, mtimeMs, mode];
  },
  "a whole tree in all three forms": async (fs) => {
    for (const name of ["dir/b", "dir/a", "other"]) fs.mkdirSync(join(folder, name));
    for (const name of ["dir/b/x", "dir/a/y", "other/z"]) fs.writeFileSync(join(folder, name), "");
    const tree = promisify(fs.readdir) as unknown as Loose;
    const asked = { recursive: true } as const;
    return [fs.readdirSync(folder, asked), tree(folder, asked), fs.promises.readdir(folder, asked)];
  },
  "rmdir of a tree that is not there": async (fs, file) => [
    await outcome(() => fs.rmdirSync(`${file}.none`, { recursive: true })),
    await outcome(() => fs.promises.rmdir(`${file}.none`, { recursive: true })),
  ],
  "half a character in a name": (fs) => {
    fs.writeFileSync(join(folder, "a\ud800b"), "");
    return fs.readdirSync(folder);
  },
  "the prototype of what a handle has read": async (fs, file) => {
    const handle = await fs.promises.open(file);
    const results = [await handle.read(Buffer.alloc(1)), await handle.readv([Buffer.alloc(1)])].map((of) =>
      Object.getPrototypeOf(of),
    );
    await handle.close();
    return results;
  },
  "writeFile with pieces of all kinds, and with one that is none": async (fs, file) => {
    await fs.promises.writeFile(file, ["a", [98], Buffer.from("c"), new Uint8Array([100])] as never, { flush: true });
    return [fs.readFileSync(file, "utf8"), await outcome(() => fs.promises.writeFile(file, [1] as never))];
  },
  "writeFile with pieces that is aborted between them": async (fs, file) => {
    const abort = new AbortController();
    const pieces = function* () {
      yield "a";
      abort.abort();
      yield "b";
    };
    const written = await outcome(() => fs.promises.writeFile(file, pieces(), { signal: abort.signal }));
    return [written, fs.readFileSync(file, "utf8")];
  },
  "a watched file that is removed": async (fs, file) => {
    const told: string[] = [];
    const watcher = fs.watch(file, (type, name) => told.push(`${type} ${name}`));
    await pause();
    fs.unlinkSync(file);
    await pause();
    watcher.close();
    return told;
  },
};

const isNode20 = process.versions.node.startsWith("20.");

describe.runIf(process.platform === "linux")("cowlab/fs answers as node:fs of Node 20 does to", () => {
  test.runIf(isNode20).each(Object.entries(CASES))("%s", async (_, ask) => {
    const file = join(folder, "file");
    const mine = prepared(overlayFs({ semantics: "vfs" }) as OverlayFs as unknown as Fs);
    const own = await outcome(() => ask(mine, file));
    expect(own).toEqual(await outcome(() => ask(prepared(realFs), file)));
  });
});

test("the stack of an error begins with its name and code, as Node's does", () => {
  const fs = overlayFs({ semantics: "vfs" });
  const heads = [() => fs.statSync(5 as never), () => fs.rmSync("/"), () => fs.accessSync("/none")].map((call) => {
    try {
      return call();
    } catch (error) {
      return (error as Error).stack?.split(":")[0];
    }
  });
  expect(heads).toEqual(["TypeError [ERR_INVALID_ARG_TYPE]", "SystemError [ERR_FS_EISDIR]", "Error"]);
});
