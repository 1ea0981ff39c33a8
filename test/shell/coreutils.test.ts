import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import type { CallSession } from "../../src/calls/session.ts";
import { aclText } from "../../src/fuzz/acl-text.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { Missing, type World, WorldFailure } from "../../src/scenario/world.ts";
import { parseScript, SyntaxFault } from "../../src/shell/parse.ts";
import { type Outcome, runScript } from "../../src/shell/run.ts";

interface Recorded {
  readonly on: string;
  readonly setup: string;
  readonly script: string;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly string[];
  /** Entries of one directory come in the filesystem's own order, which hangs on its random seed. */
  readonly unordered?: boolean;
}

const cases = JSON.parse(readFileSync(new URL("../data/coreutils/recorded.json", import.meta.url), "utf8")) as Recorded[];

function worldOf(driver: string): World {
  const scenario = loadScenario(
    `version: 1\nname: x\nabout: x\ndrivers: [${driver}]\nhost: { device: 512MiB }\nimages: { i: { layers: [{ mkdir: /x }] } }\ncontainers: { c: { image: i } }\nsteps: []\n`,
    "x.yaml",
  );
  const [choice] = scenario.drivers;
  const world = choice === undefined ? undefined : makeWorld(choice, scenario.host, 1);
  if (world === undefined || world instanceof Missing || world instanceof WorldFailure) throw new Error(world?.constructor.name);
  return world;
}

function sessionOf(world: World, name: string): CallSession {
  const session = world.session(name);
  if (session instanceof WorldFailure) throw new Error(session.message);
  return session;
}

function shell(session: CallSession, text: string, calls: string[] = []): Outcome {
  const script = parseScript(text);
  if (script instanceof SyntaxFault) throw new Error(`${text}: ${script.message}`);
  session.task.umask = 0o022;
  const at = session.task.resolve("/t");
  if (isErrno(at)) throw new Error("no /t");
  session.task.chdirTo(at);
  const seen = { random: new Random(1), task: session.task };
  return runScript(script, { ...seen, onCall: (call) => void calls.push(told(call.name, call.arguments, call.result)) });
}

/** A call in the words of the recording: paths as they were there, no descriptors' numbers, nothing that no filesystem sees. */
function told(name: string, words: string, result: string): string {
  const shownWords = words
    .replaceAll(/<\/?t\/?>/g, "<.>")
    .replaceAll(/"\.\/([^"])/g, '"$1')
    .replaceAll(/<\.\/([^>]+)>/g, "<$1>")
    .replace(/Cu\w{6}/g, "Cu??????");
  let text = shownWords;
  if (name === "write") text = text.replace(/, \d+$/, "");
  if (name === "ioctl") text = text.replace(/, .*/, "");
  if (name === "fallocate") text = text.replace(/,.*/, "");
  let value = result === "ENOTSUP" ? "EOPNOTSUPP" : result;
  if ((name === "openat" || name === "creat") && /^\d/.test(value)) value = "fd";
  if (name === "getdents64" && value !== "0") value = "…";
  return `${name}(${text}) = ${value}`;
}

