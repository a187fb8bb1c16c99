import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type TestHub } from '../support/index.ts';
import { type Stranger, startStranger } from './support/stranger.ts';

/** Reading: positions in all their forms, pages, waiting, streams, one event. */

interface Event {
  id: string;
  type: string;
  source: string;
  subject?: string;
  sequence: string;
  recordedtime: string;
}
interface Read {
  events: Event[];
  next: number | null;
  lastSequence: number;
}

const LAST = 30;
let hub: TestHub;
let me: Stranger;
let recorded: string[];

beforeAll(async () => {
  ({ hub, me } = await startStranger());
  for (let n = 1; n <= LAST; n += 1) {
    await me.publish('read', {
      type: n % 3 === 0 ? 'order.created' : 'order.changed',
      source: n % 2 === 0 ? '/even' : '/odd',
      subject: `s${n % 5}`,
      id: `e${n}`,
    });
  }
  recorded = (await read('?limit=1000')).events.map(({ recordedtime }) => recordedtime);
});
afterAll(() => hub.stop());

const get = (query: string, topic = 'read') => me.get(`/v1/topics/${topic}/events${query}`);
const read = async (query: string, topic = 'read') => (await get(query, topic)).is<Read>(200);
const numbers = (events: Event[]) => events.map(({ sequence }) => Number(sequence));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const timeOf = (sequence: number) => recorded[sequence - 1] ?? '';
/** Times that lie between records don't exist for sure; so what a time means is worked out from the records. */
const firstAt = (time: string) => recorded.findIndex((at) => Date.parse(at) >= Date.parse(time)) + 1;
const lastAt = (time: string) => recorded.filter((at) => Date.parse(at) <= Date.parse(time)).length;

describe('where to start', () => {
  it('is earliest by default; 50 events a page', async () => {
    expect(numbers((await read('')).events)).toEqual(range(1, LAST));
    await me.publish(
      'fifty',
      Array.from({ length: 60 }, () => ({ type: 'a' })),
    );
    const page = await read('', 'fifty');
    expect([page.events.length, page.next, page.lastSequence]).toEqual([50, 50, 60]);
  });

  it('from: earliest, latest, a sequence, a time', async () => {
    expect(numbers((await read('?from=earliest')).events)).toEqual(range(1, LAST));
    expect(await read('?from=latest')).toEqual({ events: [], next: null, lastSequence: LAST });
    expect(numbers((await read('?from=12')).events)).toEqual(range(12, LAST));
    expect(numbers((await read('?from=0000000000000012')).events)).toEqual(range(12, LAST));
    expect(numbers((await read(`?from=${timeOf(12)}`)).events)).toEqual(range(firstAt(timeOf(12)), LAST));
  });

  it('after=N is from N+1, since=TIME the first recorded at or after it', async () => {
    expect(numbers((await read('?after=12')).events)).toEqual(range(13, LAST));
    expect(numbers((await read('?after=0')).events)).toEqual(range(1, LAST));
    expect(numbers((await read(`?since=${timeOf(20)}`)).events)).toEqual(range(firstAt(timeOf(20)), LAST));
    expect(numbers((await read('?since=2000-01-01T00:00:00Z')).events)).toEqual(range(1, LAST));
    expect(numbers((await read('?since=2099-01-01T00:00:00Z')).events)).toEqual([]);
    const elsewhere = new Date(Date.parse(timeOf(20)) + 7_200_000).toISOString().replace('Z', '%2B02:00');
    expect(numbers((await read(`?since=${elsewhere}`)).events)).toEqual(range(firstAt(timeOf(20)), LAST));
  });

  it('beyond the end a read is empty', async () => {
    for (const query of ['?from=31', '?from=1000', '?after=30', '?after=1000', '?from=2099-01-01T00:00:00Z']) {
      expect(await read(query)).toMatchObject({ events: [], next: null, lastSequence: LAST });
    }
  });

  it('two starts are 400 invalid-range', async () => {
    (await get('?from=3&after=4')).refused(400, 'invalid-range');
    (await get(`?from=3&since=${timeOf(3)}`)).refused(400, 'invalid-range');
    (await get(`?after=3&since=${timeOf(3)}`)).refused(400, 'invalid-range');
  });

  it('a number below firstSequence is 410 with it, earliest never fails', async () => {
    await me.publish('gone', [{ type: 'a' }, { type: 'b' }]);
    (await me.delete('/v1/topics/gone')).isEmpty();
    await me.publish('gone', { type: 'c' });
    expect((await get('?from=2', 'gone')).refused(410, 'sequence-expired')).toMatchObject({ firstSequence: 3 });
    expect((await get('?after=1', 'gone')).refused(410, 'sequence-expired')).toMatchObject({ firstSequence: 3 });
    expect(numbers((await read('?after=2', 'gone')).events)).toEqual([3]);
    expect(numbers((await read('?from=earliest', 'gone')).events)).toEqual([3]);
    (await me.get('/v1/topics/gone/events/1')).refused(410, 'sequence-expired');
    (await get('?from=0')).refused(410, 'sequence-expired');
  });
});

