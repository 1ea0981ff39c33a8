/**
 * Where events go while scenarios run: files or standard output, as NDJSON, as a trace, or as a map of the disk.
 */
import { onFile } from "../node/input-error.ts";
import { WholeFile } from "../node/whole-file.ts";
import { BlockMaps } from "../report/block-map.ts";
import { eventLine } from "../report/ndjson.ts";
import { TraceWriter } from "../report/trace.ts";
import type { RunEvent } from "../scenario/run.ts";

/** Hears events of one scenario after the other. */
interface EventSink {
  /** @param scenario - its title. @param disk - bytes of its disk */
  add(scenario: string, event: RunEvent, disk: number): void;
  end(): void;
}

const CHUNK_CHARACTERS = 65_536;

/** Writes text to a file in pieces. */
class TextFile {
  readonly #path: string;
  readonly #file: WholeFile;
  #pending = "";

  constructor(path: string) {
    this.#path = path;
    this.#file = onFile(path, () => new WholeFile(path));
  }

  write(text: string): void {
    this.#pending += text;
    if (this.#pending.length >= CHUNK_CHARACTERS) this.#flush();
  }

  #flush(): void {
    onFile(this.#path, () => this.#file.write(this.#pending));
    this.#pending = "";
  }

  close(): void {
    this.#flush();
    onFile(this.#path, () => this.#file.close());
  }
}

/** A sink in a format. @param path - undefined: `write` gets the text */
export function sinkFor(format: string, path: string | undefined, write: (text: string) => void): EventSink {
  const file = path === undefined ? undefined : new TextFile(path);
  const put = file === undefined ? write : (text: string): void => file.write(text);
  const end = (): void => file?.close();
  if (format === "ndjson") return { add: (scenario, event) => put(eventLine(scenario, event)), end };
  if (format === "trace") {
    const trace = new TraceWriter(put);
    return {
      add: (scenario, event) => trace.add(scenario, event),
      end: () => {
        trace.end();
        end();
      },
    };
  }
  const maps = new BlockMaps();
  return {
    add: (scenario, event, disk) => maps.add(scenario, event, disk),
    end: () => {
      put(maps.svg());
      end();
    },
  };
}
