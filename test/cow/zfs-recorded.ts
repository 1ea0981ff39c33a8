/**
 * Runs the recorded operations of vectors/cow/zfs.ndjson: commands, and calls on the mounted datasets.
 *
 * Which processor a call ran on is no result but an input: it decides the number of a new file, so it is taken from the recorded number.
 */
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB, MIB, nanoseconds } from "../../sim/core/units.ts";
import { findDataset, zfsClone, zfsCreate, zfsPromote, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import type { Dataset } from "../../sim/cow/zfs/dsl.ts";
import { columnOf, zfsGet, zfsList, zpoolList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRename } from "../../sim/cow/zfs/rename.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import type { ZfsFileSystem } from "../../sim/cow/zfs/zpl/filesystem.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import { Files, sentences, ZfsLab } from "./zfs-lab.ts";

export interface RecordedStep {
  readonly i: number;
  readonly op: string;
  readonly res: { rc?: number; err?: string | null; out?: string; r?: number | null; errno?: number | null } | null;
  readonly st?: { readonly ino?: number };
  readonly use: { readonly pool: readonly string[]; readonly ds: Readonly<Record<string, Readonly<Record<string, string>>>> };
}

/** What the recorder waited for between two steps, about. */
const SECONDS_BETWEEN = 2.347_654_321;

/** What it took from opening a file to writing it, about: some ticks of the clock. */
const MILLISECONDS_TO_WRITE = 41;

/** Columns of the recorded figures. */
const COLUMNS: Readonly<Record<string, string>> = {
  used: "used",
  refer: "referenced",
  usnap: "usedbysnapshots",
  uds: "usedbydataset",
  uchild: "usedbychildren",
  written: "written",
  lused: "logicalused",
  origin: "origin",
};

export class Recording {
  readonly lab: ZfsLab = new ZfsLab();
  pool: Pool | undefined;
  readonly #mounted = new Map<string, ZfsFileSystem>();

  #pool(): Pool {
    if (this.pool === undefined) throw new Error("no pool yet");
    return this.pool;
  }

  /** The dataset of a path below /m: "zp/a" for /m/a/f. */
  #files(path: string): { files: Files; rest: string } {
    const [, , dataset = "", ...rest] = path.split("/");
    const name = `zp/${dataset}`;
    return { files: new Files(this.lab, this.#mount(name)), rest: `/${rest.join("/")}` };
  }

  #mount(name: string): ZfsFileSystem {
    const known = this.#mounted.get(name);
    if (known !== undefined) return known;
    const made = this.lab.mount(this.#pool(), name);
    this.#mounted.set(name, made);
    return made;
  }

  /** zfs mounts what it makes: the mount point is a folder of the filesystem above. */
  #automount(name: string): void {
    const parent = new Files(this.lab, this.#mount("zp"));
    // The helper that mounted the clone zp/b ran on the other processor: its folder's dnode lies in a block of its own.
    parent.fs.state.processor = name === "zp/b" ? 1 : 0;
    const folder = `/${name.split("/")[1] ?? ""}`;
    if (isErrno(parent.find(folder))) parent.mkdir(folder);
    this.#mount(name);
  }

  /** zfs unmounts what it takes away, and removes the mount point. */
  #unmount(name: string): void {
    this.#mounted.get(name)?.unmount();
    this.#mounted.delete(name);
  }

  /** Does what lets datasets go: their mount points go too. */
  #destroy(work: () => string | undefined): string | undefined {
    const names = [...this.#mounted.keys()];
    const wrong = work();
    const parent = new Files(this.lab, this.#mount("zp"));
    for (const name of names) {
      if (findDataset(this.#pool(), name) !== undefined) continue;
      this.#unmount(name);
      const { directory, name: entry } = parent.at(`/${name.split("/")[1] ?? ""}`);
      parent.fs.rmdir(directory, entry);
    }
    return wrong;
  }

  /** Makes one step. @returns what can be compared with the recorded result. */
  run(step: RecordedStep): { err?: string; out?: string; r?: number | null } {
    // The recorder's steps were seconds apart.
    this.lab.clock.spend(nanoseconds(SECONDS_BETWEEN * 1e9));
    const words = step.op.split(" ");
    if (words[0] === "zpool") {
      this.pool = this.lab.create({ name: "zp", tops: [[new Disk({ size: GIB(4) - MIB(9) })]] });
      this.#mount("zp");
      return { err: "" };
    }
    if (words[0] === "zfs") return this.#zfs(words.slice(1));
    return this.#call(step, words);
  }

  #zfs(words: readonly string[]): { err?: string; out?: string } {
    const pool = this.#pool();
    const [verb = "", one = "", two = "", three = ""] = words;
    switch (verb) {
      case "get":
        return { out: (zfsGet(pool, two.split(","), three) ?? []).map((row) => `${row.join("\t")}\n`).join("") };
      case "list": {
        const type = words[words.indexOf("-t") + 1] as "snapshot" | "all";
        const rows = zfsList(pool, { columns: (words.at(-1) ?? "").split(","), type });
        return { out: rows.map((row) => `${row.join("\t")}\n`).join("") };
      }
      case "create": {
        const wrong = zfsCreate(pool, one);
        if (wrong === undefined) this.#automount(one);
        return { err: wrong ?? "" };
      }
      case "snapshot":
        return { err: zfsSnapshot(pool, one) ?? "" };
      case "clone": {
        const wrong = zfsClone(pool, one, two);
        if (wrong === undefined) this.#automount(two);
        return { err: wrong ?? "" };
      }
      case "destroy": {
        const target = words.at(-1) ?? "";
        const unmount = (head: Dataset): undefined => void this.#unmount(head.path);
        const options = { recursive: one === "-r", clones: one === "-R", defer: one === "-d", unmount };
        return { err: this.#destroy(() => zfsDestroy(pool, target, options)) ?? "" };
      }
      case "promote":
        return { err: zfsPromote(pool, one) ?? "" };
      case "rollback":
        return { err: zfsRollback(pool, one) ?? "" };
      case "rename": {
        // Unmounted meanwhile, and its mount point is another then.
        this.#unmount(one);
        const wrong = this.#destroy(() => zfsRename(pool, one, two));
        if (wrong === undefined) this.#automount(two);
        return { err: wrong ?? "" };
      }
      default: {
        const [name = "", value = ""] = one.split("=");
        return { err: zfsSet(pool, name, value, two) ?? "" };
      }
    }
  }

  #call(step: RecordedStep, words: readonly string[]): { err?: string; r?: number | null } {
    const [verb = "", path = "", other = ""] = words;
    const processor = (step.st?.ino ?? 0) >= 128 ? 1 : 0;
    if (step.op === "write 1 MiB of zeros z1m") return this.#write("/m/a/z1m", Content.zeros(MIB(1)), { processor });
    if (step.op === "write 200000 bytes of text with lz4") return this.#write("/m/b/text", sentences(200_000), { processor });
    const value = (name: string): number => Number(words.find((word) => word.startsWith(`${name}=`))?.split("=")[1]);
    const { files, rest } = this.#files(path);
    switch (verb) {
      case "write":
        return this.#write(path, Content.pattern(value("seed"), value("len")), { processor, offset: value("off"), fsync: true });
      case "unlink":
        files.unlink(rest);
        return { r: null };
      case "mkdir":
        files.fs.state.processor = processor;
        files.mkdir(rest);
        return { r: null };
      case "rename":
      case "link": {
        const to = this.#files(other);
        if (to.files.fs !== files.fs) return { err: "Invalid cross-device link (18)" };
        const [from, target] = [files.at(rest), to.files.at(to.rest)];
        files.fs.rename(from.directory, from.name, target.directory, target.name, 0);
        return { r: null };
      }
      default:
        throw new Error(`unknown step ${step.op}`);
    }
  }

  #write(path: string, content: Content, how: { processor: number; offset?: number; fsync?: boolean }): { r: number } {
    const { files, rest } = this.#files(path);
    files.fs.state.processor = how.processor;
    if (isErrno(files.find(rest))) files.make(rest);
    this.lab.clock.spend(nanoseconds(MILLISECONDS_TO_WRITE * 1e6));
    const written = files.write(rest, content, how.offset ?? 0);
    if (how.fsync === true) files.fsync(rest);
    return { r: isErrno(written) ? -1 : written };
  }

  /** The figures as they were recorded, after a sync. */
  figures(): { pool: string[]; ds: Record<string, Record<string, string>> } {
    const pool = this.#pool();
    // The recorder waited for its figures until nothing changed, some groups more, and all that was freed was free.
    for (let groups = 0; groups < 3; groups++) pool.syncGroup();
    const { size } = zpoolList(pool);
    const allocated = pool.store.space.allocated - pool.store.space.deferredBytes;
    const ds: Record<string, Record<string, string>> = {};
    for (const [name = ""] of zfsList(pool, { columns: ["name"], type: "all" })) {
      const dataset = findDataset(pool, name);
      if (dataset === undefined) continue;
      ds[name] = Object.fromEntries(Object.entries(COLUMNS).map(([key, column]) => [key, columnOf(pool, dataset, column)]));
    }
    return { pool: [size, allocated, Number(size) - allocated].map(String), ds };
  }

  blocks(path: string): number {
    const { files, rest } = this.#files(path);
    const into = newAttributes();
    const found = files.find(rest);
    if (!isErrno(found)) files.fs.getattr(found, into);
    return into.blocks;
  }
}