/** Calls on the tree: not on the machine's devices, no closes, no changes of directory. */
function onTree(calls: readonly string[]): readonly string[] {
  return calls
    .filter((call) => !/^(close|chdir)\(|"\/proc\/|^newfstatat\("\/"/.test(call) && !/[<"]\/dev\//.test(call))
    .map(told2);
}

/** mknodat's mode as strace writes it. */
function told2(call: string): string {
  return call.replace(/^mknodat\((".*?"), (0\d+)\)/, (_, path: string, digits: string) => {
    const mode = Number.parseInt(digits, 8);
    const type = (mode & 0o170000) === 0o010000 ? "S_IFIFO" : (mode & 0o170000) === 0o020000 ? "S_IFCHR" : "S_IFBLK";
    return `mknodat(${path}, ${type}|0${(mode & 0o7777).toString(8)})`;
  });
}

/** A failed look leaves an address in the recording. */
function withoutAddress(call: string): string {
  return call.replace(/, (0x[0-9a-f]+|NULL)/g, "");
}

describe("the shell's commands make the calls of coreutils 9.1", () => {
  const seen = new Set<string>();
  for (const one of cases) {
    const name = `${one.on}: ${one.setup.replace(/python3.*/, "…")} | ${one.script}`;
    if (seen.has(name)) continue;
    seen.add(name);
    test(name, () => {
      const world = worldOf(one.on);
      const layer = world.addLayer("l", undefined);
      if (layer !== undefined) throw new Error(layer.message);
      const maker = sessionOf(world, "l");
      maker.task.mkdir("/t", 0o755);
      const setup = one.setup.replace(/python3.*/, "true");
      if (setup !== "") expect(shell(maker, setup)).toMatchObject({ stderr: "" });
      const lists = [...one.setup.matchAll(/setxattr\('(.*?)', '(.*?)', bytes\.fromhex\('(.*?)'\)\)/g)];
      for (const [, path, list = "", hex = ""] of lists) maker.task.setxattr(`/t/${path}`, list, Buffer.from(hex, "hex"));
      if (setup !== one.setup && lists.length === 0) maker.task.setxattr("/t/a", "user.k", Uint8Array.of(118));
      world.addContainer("c", "l");
      const calls: string[] = [];
      const outcome = shell(sessionOf(world, "c"), one.script, calls);
      const lines = (text: string): string => (one.unordered === true ? text.split("\n").sort().join("\n") : text);
      expect({ status: outcome.status, stdout: lines(outcome.stdout), stderr: outcome.stderr }).toEqual({
        status: one.status,
        stdout: lines(one.stdout),
        stderr: one.stderr.replaceAll(", …", ""),
      });
      const inOrder = (list: readonly string[]): string => (one.unordered === true ? [...list].sort() : list).join("\n");
      expect(inOrder(onTree(calls))).toBe(inOrder(one.calls.map(withoutAddress)));
      world.check();
    });
  }
});

test("ls -l marks what has an access control list, and leaves room for the mark beside the rest (coreutils 9.1, recorded)", () => {
  const world = worldOf("overlay2");
  world.addLayer("l", undefined);
  const maker = sessionOf(world, "l");
  maker.task.mkdir("/t", 0o755);
  shell(maker, "mkdir d; echo x > f; echo y > g");
  const list = (text: string): Uint8Array => Uint8Array.from(aclText(text), (letter) => letter.charCodeAt(0));
  const marks = (): readonly string[] =>
    shell(maker, "ls -l")
      .stdout.split("\n")
      .slice(1, -1)
      .map((line) => line.slice(0, 12));
  expect(marks()).toEqual(["drwxr-xr-x 2", "-rw-r--r-- 1", "-rw-r--r-- 1"]);
  maker.task.setxattr("/t/d", "system.posix_acl_default", list("u::rwx,g::r-x,o::---"));
  maker.task.setxattr("/t/g", "system.posix_acl_access", list("u::rw-,u:7:r--,g::r--,m::r--,o::r--"));
  expect(marks()).toEqual(["drwxr-xr-x+ 2", "-rw-r--r--  1", "-rw-r--r--+ 1"].map((line) => line.slice(0, 12)));
});

test("df prints what coreutils 9.1 printed of ext4 on a disk of 512 MiB with the same file, and each driver's own source", () => {
  const world = worldOf("vfs");
  world.addLayer("l", undefined);
  sessionOf(world, "l").task.mkdir("/t", 0o755);
  world.addContainer("c", "l");
  const outcome = shell(
    sessionOf(world, "c"),
    "dd if=/dev/zero of=f bs=3000000 count=1 status=none; sync; df f; df -h; df -T . none",
  );
  expect(outcome).toMatchObject({ status: 1, stderr: "df: none: No such file or directory\n" });
  expect(outcome.stdout).toBe(
    `Filesystem     1K-blocks  Used Available Use% Mounted on
/dev/vda          498900  2980    459224   1% /
Filesystem      Size  Used Avail Use% Mounted on
/dev/vda        488M  3.0M  449M   1% /
Filesystem     Type 1K-blocks  Used Available Use% Mounted on
/dev/vda       ext4    498900  2980    459224   1% /
`,
  );
  const columns = (driver: string): readonly string[] => {
    const other = worldOf(driver);
    other.addLayer("l", undefined);
    sessionOf(other, "l").task.mkdir("/t", 0o755);
    other.addContainer("c", "l");
    return shell(sessionOf(other, "c"), "df -i").stdout.split("\n")[1]?.split(/ +/) ?? [];
  };
  expect(columns("overlay2").slice(0, 2)).toEqual(["overlay", "32768"]);
  expect(columns("btrfs")).toEqual(["/dev/vda", "0", "0", "0", "-", "/"]);
  expect(columns("devicemapper")[0]).toMatch(/^\/dev\/mapper\/docker-/);
});

test("what tar packs it unpacks the same, and other readers of tar find it so: long names, links, devices, holes and owners", () => {
  const world = worldOf("overlay2");
  world.addLayer("l", undefined);
  const maker = sessionOf(world, "l");
  maker.task.mkdir("/t", 0o755);
  const long = "n".repeat(120);
  shell(
    maker,
    `mkdir -p d/${long} o; echo x > d/${long}/${long}; ln -s ${long}/${long} d/s; ln d/${long}/${long} d/h; chown 7:9 d/h`,
  );
  shell(
    maker,
    "truncate -s 30000 d/hole; printf end >> d/hole; mknod d/n b 8 1; chmod 3755 d; touch -d @-5 d/hole; touch -d @1000000000 d/n",
  );
  world.addContainer("c", "l");
  const inside = sessionOf(world, "c");
  expect(shell(inside, "tar -cf x.tar d; tar -xf x.tar -C o")).toMatchObject({ status: 0, stderr: "" });
  const told = (top: string): string =>
    shell(inside, `cd ${top}; find d; stat -c '%n %F %a %s %h %u:%g %Y' d d/* d/*/*; cat d/hole d/h | wc -c`).stdout;
  expect(told("o").split("\n").sort()).toEqual(told(".").split("\n").sort());
  const bytes = inside.task.open("/t/x.tar", 0);
  const archive = isErrno(bytes) ? undefined : inside.task.read(bytes, 2 ** 20);
  if (archive === undefined || isErrno(archive)) throw new Error("no archive");
  const members = [...readTar(archive, { mode: "docker" })].map(({ header }) => header.name);
  expect(members.sort()).toEqual(["d/", "d/h", "d/hole", "d/n", "d/s", `d/${long}/`, `d/${long}/${long}`].sort());
});
