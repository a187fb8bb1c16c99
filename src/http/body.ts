import { z } from 'zod';
import { type Later, parseDocument, parseFields, parseJson } from './parse.ts';
import { invalid, Problem } from './problem.ts';

/** Of a JSON document that configures something. */
export const DOCUMENT_MAX_BYTES = 1024 * 1024;

/** The body of a route that takes none; a field sent all the same is named and refused. */
export const noBody = z.strictObject({});

/**
 * The whole body. Stops reading where the limit is exceeded.
 *
 * @throws Problem `payload-too-large`, `incomplete-body`, `unsupported-media-type` (a content encoding)
 */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  refuseEncoding(request);
  const announced = Number(request.headers.get('content-length') ?? Number.NaN);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return new Uint8Array(0);
  // A length announced within the limit can't be exceeded: then the platform reads it in one.
  if (announced <= maxBytes) return complete(await wholeBody(request), announced);
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const value = await readChunk(reader);
    if (value === null) break;
    length += value.byteLength;
    if (length > maxBytes) {
      reader.cancel().catch(() => undefined); // what happens to the rest is the sender's affair
      throw tooLarge(maxBytes);
    }
    chunks.push(value);
  }
  return joined(chunks, length);
}

/** @throws Problem `incomplete-body` */
async function wholeBody(request: Request): Promise<Uint8Array> {
  try {
    return new Uint8Array(await request.arrayBuffer());
  } catch {
    throw incomplete();
  }
}

/** @throws Problem `incomplete-body` */
function complete(bytes: Uint8Array, announced: number): Uint8Array {
  if (bytes.byteLength >= announced) return bytes;
  throw new Problem('incomplete-body', `${announced} bytes were announced, ${bytes.byteLength} came.`);
}

function incomplete(): Problem {
  return new Problem('incomplete-body', 'The body ended before all of it had come. Send it again.');
}

/** @throws Problem as {@link readBytes} does; `unsupported-media-type`, `invalid-json`, `invalid-request` */
export async function readJson<S extends z.ZodType>(
  request: Request,
  schema: S,
  readOnly: readonly string[],
  later: Later,
  maxBytes: number,
): Promise<z.output<S>> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.byteLength === 0) return parseFields(schema, {}, 'body');
  const type = mediaType(request);
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json')) {
    const message = `must be application/json, not ${type}`;
    throw invalid([{ path: 'content-type', message }], 'unsupported-media-type');
  }
  return parseDocument(schema, parseJson(utf8(bytes)), readOnly, later);
}

/** The content type without its parameters, in lower case; '' if there is none. */
export function mediaType(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** The next chunk of a body; null at its end. @throws Problem `incomplete-body` */
export async function readChunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | null> {
  try {
    const { done, value } = await reader.read();
    return done ? null : value;
  } catch {
    throw incomplete();
  }
}

export function refuseEncoding(request: Request): void {
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity') {
    throw invalid([{ path: 'content-encoding', message: 'must be left out' }], 'unsupported-media-type');
  }
}

function tooLarge(maxBytes: number): Problem {
  const message = `The body is larger than ${maxBytes} bytes.`;
  return new Problem('payload-too-large', message, { errors: [{ path: '', message }], extra: { maxBytes } });
}

/** @throws Problem `invalid-json` */
function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw invalid([{ path: '', message: 'The body is not UTF-8.' }], 'invalid-json');
  }
}

function joined(chunks: Uint8Array[], length: number): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
