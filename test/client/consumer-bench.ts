import type { HubAccess } from '../../src/client/worker-hub.ts';
import type { StoredEvent } from '../../src/events/stored.ts';

/** What a consumer Worker has around it in a test: events, messages, and a hub by script. */

export function storedEvent(sequence: number, more: Partial<StoredEvent> = {}): StoredEvent {
  return {
    specversion: '1.0',
    id: `e${sequence}`,
    source: '/t',
    type: 'order.paid',
    time: '2026-01-01T00:00:00Z',
    data: { order: `o${sequence}`, customer: 'c1', amount: 100 * sequence },
    topic: 'orders',
    sequence: String(sequence).padStart(16, '0'),
    recordedtime: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

/** A message that remembers what was done with it. */
export function message(body: unknown) {
  return {
    body,
    did: 'nothing',
    ack() {
      this.did = 'ack';
    },
    retry({ delaySeconds }: { delaySeconds?: number } = {}) {
      this.did = delaySeconds === undefined ? 'retry' : `retry after ${delaySeconds} s`;
    },
  };
}

interface Asked {
  method: string;
  path: string;
  key: string | null;
  body: string | null;
}

/** A hub that answers as `answer` says and notes what it was asked. */
export function hubBy(answer: (asked: Asked) => Response | Promise<Response>) {
  const asked: Asked[] = [];
  const access = (): HubAccess => ({
    url: 'https://hub',
    key: 'k',
    fetch: async (url, init) => {
      const request = new Request(url, init);
      const { pathname } = new URL(url);
      const body = request.method === 'GET' ? null : await request.text();
      const one = { method: request.method, path: pathname, key: request.headers.get('authorization'), body };
      asked.push(one);
      return answer(one);
    },
  });
  return { asked, access };
}
