/**
 * The names of overlay2's links: short, so that 128 of them fit one page of mount options (moby overlayutils.GenerateID).
 */

/** Characters of a name, and what they are (RFC 4648). */
const LENGTH = 26;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Random bytes that a name takes: 26 characters of 5 bits, rounded up. */
export const LINK_BYTES = 17;

/** The name that encodes random bytes. @param raw - LINK_BYTES of them. */
export function linkName(raw: Uint8Array): string {
  let bits = 0;
  let held = 0;
  let text = "";
  for (const byte of raw) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((held >>> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return text.slice(0, LENGTH);
}