describe('where to end', () => {
  it('until is inclusive: a sequence, a time, latest', async () => {
    expect(numbers((await read('?until=12')).events)).toEqual(range(1, 12));
    expect(numbers((await read('?from=12&until=12')).events)).toEqual([12]);
    expect(numbers((await read(`?until=${timeOf(12)}`)).events)).toEqual(range(1, lastAt(timeOf(12))));
    expect(numbers((await read('?until=latest')).events)).toEqual(range(1, LAST));
    expect(numbers((await read('?until=1000')).events)).toEqual(range(1, LAST));
    expect((await read('?from=5&until=12')).next).toBeNull();
  });

  it('an end before its start is 400 invalid-range', async () => {
    (await get('?from=12&until=11')).refused(400, 'invalid-range');
    (await get('?after=12&until=11')).refused(400, 'invalid-range');
    (await get('?from=12&until=11&order=desc')).refused(400, 'invalid-range');
    (await get('?from=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z')).refused(400, 'invalid-range');
  });
});

describe('bad parameters', () => {
  it.each([
    ['from', 'never'],
    ['from', '-1'],
    ['from', '1.5'],
    ['from', ''],
    ['from', '2026-13-01T00:00:00Z'],
    ['from', '{"sequence":1}'],
    ['from', '99999999999999999999'],
    ['after', 'latest'],
    ['after', '-1'],
    ['since', '12'],
    ['since', 'yesterday'],
    ['until', 'never'],
    ['limit', '0'],
    ['limit', '1001'],
    ['limit', 'all'],
    ['order', 'down'],
    ['wait', '61s'],
    ['wait', '5'],
    ['wait', '-1s'],
  ])('%s=%s is 400, named', async (name, value) => {
    (await get(`?${name}=${encodeURIComponent(value)}`)).refused(400, null, name);
  });

  it('a topic that is not there is 404', async () => {
    (await get('', 'no-such-topic')).refused(404, 'unknown-topic');
    (await me.get('/v1/topics/no-such-topic/events/1')).refused(404, null);
  });
});

/** Follows `next` as the page says: as `after`, or descending as `until`. */
async function follow(query: string, order: 'asc' | 'desc'): Promise<number[]> {
  const found: number[] = [];
  let next: number | null = null;
  for (let pages = 0; pages < 100; pages += 1) {
    const start = order === 'asc' ? query.replace(/&(from|after|since)=[^&]*/, '') : query.replace(/&until=[^&]*/, '');
    const page: Read = await read(next === null ? query : `${start}&${order === 'asc' ? 'after' : 'until'}=${next}`);
    found.push(...numbers(page.events));
    if (page.next === null) return found;
    next = page.next;
  }
  throw new Error('The pages do not end.');
}

describe('pages', () => {
  it.each([1, 7, 10, 15, 30, 1000])('of %s lead through the range once, in both orders', async (limit) => {
    expect(await follow(`?limit=${limit}`, 'asc')).toEqual(range(1, LAST));
    expect(await follow(`?limit=${limit}&order=desc`, 'desc')).toEqual(range(1, LAST).reverse());
    expect(await follow(`?limit=${limit}&from=4&until=21`, 'asc')).toEqual(range(4, 21));
    expect(await follow(`?limit=${limit}&from=4&until=21&order=desc`, 'desc')).toEqual(range(4, 21).reverse());
  });

  it('with filters: type (exact), source, subject, each repeatable', async () => {
    const thirds = range(1, LAST).filter((n) => n % 3 === 0);
    expect(await follow('?limit=4&type=order.created', 'asc')).toEqual(thirds);
    expect(await follow('?limit=4&type=order.created&order=desc', 'desc')).toEqual([...thirds].reverse());
    expect(await follow('?limit=4&type=order.created&type=order.changed', 'asc')).toEqual(range(1, LAST));
    expect(await follow('?limit=4&type=order.*', 'asc')).toEqual([]);
    expect(await follow('?limit=4&source=/even', 'asc')).toEqual(range(1, LAST).filter((n) => n % 2 === 0));
    expect(await follow('?limit=3&subject=s1&subject=s2', 'asc')).toEqual(
      range(1, LAST).filter((n) => [1, 2].includes(n % 5)),
    );
    expect(await follow('?limit=3&subject=s1&source=/odd&type=order.created', 'asc')).toEqual([21]);
    expect(await follow('?limit=3&subject=none', 'asc')).toEqual([]);
  });

  it('poll on with after=lastSequence', async () => {
    const { lastSequence } = await read('?type=order.created');
    expect(lastSequence).toBe(LAST);
    expect((await read(`?type=order.created&after=${lastSequence}`)).events).toEqual([]);
  });

  it('end at 4 MiB', async () => {
    for (let n = 0; n < 6; n += 1) await me.publish('heavy', { type: 'a', data: 'x'.repeat(1_000_000) });
    const page = await read('', 'heavy');
    expect(page.events.length).toBeLessThan(6);
    expect(page.events.length).toBeGreaterThan(2);
    expect(page.next).toBe(page.events.length);
    expect(numbers((await read(`?after=${page.next}`, 'heavy')).events).at(-1)).toBe(6);
  });
});

