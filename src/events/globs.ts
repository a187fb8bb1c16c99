/**
 * Globs: `*` is any run of characters, none and dots too; everything else stands for itself. Matching looks for each piece
 * between stars from left to right and never goes back, so its cost is bounded by the lengths, whatever the pattern.
 */
export function compileGlob(glob: string): (text: string) => boolean {
  const pieces = glob.split('*');
  const first = pieces[0] ?? '';
  const last = pieces[pieces.length - 1] ?? '';
  if (pieces.length === 1) return (text) => text === glob;
  const middle = pieces.slice(1, -1).filter((piece) => piece !== '');

  return (text) => {
    if (text.length < first.length + last.length) return false;
    if (!text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, at);
      if (found === -1) return false;
      at = found + piece.length;
    }
    return at <= end;
  };
}

/** Compiled globs kept; past this the oldest goes. */
const CACHE_ENTRIES_MAX = 1_000;

const cache = new Map<string, (text: string) => boolean>();

export function globMatches(glob: string, text: string): boolean {
  let matches = cache.get(glob);
  if (matches === undefined) {
    matches = compileGlob(glob);
    const oldest = cache.keys().next();
    if (cache.size >= CACHE_ENTRIES_MAX && oldest.done !== true) cache.delete(oldest.value);
    cache.set(glob, matches);
  }
  return matches(text);
}
