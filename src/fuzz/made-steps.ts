/**
 * The steps that a world has made, each with the layer or container that it was made in.
 *
 * Interface: they are kept in pieces of equal length, for one array that grows to tens of thousands is copied whole several times.
 */
import type { Step } from "../calls/step.ts";
import type { Prepared } from "./world.ts";

/** Steps in a piece. */
const PIECE_STEPS = 1024;

interface Piece {
  readonly made: (Prepared | Step | undefined)[];
  readonly places: (string | undefined)[];
}

export class MadeSteps {
  readonly #pieces: Piece[] = [];
  #last: Piece = newPiece();
  /** Steps in the last piece. */
  #used = PIECE_STEPS;

  get length(): number {
    return (this.#pieces.length - 1) * PIECE_STEPS + this.#used;
  }

  /** @param place - undefined for a step of the lab itself. */
  add(made: Prepared | Step, place: string | undefined): void {
    if (this.#used === PIECE_STEPS) {
      this.#last = newPiece();
      this.#pieces.push(this.#last);
      this.#used = 0;
    }
    this.#last.made[this.#used] = made;
    this.#last.places[this.#used] = place;
    this.#used += 1;
  }

  /** The steps as a script has them. */
  steps(): Step[] {
    const steps: Step[] = [];
    for (const { made, places } of this.#pieces) {
      for (const [index, each] of made.entries()) {
        if (each === undefined) break;
        const step = "call" in each && typeof each["call"] === "object" ? (each as Prepared).step : (each as Step);
        const on = places[index];
        steps.push(on === undefined ? step : { on, ...step });
      }
    }
    return steps;
  }
}

function newPiece(): Piece {
  return { made: new Array(PIECE_STEPS).fill(undefined), places: new Array(PIECE_STEPS).fill(undefined) };
}
