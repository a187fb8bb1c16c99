import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SentRequest } from '../../src/subscriptions/protocol-views.ts';
import { type AttemptFacts, RequestBook, requestOf, type Telling } from '../../src/subscriptions/sent-requests.ts';

const AS_IT_IS: Telling = { url: (url) => url, header: (_name, value) => value };

const FACTS: AttemptFacts = {
  subscription: 'billing',
  topic: 'orders',
  sequence: 7,
  attempt: 2,
  at: 1_767_225_600_999,
  replay: null,
};

const facts = fc.record({
  subscription: fc.constant('billing'),
  topic: fc.constantFrom('orders', 'invoices'),
  sequence: fc.nat({ max: 3 }),
  attempt: fc.nat({ max: 3 }),
  at: fc.nat({ max: 5_000 }),
  replay: fc.constantFrom(null, 'rpl_a'),
});

/** Some that follow from an attempt, with values that may be its own and may not. */
const names = fc.constantFrom(
  'webhook-id',
  'webhook-timestamp',
  'millrace-attempt',
  'millrace-replay',
  'x-a',
  'x-b',
  '__proto__',
  'constructor',
);
const request = fc.record({
  url: fc.constantFrom('https://a.example/', 'https://a.example/b'),
  headers: fc
    .array(fc.tuple(names, fc.constantFrom('0', '1', '2', 'rpl_a', 'true', '')))
    .map((entries) => Object.fromEntries(entries)),
});

describe('P8: what was sent', () => {
  it('is told of as it was, whatever the requests of a claim have in common', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(facts, request), { minLength: 1, maxLength: 6 }), (sent) => {
        const book = new RequestBook();
        const noted = sent.map(([of, made]) => book.note(of, made, AS_IT_IS));
        const told = sent.map(([of], index) => {
          if (book.shared === null) throw new Error('Nothing was noted.');
          // As it comes back from the wire and the disk.
          return requestOf(of, JSON.parse(JSON.stringify(book.shared)), JSON.parse(JSON.stringify(noted[index] ?? {})));
        });
        expect(told).toEqual(sent.map(([, made]) => made));
      }),
    );
  });

  it('costs nothing an attempt where only what follows from it differs', () => {
    const book = new RequestBook();
    const requestOfAttempt = (sequence: number): SentRequest => ({
      url: 'https://a.example/',
      headers: {
        'user-agent': 'Millrace/1.0.0',
        'webhook-timestamp': '1767225600',
        'millrace-attempt': '2',
        'millrace-topic': 'orders',
        'millrace-sequence': String(sequence),
      },
    });
    for (const sequence of [7, 8, 9]) {
      expect(book.note({ ...FACTS, sequence }, requestOfAttempt(sequence), AS_IT_IS)).toBeUndefined();
    }
    expect(book.shared?.headers).toMatchObject({ 'user-agent': 'Millrace/1.0.0', 'millrace-sequence': true });
  });

  it('is told without its secrets, which may differ without a word', () => {
    const book = new RequestBook();
    const masked: Telling = { url: () => '…', header: (name, value) => (name === 'x-secret' ? '…' : value) };
    const made = (secret: string) => ({
      url: `https://a.example/?${secret}`,
      headers: { 'x-secret': secret, 'x-a': '1' },
    });
    expect(book.note(FACTS, made('hunter2'), masked)).toBeUndefined();
    expect(book.note(FACTS, made('hunter3'), masked)).toBeUndefined();
    expect(book.shared).toEqual({ url: '…', headers: { 'x-secret': '…', 'x-a': '1' } });
  });

  it('is nothing as long as nothing was sent', () => {
    expect(new RequestBook().shared).toBeNull();
  });
});
