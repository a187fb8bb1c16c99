import { beforeAll, describe, expect, it } from 'vitest';
import { filteredPage, filteredTogether } from '../../src/http/read-filter.ts';
import { SHARED_FILTERS_MAX } from '../../src/tails/limits.ts';
import { WholeHub } from './whole-hub.ts';

const hub = new WholeHub();
const read = (query: string, headers = {}) => hub.call('GET', `/v1/topics/orders/events?${query}`, { headers });
const amounts = (json: { events: { data: { amount: unknown } }[] }) => json.events.map(({ data }) => data.amount);
const OVER_TWO = `filter=${encodeURIComponent('data.amount > 2')}`;

beforeAll(async () => {
  const body = [1, 2, 3, 'four', 5, 6].map((amount) => ({ type: 'order.created', data: { amount } }));
  expect((await hub.call('POST', '/v1/topics/orders/events', { body })).status).toBe(201);
});

describe('GET /v1/topics/{topic}/events?filter=', () => {
  it('gives what matches, and leaves out what it fails on', async () => {
    const { json } = await read(OVER_TWO);
    expect(amounts(json)).toEqual([3, 5, 6]);
    expect(json).toMatchObject({ next: null, lastSequence: 6 });
    expect(amounts((await read(`${OVER_TWO}&order=desc`)).json)).toEqual([6, 5, 3]);
  });

  it('gives as many as are asked for, wherever they lie, and goes on by `next`', async () => {
    const first = (await read(`${OVER_TWO}&limit=2`)).json;
    expect([amounts(first), first.next]).toEqual([[3, 5], 5]);
    const rest = (await read(`${OVER_TWO}&limit=2&after=5`)).json;
    expect([amounts(rest), rest.next]).toEqual([[6], null]);
    const down = (await read(`${OVER_TWO}&limit=2&order=desc`)).json;
    expect([amounts(down), down.next]).toEqual([[6, 5], 4]);
    expect(amounts((await read(`${OVER_TWO}&limit=2&order=desc&until=4`)).json)).toEqual([3]);
  });

  it('streams what matches, as many as were asked for', async () => {
    const { text } = await read(`${OVER_TWO}&limit=2`, { accept: 'application/x-ndjson' });
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ data }) => data.amount)).toEqual([3, 5]);
  });

  it('refuses a mistake, and says where', async () => {
    const { status, json } = await read(`filter=${encodeURIComponent('data.amount >')}`);
    expect(status).toBe(400);
    expect(json.errors).toEqual([{ path: 'filter', message: 'unexpected > at line 1, column 13' }]);
  });
});

describe('A page that costs too much', () => {
  const data = Array.from({ length: 5_000 }, (_, index) => index);
  const events = Array.from({ length: 40 }, (_, index) => {
    const sequence = index + 1;
    return { sequence, json: JSON.stringify({ type: 'a', sequence: String(sequence), data }) };
  });
  const page = { outcome: 'page' as const, events, next: null, from: 1, firstSequence: 1, lastSequence: 40 };
  const cel = 'data.all(x, x >= 0)';

  it('ends early, and the next begins behind it', () => {
    const first = filteredPage(page, cel, 'asc');
    expect(first.events.length).toBeLessThan(40);
    expect(first.next).toBe(first.events.at(-1)?.sequence);
    const { next } = filteredPage({ ...page, events: events.toReversed() }, cel, 'desc');
    expect(next).toBe(40 - first.events.length);
  });

  it('is judged once for all tails that ask for the same of it', () => {
    const left = filteredTogether(events, cel);
    expect(left.next).toBe(left.events.at(-1)?.sequence);
    expect(filteredTogether(events, cel)).toBe(left);
    expect(filteredTogether(events, 'false').events).toEqual([]);
    expect(filteredTogether([...events], cel)).not.toBe(left);
  });

  it('P6 is remembered for a few filters, and judged for each tail with another', () => {
    const list = events.slice(0, 1);
    const lefts = Array.from({ length: SHARED_FILTERS_MAX + 1 }, (_, index) => filteredTogether(list, `${index} >= 0`));
    const again = lefts.map((_, index) => filteredTogether(list, `${index} >= 0`));
    expect(again).toEqual(lefts);
    expect(again.map((left, index) => left === lefts[index])).toEqual([...Array(SHARED_FILTERS_MAX).fill(true), false]);
  });
});
