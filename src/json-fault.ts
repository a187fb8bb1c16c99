const TOKEN =
  /[ \t\n\r]*(?:[{}[\],:]|"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;

/** What may come next; a `…OrEnd` stands right after an opening bracket. */
type Awaited = 'value' | 'valueOrEnd' | 'name' | 'nameOrEnd' | 'colon' | 'commaOrEnd' | 'nothing';

/**
 * Where a text stops being JSON: the offset of the first token that can't stand there, the text's length where it ends too
 * early; null if it is JSON. For telling somebody of a mistake without quoting the text, which the parser's own messages do.
 */
export function jsonFaultAt(text: string): number | null {
  const open: ('{' | '[')[] = [];
  let awaited: Awaited = 'value';
  for (let at = 0; ; ) {
    TOKEN.lastIndex = at;
    const found: string | undefined = TOKEN.exec(text)?.[0];
    const token = found?.trimStart() ?? '';
    const start =
      found === undefined
        ? text.length - text.slice(at).replace(/^[ \t\n\r]+/, '').length
        : at + found.length - token.length;
    if (start === text.length) return awaited === 'nothing' ? null : start;
    const next = after(token, awaited, open);
    if (next === null) return start;
    awaited = next;
    at = start + token.length;
  }
}

/** What is awaited after a token; null if it can't stand here. Keeps `open`. */
function after(token: string, awaited: Awaited, open: ('{' | '[')[]): Awaited | null {
  const settled = (): Awaited => (open.length === 0 ? 'nothing' : 'commaOrEnd');
  switch (token) {
    case '':
      return null;
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
