/** How much of an answer's body is read and kept. */
export const RESPONSE_BYTES_MAX = 1_024;

/**
 * The start of a body as text: at most 1 KiB, and what has come until `enough` resolves. The rest is cancelled, so an
 * endless or stalled body holds nobody up. Never throws: a body that breaks off is as long as it is.
 */
export async function readStart(response: Response, enough: Promise<unknown>): Promise<string> {
  const total = lengthOf(response);
  // An empty body holds no connection; even to ask for it, or to cancel it, costs a tenth of the request.
  if (total === 0) return '';
  const { body } = response;
  if (body === null) return '';
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  let whole = false;
  const stop = enough.then(() => null);
  try {
    while (length < RESPONSE_BYTES_MAX) {
      const read = await Promise.race([reader.read(), stop]);
      if (read === null) break;
      if (read.done) {
        whole = true;
        break;
      }
      const part: Uint8Array = read.value.subarray(0, RESPONSE_BYTES_MAX - length);
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
  const decoder = new TextDecoder();
  const text = parts.map((part) => decoder.decode(part, { stream: true })).join('');
  // A character cut in two by us is left out; one cut in two by the receiver is replaced.
  return whole ? text + decoder.decode() : text;
}

/** How many bytes the body has, where that is known. */
function lengthOf({ headers }: Response): number | null {
  const length = headers.get('content-length');
  // Of an encoded body it is the length before decoding.
  return length === null || !/^\d+$/.test(length) || headers.has('content-encoding') ? null : Number(length);
}
