import { z } from 'zod';
import { fromBase64Url, toBase64Url } from '../access/key-tokens.ts';
import { jsonOrNull } from '../json-or-null.ts';
import { invalid } from './problem.ts';

/** The cursors of one list: places in it, opaque to the caller. */
export class Cursors<Place> {
  readonly #list: string;
  readonly #schema: z.ZodType<[string, Place]>;

  /** @param list its name, so that a cursor of another list is none of this one */
  constructor(list: string, place: z.ZodType<Place>) {
    this.#list = list;
    this.#schema = z.tuple([z.literal(list), place]);
  }

  /** The cursor of what comes after a place; null where that is null: nothing does. */
  after(place: Place | null): string | null {
    return place === null ? null : toBase64Url(new TextEncoder().encode(JSON.stringify([this.#list, place])));
  }

  /** A page of what comes next, of which one more than `limit` was looked for, and the cursor of the next page. */
  page<Item>(
    found: readonly Item[],
    limit: number,
    placeOf: (item: Item) => Place,
  ): { items: Item[]; next: string | null } {
    const items = found.slice(0, limit);
    const last = found.length > limit ? items.at(-1) : undefined;
    return { items, next: last === undefined ? null : this.after(placeOf(last)) };
  }

  /** The place a list goes on after; null without a cursor. @throws Problem `invalid-request` */
  placeIn(cursor: string | undefined): Place | null {
    if (cursor === undefined) return null;
    const bytes = fromBase64Url(cursor);
    const result = this.#schema.safeParse(bytes === null ? null : jsonOrNull(new TextDecoder().decode(bytes)));
    if (!result.success) throw invalid([{ path: 'cursor', message: 'must be the `next` of a page before' }]);
    return result.data[1];
  }
}

/** Those of a list whose places are names or ids. */
export function textCursors(list: string): Cursors<string> {
  return new Cursors(list, z.string());
}
