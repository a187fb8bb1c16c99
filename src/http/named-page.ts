import type { Cursors } from './cursors.ts';

/** Pages of what the catalogue has by name, as far as a key may see it, and of which each object is asked. */

/** Objects asked for one page: the platform allows a thousand calls a request. Who asks for more gets this many and a cursor. */
export const NAMED_PAGE_MAX = 500;
/** Names looked through for one page: a key that may see few of many gets short pages. */
const NAMES_EXAMINED_MAX = 10_000;
const NAMES_AT_ONCE = 500;

interface Named {
  cursors: Cursors<string>;
  /** Up to so many names that come after one. */
  namesAfter: (name: string, limit: number) => Promise<string[]>;
  maySee: (name: string) => boolean;
}

/** The names of a page, ascending, and the cursor of the next; null: there is none. @throws Problem if the cursor is none */
export async function namedPage(
  { cursor, limit }: { cursor?: string | undefined; limit: number },
  { cursors, namesAfter, maySee }: Named,
): Promise<{ names: string[]; next: string | null }> {
  const most = Math.min(limit, NAMED_PAGE_MAX);
  const names: string[] = [];
  let last = cursors.placeIn(cursor) ?? '';
  for (let examined = 0; examined < NAMES_EXAMINED_MAX; examined += NAMES_AT_ONCE) {
    const page = await namesAfter(last, NAMES_AT_ONCE);
    for (const name of page) {
      if (names.length === most) return { names, next: cursors.after(last) };
      last = name;
      if (maySee(name)) names.push(name);
    }
    if (page.length < NAMES_AT_ONCE) return { names, next: null };
  }
  return { names, next: cursors.after(last) };
}
