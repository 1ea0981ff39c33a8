/** What the random calls of face.test.ts do not reach: streams, handles, directories, promisified forms, copies with filters. */
import { once } from "node:events";
import * as realFs from "node:fs";
import { pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { fromJson, type OverlayFs, overlayFs } from "../../src/entry/fs.ts";

const FILES = { "/a/one": "0123456789", "/a/two": "two", "/a/sub/three": "3" };
const fresh = (): OverlayFs => overlayFs({ lower: [fromJson(FILES)] });

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part as Buffer));
  return Buffer.concat(parts).toString();
}

test("every function of node:fs is there, but for those of no simulated machine", () => {
  const fs = fresh() as unknown as Record<string, unknown>;
  const missing = Object.keys(realFs).filter((name) => !(name in fs));
  // Node 20's come first; the others are of later versions.
  const NOT_THERE = ["_toUnixTimestamp", "default", "lchmod", "lchmodSync", "openAsBlob"];
  const LATER = ["Utf8Stream", "glob", "globSync", "mkdtempDisposableSync"];
  expect(missing.filter((name) => !LATER.includes(name)).sort()).toEqual(NOT_THERE);
  const promises = fs["promises"] as Record<string, unknown>;
  expect(Object.keys(realFs.promises).filter((name) => !(name in promises) && !/^(glob|mkdtempDisposable)$/.test(name))).toEqual([
    "lchmod",
  ]);
  const { constants } = fs as { constants: Readonly<Record<string, number>> };
  const known = Object.entries(realFs.constants).filter(([name]) => name in constants);
  if (process.platform === "linux") expect(constants).toEqual(Object.fromEntries(known));
});

test("a read stream gives a part of a file and ends", async () => {
  const fs = fresh();
  expect(await textOf(fs.createReadStream("/a/one", { start: 2, end: 6, highWaterMark: 2 }))).toBe("23456");
  expect(await textOf(new fs.ReadStream("/a/two" as never))).toBe("two");
});

test("a stream of a file that is not there emits Node's error", async () => {
  const [error] = await once(fresh().createReadStream("/none"), "error").catch((failure: unknown) => [failure]);
  expect(error).toMatchObject({ code: "ENOENT", errno: -2, syscall: "open", path: "/none" });
});

test("a write stream writes what is piped into it", async () => {
  const fs = fresh();
  await pipeline(fs.createReadStream("/a/one"), fs.createWriteStream("/copy", { mode: 0o600 }));
  await pipeline(["more", "still"], fs.createWriteStream("/copy", { flags: "a" }));
  expect(fs.readFileSync("/copy", "utf8")).toBe("0123456789morestill");
  expect(fs.statSync("/copy").mode & 0o777).toBe(0o600);
});

test("a file handle reads, writes, streams and closes", async () => {
  const fs = fresh();
  const handle = await fs.promises.open("/a/one", "r+");
  expect(await handle.read(Buffer.alloc(3), 0, 3, 4)).toMatchObject({ bytesRead: 3, buffer: Buffer.from("456") });
  expect(await handle.write("AB", 0)).toMatchObject({ bytesWritten: 2, buffer: "AB" });
  expect(await handle.readFile("utf8")).toBe("AB23456789");
  await handle.truncate(4);
  expect((await handle.stat()).size).toBe(4);
  await fs.promises.writeFile(handle, "!");
  await handle.close();
  await expect(handle.stat()).rejects.toMatchObject({ code: "EBADF", message: "file closed" });
  const again = await fs.promises.open("/a/two");
  expect(await textOf(again.createReadStream())).toBe("two");
  expect(again.fd).toBe(-1);
  const lines = await fs.promises.open("/a/two");
  for await (const line of lines.readLines()) expect(line).toBe("two");
});

test("promisified forms give what Node's give", async () => {
  const fs = fresh();
  const fd = fs.openSync("/a/one", "r");
  const buffer = Buffer.alloc(4);
  expect(await promisify(fs.read)(fd, buffer, 0, 4, 0)).toEqual({ bytesRead: 4, buffer });
  expect(await promisify(fs.exists)("/a")).toBe(true);
  fs.closeSync(fd);
});

test("descriptors begin behind those of standard input and output", () => {
  const fs = fresh();
  expect(fs.openSync("/a/one", "r")).toBe(3);
  expect(fs.openSync("/a/one", "r")).toBe(4);
  fs.closeSync(3);
  expect(fs.openSync("/a/two", "r")).toBe(3);
});

