/** A list of numbers that only grows, mostly by a few at a time: nothing that is in it is ever moved, and little room is kept for what comes. */

/** The room of the first piece; each further one has twice as much, up to the most. */
const FIRST_NUMBERS = 32;
const NUMBERS_MAX = 512;
/** An array with as many numbers is kept as it is. */
const KEPT_NUMBERS = 64;

/** Room to be copied: doubles, since an array that has had a fraction keeps all its numbers so. */
const ROOM: readonly number[] = new Array<number>(NUMBERS_MAX).fill(0.5).fill(0);
const NOTHING: number[] = ROOM.slice(0, 0);

export class UndoLog {
  /** How many numbers there are. */
  length = 0;
  /** Pieces that are full, in order; then the one that is being filled, up to #end. */
  readonly #full: (readonly number[])[] = [];
  #piece: number[] = NOTHING;
  #end = 0;

  push(number: number): void {
    if (this.#end === this.#piece.length) this.#grow();
    this.#piece[this.#end] = number;
    this.#end += 1;
    this.length += 1;
  }

  #grow(): void {
    if (this.#end > 0) this.#full.push(this.#piece);
    this.#piece = ROOM.slice(0, Math.min(NUMBERS_MAX, Math.max(FIRST_NUMBERS, 2 * this.#end)));
    this.#end = 0;
  }

  /** Adds numbers of an array that nobody changes any more. */
  add(numbers: readonly number[]): void {
    if (numbers.length < KEPT_NUMBERS) {
      for (const number of numbers) this.push(number);
      return;
    }
    if (this.#end > 0) this.#full.push(this.#piece.slice(0, this.#end));
    this.#full.push(numbers);
    this.#end = 0;
    this.length += numbers.length;
  }

  /** All numbers. */
  all(): readonly number[] {
    return NOTHING.concat(...this.#full, this.#piece.slice(0, this.#end));
  }
}
