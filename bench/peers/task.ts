/**
 * A task of a simulated host as a tree. Bytes are as honest as the others': a write takes a copy of the caller's bytes, a read
 * fills the caller's array.
 */
import { Content } from "../../sim/core/content.ts";
import { ENOENT, type Errno, isErrno } from "../../sim/core/errno.ts";
import {
  type Attributes,
  newAttributes,
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { DescribedBytes, OpenMode, Tree } from "../peer.ts";

const FLAGS = { read: O_RDONLY, write: O_RDWR, append: O_WRONLY | O_APPEND } as const;
const DESCRIBED_PAGE = Content.pattern(1, 4096);

export class TaskTree implements Tree {
  readonly described: DescribedBytes;
  readonly #task: Task;
  /** What stat fills, as stat(2) does its caller's struct. */
  readonly #attributes: Attributes = newAttributes();

  constructor(task: Task) {
    this.#task = task;
    this.described = {
      writeFile: (path, length) => this.#create(path, Content.pattern(length, length)),
      write4k: (handle, position) => {
        must(task.pwrite(handle, DESCRIBED_PAGE, position), "pwrite");
      },
    };
  }

  mkdirp(path: string): void {
    if (path === "" || !isErrno(this.#task.stat(path))) return;
    this.mkdirp(path.slice(0, path.lastIndexOf("/")));
    must(this.#task.mkdir(path, 0o755), path);
  }
  writeFile(path: string, content: Uint8Array): void {
    this.#create(path, Content.copyOf(content));
  }
  open(path: string, mode: OpenMode): number {
    return must(this.#task.open(path, FLAGS[mode]), path);
  }
  close(handle: number): void {
    must(this.#task.close(handle), "close");
  }
  read(handle: number, into: Uint8Array, position: number): number {
    return must(this.#task.readInto(handle, into, position), "read");
  }
  write(handle: number, content: Uint8Array, position: number): void {
    must(this.#task.pwrite(handle, Content.copyOf(content), position), "pwrite");
  }
  append(handle: number, content: Uint8Array): void {
    must(this.#task.write(handle, Content.copyOf(content)), "write");
  }
  truncate(path: string, length: number): void {
    must(this.#task.truncate(path, length), path);
  }
  rename(source: string, target: string): void {
    must(this.#task.rename(source, target), source);
  }
  unlink(path: string): void {
    must(this.#task.unlink(path), path);
  }
  readdir(path: string): number {
    return must(this.#task.readdir(path), path).length;
  }
  stat(path: string): number {
    return must(this.#task.stat(path, this.#attributes), path).size;
  }
  missing(path: string): boolean {
    return this.#task.stat(path) === ENOENT;
  }
  dispose(): void {}

  #create(path: string, content: Content): void {
    const fd = must(this.#task.open(path, O_WRONLY | O_CREAT | O_EXCL), path);
    // A call writes at most MAX_RW_COUNT, some bytes less than 2 GiB.
    for (let done = 0; done < content.length; )
      done += must(this.#task.write(fd, done === 0 ? content : content.slice(done, content.length)), path);
    must(this.#task.close(fd), path);
  }
}

function must<Value>(result: Value | Errno, what: string): Value {
  if (isErrno(result)) throw new Error(`${what}: ${result.code}`);
  return result;
}
