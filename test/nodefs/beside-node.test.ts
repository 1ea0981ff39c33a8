/** What users met of differences from node:fs: each is asked of the real one, too, in a folder of the same name. */
import * as realFs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  return { name, message, code };
}

async function outcome(of: () => unknown): Promise<unknown> {
  try {
    return await of();
  } catch (error) {
    return shown(error);
  }
}

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
  "a watched file that is removed": async (fs, file) => {
    const told: string[] = [];
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
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
