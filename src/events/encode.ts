import { encodeValue, headerOf } from './binary.ts';
import { base64Bytes } from './data.ts';
import { members, readString } from './json-text.ts';
import { isJson, parseMediaType } from './media-type.ts';

/** How events go out over HTTP. Each takes the JSON of stored events, and keeps every number in it as it is written. */

/** The content type of a structured event on its way out: exactly this, since some SDKs compare the string. */
export const STRUCTURED_CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8';
export const BATCH_CONTENT_TYPE = 'application/cloudevents-batch+json';

/** What is sent, and the headers that describe it, in lower case. A string is sent as UTF-8. */
export interface Content {
  headers: Record<string, string>;
  body: string | Uint8Array;
}

/** The event as it is, in JSON. */
export function structured(json: string): Content {
  return { headers: { 'content-type': STRUCTURED_CONTENT_TYPE }, body: json };
}

/** CloudEvents JSON format, section 4: an array of events. */
export function batch(jsons: readonly string[]): Content {
  return { headers: { 'content-type': BATCH_CONTENT_TYPE }, body: `[${jsons.join(',')}]` };
}

/** CloudEvents HTTP binding, section 3.1: the attributes, the hub's own too, in `ce-` headers; the data as the body. */
export function binary(json: string): Content {
  const { attributes, contentType, body } = partsOf(json);
  const headers = attributes.map(([name, value]) => [headerOf(name), encodeValue(value)]);
  return { headers: { ...Object.fromEntries(headers), ...typeHeader(contentType) }, body };
}

/** The data alone. Without data the body is empty and has no type: an empty text is no JSON. */
export function dataOnly(json: string): Content {
  const { contentType, body } = partsOf(json);
  return { headers: typeHeader(body.length > 0 ? contentType : null), body };
}

/** A header has no characters beyond ASCII, which a parameter of a media type may have had in JSON. */
function typeHeader(contentType: string | null): Record<string, string> {
  if (contentType === null) return {};
  return { 'content-type': /^[ -~]*$/.test(contentType) ? contentType : contentType.replace(/;.*/, '') };
}

interface Parts {
  /** All attributes but `datacontenttype`, in their canonical string form. */
  attributes: [name: string, value: string][];
  contentType: string | null;
  body: Content['body'];
}

/** Not '': of an empty string fetch makes a body of text. */
const EMPTY = new Uint8Array(0);
const ENCODER = new TextEncoder();

function partsOf(json: string): Parts {
  const attributes: Parts['attributes'] = [];
  let contentType: string | null = null;
  let data: string | null = null;
  let base64: string | null = null;
  for (const { name, text } of members(json)) {
    if (name === 'data') data = text;
    else if (name === 'data_base64') base64 = readString(text);
    else if (name === 'datacontenttype') contentType = readString(text);
    else attributes.push([name, text.startsWith('"') ? readString(text) : text]);
  }
  if (base64 !== null) {
    return { attributes, contentType: contentType ?? 'application/octet-stream', body: base64Bytes(base64) };
  }
  if (data === null) return { attributes, contentType, body: EMPTY };
  const media = contentType === null ? null : parseMediaType(contentType);
  // JSON format, section 3.1: text is a JSON string; what is no string is JSON, whatever its type says.
  const isText = media !== null && !isJson(media) && data.startsWith('"');
  return {
    attributes,
    contentType: inUtf8(contentType ?? 'application/json'),
    body: isText ? ENCODER.encode(readString(data)) : data,
  };
}

const CHARSET = /;\s*charset=(?:"[^"]*"|[^;\s]*)/i;

/** The body is UTF-8 now, whatever charset the producer's was in; spelled so that SDKs that compare the string know it. */
function inUtf8(contentType: string): string {
  return contentType.replace(CHARSET, '; charset=utf-8');
}
