const SPACE = /[ \t\n\r]*/y;
/** All but strings, which may be too long for one expression. */
const TOKEN = /[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const PLAIN_CHARACTERS = /[ !#-[\]-\uffff]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** What may come next; a `…OrEnd` stands right after an opening bracket. */
type Awaited = 'value' | 'valueOrEnd' | 'name' | 'nameOrEnd' | 'colon' | 'commaOrEnd' | 'nothing';

/** Where a text stops being JSON, for a person. Quotes nothing of it: it may be a secret. */
export function jsonFaultIn(text: string): string {
  const at = jsonFaultAt(text) ?? 0;
  const lines = text.slice(0, at).split('\n');
  const place = `line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}`;
  return at === text.length ? `it ends too early, at ${place}` : `look at ${place}`;
}

/**
 * Where a text stops being JSON: the offset of the first token that can't stand there, the text's length where it ends too
 * early; null if it is JSON. For telling somebody of a mistake without quoting the text, which the parser's own messages do.
 */
export function jsonFaultAt(text: string): number | null {
  const open: ('{' | '[')[] = [];
  let awaited: Awaited = 'value';
  for (let at = 0; ; ) {
    const start = endOf(SPACE, text, at) ?? at;
    if (start === text.length) return awaited === 'nothing' ? null : start;
    const end = text[start] === '"' ? endOfString(text, start) : endOf(TOKEN, text, start);
    if (end === null) return start;
    const next = after(text[start] === '"' ? '"' : text.slice(start, end), awaited, open);
    if (next === null) return start;
    awaited = next;
    at = end;
  }
}

/** Where a match of a sticky expression at `at` ends; null if there is none. */
function endOf(expression: RegExp, text: string, at: number): number | null {
  expression.lastIndex = at;
  return expression.test(text) ? expression.lastIndex : null;
}

/** Where the string that begins at `at` ends; null if it is none. */
function endOfString(text: string, at: number): number | null {
  for (let here = at + 1; ; ) {
    const end = endOf(PLAIN_CHARACTERS, text, here) ?? here;
    if (text[end] === '"') return end + 1;
    const escaped = endOf(ESCAPE, text, end);
    if (escaped === null) return null;
    here = escaped;
  }
}

/** What is awaited after a token; null if it can't stand here. Keeps `open`. */
function after(token: string, awaited: Awaited, open: ('{' | '[')[]): Awaited | null {
  const settled = (): Awaited => (open.length === 0 ? 'nothing' : 'commaOrEnd');
  switch (token) {
    case '{':
    case '[':
      if (awaited !== 'value' && awaited !== 'valueOrEnd') return null;
      open.push(token);
      return token === '{' ? 'nameOrEnd' : 'valueOrEnd';
    case '}':
    case ']': {
      const isEmpty = awaited === (token === '}' ? 'nameOrEnd' : 'valueOrEnd');
      if (!isEmpty && awaited !== 'commaOrEnd') return null;
      return open.pop() === (token === '}' ? '{' : '[') ? settled() : null;
    }
    case ':':
      return awaited === 'colon' ? 'value' : null;
    case ',':
      if (awaited !== 'commaOrEnd') return null;
      return open.at(-1) === '{' ? 'name' : 'value';
    default:
      if (awaited === 'name' || awaited === 'nameOrEnd') return token.startsWith('"') ? 'colon' : null;
      return awaited === 'value' || awaited === 'valueOrEnd' ? settled() : null;
  }
}
