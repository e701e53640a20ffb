/** What a decoder has to know of an H.264 stream. Pure. */

const SPS = 7;

/**
 * @param {Uint8Array} accessUnit in Annex B format
 * @returns {?string} as in RFC 6381 (`avc1.42C01E`), from the first SPS; null if there is none
 */
export function codecString(accessUnit) {
  for (let at = 0; at + 6 < accessUnit.length; at++) {
    if (accessUnit[at] !== 0 || accessUnit[at + 1] !== 0 || accessUnit[at + 2] !== 1) continue;
    if ((accessUnit[at + 3] & 0x1f) === SPS) {
      const profile = accessUnit.subarray(at + 4, at + 7); // profile, constraints, level
      return `avc1.${Array.from(profile, (byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join("")}`;
    }
    at += 2;
  }
  return null;
}
