/** The binary messages of docs/web.md: a header of 40 bytes, big endian, then the body. Pure. */

const VERSION = 1;
const HEADER_BYTES = 40;

export const KIND = Object.freeze({ h264: 1, jpeg: 2, mp4Init: 3, mp4Fragment: 4 });

/**
 * @param {ArrayBuffer} buffer a whole message
 * @returns {?object} null for a version that this page does not know; times are Unix times, and `gatewayMs`
 *     is the capture time by the gateway's clock. `body` shares the memory of `buffer`.
 */
export function parseMessage(buffer) {
  if (buffer.byteLength < HEADER_BYTES) return null;
  const view = new DataView(buffer);
  if (view.getUint8(0) !== VERSION) return null;
  const flags = view.getUint8(2);
  return {
    kind: view.getUint8(1),
    key: (flags & 1) !== 0,
    discontinuity: (flags & 2) !== 0,
    id: view.getUint32(4),
    seq: Number(view.getBigUint64(8)),
    captureUs: Number(view.getBigUint64(16)),
    gatewayMs: Number(view.getBigUint64(24)) / 1000,
    width: view.getUint16(32),
    height: view.getUint16(34),
    fps: view.getFloat32(36),
    body: new Uint8Array(buffer, HEADER_BYTES),
  };
}
