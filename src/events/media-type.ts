/** A media type taken apart: `type` in lower case without parameters, `charset` in lower case or null. */
export interface MediaType {
  type: string;
  charset: string | null;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const TYPE = new RegExp(`^${TOKEN}/${TOKEN}$`);
const CHARSET = /^charset=(?:"([^"\\]*)"|([^"\s]*))$/i;

/** Null if `text` is not a media type (RFC 9110, section 8.3.1). */
export function parseMediaType(text: string): MediaType | null {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim());
  if (!TYPE.test(type)) return null;
  const charsets = parameters.map((parameter) => CHARSET.exec(parameter)).filter((match) => match !== null);
  const charset = charsets[0]?.[1] ?? charsets[0]?.[2] ?? null;
  return { type: type.toLowerCase(), charset: charset === null ? null : charset.toLowerCase() };
}

export function isUtf8({ charset }: MediaType): boolean {
  return charset === null || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
}

export function isJson({ type }: MediaType): boolean {
  return type.endsWith('/json') || type.endsWith('+json');
}

const TEXT_TYPES = new Set([
  'application/xml',
  'application/yaml',
  'application/toml',
  'application/javascript',
  'application/graphql',
  'application/sql',
  'application/x-www-form-urlencoded',
  'application/x-ndjson',
]);

/** Whether data of this type is text, and so kept readable. */
export function isText({ type }: MediaType): boolean {
  return type.startsWith('text/') || type.endsWith('+xml') || type.endsWith('+yaml') || TEXT_TYPES.has(type);
}