test("a directory is read entry by entry", async () => {
  const fs = fresh();
  const names: string[] = [];
  for await (const entry of await fs.promises.opendir("/a"))
    names.push(`${entry.parentPath}/${entry.name}:${entry.isDirectory()}`);
  expect(names.sort()).toEqual(["/a/one:false", "/a/sub:true", "/a/two:false"]);
  const dir = fs.opendirSync("/a/sub");
  expect(dir.readSync()?.name).toBe("three");
  expect(dir.readSync()).toBeNull();
  dir.closeSync();
  expect(() => dir.readSync()).toThrow("Directory handle was closed");
  expect(() => fs.opendirSync("/a/one")).toThrow("ENOTDIR: not a directory, opendir '/a/one'");
});

test("cp waits for its filter in the promise form, and refuses a promise in the synchronous one", async () => {
  const fs = fresh();
  await fs.promises.cp("/a", "/b", { recursive: true, filter: async (from) => !from.endsWith("two") });
  expect(fs.readdirSync("/b", { recursive: true })).toEqual(["one", "sub", "sub/three"]);
  const wrong = (): void => fs.cpSync("/a", "/c", { recursive: true, filter: (async () => true) as never });
  expect(wrong).toThrow(expect.objectContaining({ code: "ERR_INVALID_RETURN_VALUE" }));
});

test("paths may be URLs and buffers", () => {
  const fs = fresh();
  expect(fs.readFileSync(pathToFileURL("/a/two"), "utf8")).toBe("two");
  expect(fs.readFileSync(Buffer.from("/a/two"), "utf8")).toBe("two");
});

test("an aborted signal ends a call before it begins", async () => {
  const fs = fresh();
  const signal = AbortSignal.abort();
  await expect(fs.promises.readFile("/a/one", { signal })).rejects.toMatchObject({ name: "AbortError", code: "ABORT_ERR" });
});

test("promises.writeFile writes streams and iterations piece by piece", async () => {
  const fs = fresh();
  await fs.promises.writeFile("/one", fs.createReadStream("/a/one", { highWaterMark: 3 }));
  await fs.promises.writeFile("/two", ["a", Buffer.from("b"), "c"]);
  expect([fs.readFileSync("/one", "utf8"), fs.readFileSync("/two", "utf8")]).toEqual(["0123456789", "abc"]);
});

test("a callback that is missing is an argument error", () => {
  const call = fresh().stat as unknown as (path: string) => void;
  expect(() => call("/a")).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }));
});

/** Waits until what has been begun is told. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test("watch tells Node's words for what the kernel tells, also after a file is copied up", async () => {
  const fs = fresh();
  const told: string[] = [];
  const folder = fs.watch("/a", (eventType, name) => told.push(`${eventType} ${name}`));
  const own: string[] = [];
  const file = fs.watch("/a/one", (eventType, name) => own.push(`${eventType} ${name}`));
  fs.appendFileSync("/a/one", "!");
  fs.writeFileSync("/a/new", "");
  fs.renameSync("/a/new", "/a/newer");
  fs.chmodSync("/a/sub", 0o700);
  fs.rmSync("/a/newer");
  await settled();
  expect(told).toEqual(["change one", "rename new", "rename new", "rename newer", "rename sub", "rename newer"]);
  expect(own).toEqual(["change one"]);
  folder.close();
  file.close();
  fs.writeFileSync("/a/silent", "");
  await settled();
  expect(told.length).toBe(6);
  expect(() => fs.watch("/none")).toThrow("ENOENT: no such file or directory, watch '/none'");
});

test("promises.watch is an iteration that its signal ends", async () => {
  const fs = fresh();
  const ended = new AbortController();
  const seen: string[] = [];
  const running = (async () => {
    for await (const { eventType, filename } of fs.promises.watch("/a", { signal: ended.signal })) {
      seen.push(`${eventType} ${filename}`);
      if (seen.length === 2) ended.abort();
    }
  })();
  await settled();
  fs.writeFileSync("/a/x", "1");
  await expect(running).rejects.toMatchObject({ name: "AbortError" });
  expect(seen).toEqual(["rename x", "change x"]);
});

test("watchFile looks again and again, and tells what was and what is", async () => {
  const fs = fresh();
  const told: number[][] = [];
  fs.watchFile("/a/one", { interval: 2 }, (now, before) => told.push([before.size, now.size]));
  fs.appendFileSync("/a/one", "!!");
  await settled();
  await settled();
  fs.unwatchFile("/a/one");
  expect(told).toEqual([[10, 12]]);
});
