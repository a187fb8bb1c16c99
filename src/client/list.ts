import type { Answer, CallOptions, Connection, Query, Route } from './connection.ts';

/** The routes that answer with a page of a list. */
export type ListRoute = {
  [R in Route]: Answer<R> extends { items: unknown[]; next: string | null } ? R : never;
}[Route];

type ItemOf<R extends ListRoute> = Answer<R> extends { items: (infer Item)[] } ? Item : never;

export interface Page<Item> {
  items: Item[];
  /** What {@link List.page} takes for the page after; null: there is none. */
  next: string | null;
}

/** A list, read as far as it is looked at: `for await (const item of list)`, or page by page. */
export interface List<Item> extends AsyncIterable<Item> {
  page(cursor?: string | null): Promise<Page<Item>>;
}

/** Of a query `limit` says how many a page has. */
export function listOf<R extends ListRoute>(
  connection: Connection,
  route: R,
  params: Record<string, string | number>,
  { signal, ...query }: Omit<Query<R>, 'cursor'> & CallOptions,
): List<ItemOf<R>> {
  const page = async (cursor: string | null = null): Promise<Page<ItemOf<R>>> => {
    const answer: Page<unknown> = await connection.call(route, { params, query: { ...query, cursor }, signal });
    return answer as Page<ItemOf<R>>;
  };
  return {
    page,
    async *[Symbol.asyncIterator]() {
      let cursor: string | null = null;
      do {
        const { items, next }: Page<ItemOf<R>> = await page(cursor);
        yield* items;
        cursor = next;
      } while (cursor !== null);
    },
  };
}
