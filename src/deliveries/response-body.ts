/** How much of an answer's body is read and kept. */
export const RESPONSE_BYTES_MAX = 1_024;

/**
 * The start of a body as text: at most 1 KiB, and what has come until `enough` resolves. Never throws: a body that breaks
 * off is as long as it is.
 */
export async function readStart(response: Response, enough: Promise<unknown>): Promise<string> {
  const { bytes, whole } = await readBytes(response, RESPONSE_BYTES_MAX, enough);
  if (bytes.length === 0) return '';
  const decoder = new TextDecoder();
  const text = decoder.decode(bytes, { stream: true });
  // A character cut in two by us is left out; one cut in two by the receiver is replaced.
  return whole ? text + decoder.decode() : text;
}

/**
 * At most `bytesMax` of a body, and what has come until `enough` resolves; `whole` if that is all of it. The rest is
 * cancelled, so an endless or stalled body holds nobody up. Never throws.
 */
export async function readBytes(
  response: Response,
  bytesMax: number,
  enough: Promise<unknown>,
): Promise<{ bytes: Uint8Array; whole: boolean }> {
  const total = lengthOf(response);
  // An empty body holds no connection; even to ask for it, or to cancel it, costs a tenth of the request.
  const body = total === 0 ? null : response.body;
  if (body === null) return { bytes: new Uint8Array(), whole: true };
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  let whole = false;
  const stop = enough.then(() => null);
  try {
    while (length < bytesMax) {
      const read = await Promise.race([reader.read(), stop]);
      if (read === null) break;
      if (read.done) {
        whole = true;
        break;
      }
      const part: Uint8Array = read.value.subarray(0, bytesMax - length);
      parts.push(part);
      length += part.length;
      if (length === total) {
        whole = true;
        break;
      }
    }
  } catch {
    // Broken off; the status has been received, and that is what counts.
  }
  // Not awaited: cancelling may itself hang on a connection that does.
  reader.cancel().catch(() => undefined);
  return { bytes: joined(parts, length), whole };
}

function joined(parts: Uint8Array[], length: number): Uint8Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** How many bytes the body has, where that is known. */
function lengthOf({ headers }: Response): number | null {
  const length = headers.get('content-length');
  // Of an encoded body it is the length before decoding.
  return length === null || !/^\d+$/.test(length) || headers.has('content-encoding') ? null : Number(length);
}
