/**
 * What a step can do: one table, a row an action. A row is the action's fields as the file writes them and the operation they mean; the
 * schema of `do`, the JSON Schema, the suggestions and the documentation all come from it.
 *
 * Interface: most actions are one system call in the form of recorded traces
 * (src/calls); the others stand for several calls on one file, or act on the machine.
 */
import type { Action } from "./action.ts";
import { bulk } from "./bulk.ts";
import { mappingAndAdvice, openFiles, spaceAndCopies, watching } from "./data-actions.ts";
import { building, machine, machineFaults, shell } from "./machine-actions.ts";
import { attributes, names } from "./name-actions.ts";
import type { Slots } from "./slots.ts";

/** Every action, in the order of the documentation. */
export function actionsFor(slots: Slots): readonly Action[] {
  return [
    shell,
    openFiles,
    mappingAndAdvice,
    spaceAndCopies,
    attributes,
    names,
    watching,
    bulk,
    machine,
    machineFaults,
    building,
  ].flatMap((actions) => actions(slots));
}