describe('wait', () => {
  it('answers at once where there is something', async () => {
    const before = Date.now();
    expect(numbers((await read('?after=28&wait=30s')).events)).toEqual([29, 30]);
    expect(Date.now() - before).toBeLessThan(10_000);
  });

  it('is refused where what comes would lie behind the start', async () => {
    (await get('?order=desc&wait=1s')).refused(400, null, 'wait');
  });

  it('waits for what a filter lets through, and is empty when nothing did in time', async () => {
    const before = Date.now();
    expect(await read('?after=0&filter=false&wait=500ms')).toEqual({ events: [], next: null, lastSequence: LAST });
    expect(Date.now() - before).toBeGreaterThanOrEqual(450);
    expect(await read('?until=12&filter=false&wait=60s')).toEqual({ events: [], next: null, lastSequence: LAST });
  });

  it('is empty when nothing came in time', async () => {
    const before = Date.now();
    expect(await read('?after=30&wait=500ms')).toEqual({ events: [], next: null, lastSequence: LAST });
    expect(Date.now() - before).toBeGreaterThanOrEqual(450);
  });

  it('answers with the next event when it comes, to each who waits, and not with one that is filtered', async () => {
    await me.publish('waited', { type: 'first' });
    let answered = 0;
    const count = (page: Read) => {
      answered += 1;
      return page;
    };
    const waiting = Promise.all([
      read('?after=1&wait=60s', 'waited').then(count),
      read('?from=latest&wait=60s', 'waited').then(count),
      read('?after=1&type=wanted&wait=60s', 'waited').then(count),
      read(`?after=1&filter=${encodeURIComponent('type == "wanted"')}&wait=60s`, 'waited').then(count),
    ]);
    // Whoever reads from `latest` may be there only after an event: so events come until both have one.
    await eventually('both who want any event have it', async () => {
      await me.publish('waited', { type: 'other' });
      return answered === 2;
    });
    expect(answered).toBe(2);
    await me.publish('waited', { type: 'wanted' });
    const [any, latest, wanted, filtered] = await waiting;
    expect(any.events[0]).toMatchObject({ type: 'other' });
    expect(latest.events[0]).toMatchObject({ type: 'other' });
    expect(wanted.events).toEqual([expect.objectContaining({ type: 'wanted' })]);
    expect(filtered).toEqual({ ...wanted, next: null });
  });
});

describe('application/x-ndjson', () => {
  const lines = async (query: string, topic = 'read') => {
    const answer = await me.get(`/v1/topics/${topic}/events${query}`, { headers: { accept: 'application/x-ndjson' } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/x-ndjson/);
    expect(answer.text === '' || answer.text.endsWith('\n')).toBe(true);
    return numbers(
      answer.text
        .split('\n')
        .filter((line) => line !== '')
        .map((line): Event => JSON.parse(line)),
    );
  };

  it('is the whole range, one event a line, without a limit of its own', async () => {
    const batch = Array.from({ length: 1000 }, () => ({ type: 'a' }));
    await me.publish('long', batch);
    await me.publish('long', batch);
    await me.publish('long', batch);
    expect(await lines('', 'long')).toEqual(range(1, 3000));
    expect(await lines('?from=700&until=2900', 'long')).toEqual(range(700, 2900));
    expect(await lines('?order=desc', 'long')).toEqual(range(1, 3000).reverse());
    expect(await lines('?limit=1000&after=5', 'long')).toEqual(range(6, 1005));
  });

  it('takes the same range and filters, and refuses the same', async () => {
    expect(await lines('?type=order.created&until=12')).toEqual([3, 6, 9, 12]);
    expect(await lines('?from=latest')).toEqual([]);
    const refused = await me.get('/v1/topics/read/events?from=9&until=3', {
      headers: { accept: 'application/x-ndjson' },
    });
    refused.refused(400, 'invalid-range');
  });
});

describe('one event', () => {
  it('is application/cloudevents+json; charset=utf-8, exactly, and the same as in a read', async () => {
    const answer = await me.get('/v1/topics/read/events/7');
    expect(answer.headers.get('content-type')).toBe('application/cloudevents+json; charset=utf-8');
    const event = answer.is(200);
    expect(event).toMatchObject({ specversion: '1.0', id: 'e7', topic: 'read', sequence: '0000000000000007' });
    expect((await read('?from=7&limit=1')).events).toEqual([event]);
  });

  it('is there under the sequence as the event has it, zero-padded', async () => {
    expect((await me.get('/v1/topics/read/events/0000000000000007')).is(200)).toMatchObject({ id: 'e7' });
    expect(numbers((await read('?after=0000000000000029')).events)).toEqual([30]);
  });

  it('is 404 beyond the end, and 400 where the sequence is none', async () => {
    for (const sequence of ['31', '0', '99999999999999999999']) {
      (await me.get(`/v1/topics/read/events/${sequence}`)).refused(404, 'unknown-event');
    }
    for (const sequence of ['x', '-1', '1.5', '1e1']) {
      (await me.get(`/v1/topics/read/events/${sequence}`)).refused(400, null, 'sequence');
    }
  });
});
