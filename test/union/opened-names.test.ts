/** The names of open files: a name that goes or moves is told to the files that were opened by it, whichever of a node's files are closed. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Name } from "../../sim/core/names.ts";
import { NO_NODE } from "../../sim/union/nodes.ts";
import { type NameOfNode, OpenedNames } from "../../sim/union/opened-names.ts";
import { fileHandle } from "../../sim/vfs/filesystem.ts";
import { runs } from "../runs.ts";

const FILES = 6;
const few = fc.integer({ min: 1, max: 2 });
const names = fc.record({ node: few, directory: few, name: few.map((number) => number as Name) });
const calls = fc.oneof(
  fc.record({ do: fc.constant("note" as const), file: fc.nat(FILES - 1), at: names }),
  fc.record({ do: fc.constant("drop" as const), file: fc.nat(FILES - 1) }),
  fc.record({ do: fc.constant("move" as const), at: names, to: names }),
  fc.record({ do: fc.constant("forget" as const), at: names }),
);

it("tells what the name by which a file was opened is now, while others of its node are opened and closed", () => {
  fc.assert(
    fc.property(fc.array(calls, { minLength: 30, maxLength: 60 }), (list) => {
      const opened = new OpenedNames();
      const plain = new Map<number, NameOfNode>();
      const move = (from: NameOfNode, to: Omit<NameOfNode, "node">): void => {
        for (const [file, { node, directory, name }] of plain) {
          if (node === from.node && directory === from.directory && name === from.name)
            plain.set(file, { node, directory: to.directory, name: to.name });
        }
      };
      for (const call of list) {
        if (call.do === "note" && !plain.has(call.file)) {
          opened.note(fileHandle(call.file), call.at);
          plain.set(call.file, call.at);
        } else if (call.do === "drop") {
          opened.drop(fileHandle(call.file));
          plain.delete(call.file);
        } else if (call.do === "move") {
          opened.move(call.at, call.to);
          move(call.at, call.to);
        } else if (call.do === "forget") {
          opened.forget(call.at);
          move(call.at, { directory: NO_NODE, name: call.at.name });
        }
        for (let file = 0; file < FILES; file++) {
          const known = opened.of(fileHandle(file));
          const { node, directory, name } = known ?? {};
          expect(known === undefined ? undefined : { node, directory, name }).toEqual(plain.get(file));
        }
      }
    }),
    runs(200),
  );
});
