import { Millrace } from '../../src/client/index.ts';
import { serve } from '../../src/http/app.ts';
import { ADMIN_KEY, WholeHub } from '../http/whole-hub.ts';

/** What becomes of a request on its way: `lost` after it was served, or an answer in its place. */
export type Fate = 'served' | 'lost' | 'refused' | Response;

export interface Wired {
  hub: WholeHub;
  client: Millrace;
  /** Method and path of every request that reached the hub. */
  served: string[];
}

/** A client of a hub in this process. `fate` says what becomes of each request, by its number. */
export function wired(fate: (number: number) => Fate = () => 'served', retries = 8, hub = new WholeHub()): Wired {
  const served: string[] = [];
  let number = 0;
  const client = new Millrace({
    url: 'http://hub.test/',
    key: ADMIN_KEY,
    retry: { retries, firstMs: 1, maxMs: 1_000 },
    fetch: async (url, init) => {
      const what = fate(++number);
      if (what instanceof Response) return what;
      if (what === 'refused') throw new TypeError('connection refused');
      served.push(`${init.method} ${new URL(url).pathname}`);
      const response = await serve(new Request(url, init), hub);
      if (what === 'served') return response;
      await response.text();
      throw new TypeError('connection lost');
    },
  });
  return { hub, client, served };
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
