/**
 * CRC-64 of ISO 3309 as Go's hash/crc64 has it (crc64.ISO): reflected, polynomial x^64 + x^4 + x^3 + x + 1, inverted before and after.
 *
 * The polynomial has so few low terms that what 32 message bits add to the register is four shifts of them: no table is needed, and four
 * bytes are taken at a time.
 */

/** Whether the machine's own words have their first byte lowest, as the reflected register wants it. */
const LITTLE_ENDIAN = new Uint8Array(new Int32Array([1]).buffer)[0] === 1;

/** A checksum in the making. */
export class Crc64 {
  #low = 0xffffffff | 0;
  #high = 0xffffffff | 0;

  update(piece: Uint8Array): void {
    const whole = LITTLE_ENDIAN && piece.byteOffset % 4 === 0 ? piece.length - (piece.length % 4) : 0;
    if (whole > 0) this.#words(new Int32Array(piece.buffer, piece.byteOffset, whole / 4));
    if (whole < piece.length) this.#bytes(piece.subarray(whole));
  }

  #words(words: Int32Array): void {
    let low = this.#low;
    let high = this.#high;
    for (let at = 0; at < words.length; at++) {
      const x = low ^ (words[at] as number);
      low = high ^ (x << 31) ^ (x << 29) ^ (x << 28);
      high = x ^ (x >>> 1) ^ (x >>> 3) ^ (x >>> 4);
    }
    this.#low = low;
    this.#high = high;
  }

  #bytes(piece: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (const byte of piece) {
      low ^= byte;
      for (let bit = 0; bit < 8; bit++) {
        const carry = low & 1;
        low = (low >>> 1) | (high << 31);
        high = (high >>> 1) ^ (carry === 0 ? 0 : 0xd8000000);
      }
    }
    this.#low = low;
    this.#high = high;
  }

  /** The checksum so far, eight bytes, the highest first. */
  bytes(): Uint8Array {
    const high = ~this.#high;
    const low = ~this.#low;
    return Uint8Array.of(high >>> 24, high >>> 16, high >>> 8, high, low >>> 24, low >>> 16, low >>> 8, low);
  }
}
