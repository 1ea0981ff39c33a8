/** Machines as the program makes them, but for drivers that are taken not to exist. */
import { makeWorld } from "../../src/scenario/machine.ts";
import { type MakeWorld, Missing } from "../../src/scenario/world.ts";

export function worldWithout(...names: readonly string[]): MakeWorld {
  return (choice, host, seed) => (names.includes(choice.driver) ? new Missing("not there yet") : makeWorld(choice, host, seed));
}
