import { describe, expect, it } from 'vitest';
import { check } from './checker.ts';
import type {
  Counters,
  Delivery,
  FinalLetter,
  FinalSubscription,
  History,
  Look,
  Operation,
  Publish,
  Read,
  ReplayLook,
} from './operations.ts';

/** A hand-made history in which everything is well; each test breaks one thing in it. */

const ZERO: Counters = { delivered: 0, dead: 0, pending: 0, waiting: 0, filtered: 0, skipped: 0, discarded: 0 };

function event(sequence: number) {
  return { sequence, identity: `p ${sequence}`, content: `c${sequence}`, type: sequence === 3 ? 'mail' : 'shop' };
}

function publish(sequence: number, overrides: Partial<Publish> = {}): Publish {
  const { identity, content, type } = event(sequence);
  return {
    kind: 'publish',
    outcome: 'success',
    start: sequence * 10,
    end: sequence * 10 + 5,
    topic: 'orders',
    events: [{ identity, content, type }],
    expected: null,
    receipts: [{ sequence, duplicate: false }],
    refusedAt: null,
    ...overrides,
  };
}

function read(start: number, sequences: number[], overrides: Partial<Read> = {}): Read {
  const last = sequences.at(-1) ?? 0;
  return {
    kind: 'read',
    start,
    end: start + 1,
    topic: 'orders',
    after: 0,
    types: [],
    events: sequences.map(event),
    scannedTo: last,
    lastSequence: last,
    ...overrides,
  };
}

function delivery(sequence: number, overrides: Partial<Delivery> = {}): Delivery {
  return {
    kind: 'delivery',
    outcome: 'success',
    start: 50 + sequence,
    end: 51 + sequence,
    subscription: 'billing',
    topic: 'orders',
    event: event(sequence),
    webhookId: `msg_${sequence}`,
    replay: null,
    sender: null,
    ...overrides,
  };
}

function look(start: number, counters: Partial<Counters>, cursor: number, overrides: Partial<Look> = {}): Look {
  return {
    kind: 'look',
    start,
    end: start + 1,
    subscription: 'billing',
    counters: { ...ZERO, ...counters },
    lag: 0,
    cursor: { topic: 'orders', sequence: cursor },
    bases: { orders: 0 },
    ...overrides,
  };
}

interface Parts {
  publishes: Publish[];
  reads: Read[];
  deliveries: Delivery[];
  looks: Look[];
  others: Operation[];
  subscription: FinalSubscription;
}

/** Three events published, 1 and 2 delivered, 3 filtered. */
function well(): Parts {
  return {
    publishes: [publish(1), publish(2), publish(3)],
    reads: [read(16, [1]), read(100, [1, 2, 3])],
    deliveries: [delivery(1), delivery(2)],
    looks: [look(40, { waiting: 3 }, 0), look(90, { delivered: 2, filtered: 1 }, 3)],
    others: [
      {
        kind: 'configure',
        outcome: 'success',
        start: 0,
        end: 1,
        subscription: 'billing',
        action: 'put',
        topic: null,
        topics: ['orders'],
        types: ['sh*'],
        ordering: 'none',
      },
    ],
    subscription: {
      name: 'billing',
      running: true,
      exact: true,
      counters: { ...ZERO, delivered: 2, filtered: 1 },
      lag: 0,
      sequences: 3,
      fates: [
        { topic: 'orders', sequence: 1, fate: 'delivered' },
        { topic: 'orders', sequence: 2, fate: 'delivered' },
        { topic: 'orders', sequence: 3, fate: 'filtered' },
      ],
    },
  };
}

function history(parts: Parts, letters: NonNullable<History['final']>['letters'] = []): History {
  return {
    operations: [...parts.publishes, ...parts.reads, ...parts.deliveries, ...parts.looks, ...parts.others],
    final: { subscriptions: [parts.subscription], letters },
  };
}

function rules(parts: Parts, letters: NonNullable<History['final']>['letters'] = []): string[] {
  return [...new Set(check(history(parts, letters)).map((violation) => violation.rule))];
}

const LETTER = {
  subscription: 'billing',
  topic: 'orders',
  sequence: 2,
  identity: 'p 2',
  content: 'c2',
  state: 'open',
} as const;

describe('The history checker finds nothing', () => {
  it('in a history in which everything is well', () => {
    expect(check(history(well()))).toEqual([]);
  });

  it('in a publish whose answer was lost, had effect or not', () => {
    const parts = well();
    parts.publishes[1] = publish(2, { outcome: 'unknown', receipts: [] });
    parts.publishes.push(publish(9, { outcome: 'unknown', receipts: [] }));
    expect(check(history(parts))).toEqual([]);
  });

  it('in a retry that is told of its own first try', () => {
    const parts = well();
    parts.publishes.push(publish(2, { start: 70, end: 71, receipts: [{ sequence: 2, duplicate: true }] }));
    expect(check(history(parts))).toEqual([]);
  });

  it('in an event delivered twice under one webhook-id', () => {
    const parts = well();
    parts.deliveries.push(delivery(1, { start: 70, end: 71 }));
    expect(check(history(parts))).toEqual([]);
  });

  it('in a dead letter that D1 has', () => {
    const parts = well();
    parts.deliveries[1] = delivery(2, { outcome: 'failure' });
    parts.looks[1] = look(90, { delivered: 1, dead: 1, filtered: 1 }, 3);
    parts.subscription.counters = { ...ZERO, delivered: 1, dead: 1, filtered: 1 };
    parts.subscription.fates[1] = { topic: 'orders', sequence: 2, fate: 'dead' };
    expect(check(history(parts, [LETTER]))).toEqual([]);
  });

  it('in a cursor that a seek moved back', () => {
    const parts = well();
    parts.looks = parts.looks.map((entry) => ({ ...entry, bases: null }));
    parts.others.push({
      kind: 'configure',
      outcome: 'success',
      start: 92,
      end: 93,
      subscription: 'billing',
      action: 'seek',
      topic: null,
      topics: [],
      types: [],
      ordering: 'none',
    });
    parts.looks.push(look(95, {}, 0, { bases: null }));
    parts.deliveries.push(delivery(1, { start: 96, end: 97 }), delivery(2, { start: 96, end: 97 }));
    expect(check(history(parts))).toEqual([]);
  });
});

describe('The history checker finds, in the log,', () => {
  it('an acknowledged event that nobody can read', () => {
    const parts = well();
    parts.reads = [read(16, [1]), read(100, [1, 2])];
    expect(rules(parts)).toContain('acknowledged-read');
  });

  it('an acknowledged sequence that holds something else', () => {
    const parts = well();
    parts.publishes[1] = publish(2, { events: [{ identity: 'p 7', content: 'c7', type: 'shop' }] });
    parts.publishes.push(publish(2, { outcome: 'unknown', receipts: [] }));
    expect(rules(parts)).toContain('acknowledged-read');
  });

  it('an event that nobody published', () => {
    const parts = well();
    parts.publishes.pop();
    expect(rules(parts)).toContain('read-attempted');
  });

  it('an event whose publish was refused', () => {
    const parts = well();
    parts.publishes[2] = publish(3, { outcome: 'failure', receipts: [] });
    expect(rules(parts)).toContain('read-attempted');
  });

  it('a sequence that held two things', () => {
    const parts = well();
    parts.reads[0] = read(16, [], { events: [{ ...event(1), content: 'other' }], scannedTo: 1, lastSequence: 1 });
    expect(rules(parts)).toContain('one-value');
  });

  it('a gap', () => {
    const parts = well();
    parts.reads[1] = read(100, [1, 3]);
    expect(rules(parts)).toContain('dense');
  });

  it('a page that ends early without saying so', () => {
    const parts = well();
    parts.reads.push(read(110, [1, 2], { scannedTo: 3, lastSequence: 3 }));
    expect(rules(parts)).toContain('dense');
  });

  it('a type that was not asked for', () => {
    const parts = well();
    parts.reads.push(read(110, [1], { types: ['mail'], scannedTo: 3, lastSequence: 3 }));
    expect(rules(parts)).toContain('read-filter');
  });

  it('an order other than that of the acknowledgements', () => {
    const parts = well();
    parts.publishes[0] = publish(1, { start: 60, end: 61 });
    expect(rules(parts)).toContain('order');
  });

  it('a read that does not see what was acknowledged before it', () => {
    const parts = well();
    parts.reads[0] = read(27, [1]);
    expect(rules(parts)).toContain('fresh-read');
  });

  it('a read that does not see what another had seen before it', () => {
    const parts = well();
    parts.publishes[1] = publish(2, { end: 500 });
    parts.publishes[2] = publish(3, { end: 500 });
    parts.reads.push(read(80, [1, 2]), read(90, [1]));
    expect(rules(parts)).toContain('fresh-read');
  });

  it('two records of one id', () => {
    const parts = well();
    parts.publishes.push(publish(1, { start: 60, end: 61, receipts: [{ sequence: 4, duplicate: false }] }));
    parts.reads[1] = read(100, [1, 2, 3], {
      events: [...[1, 2, 3].map(event), { ...event(1), sequence: 4 }],
      scannedTo: 4,
      lastSequence: 4,
    });
    expect(rules(parts)).toContain('one-record');
  });

  it('two winners of one expected sequence', () => {
    const parts = well();
    parts.publishes[1] = publish(2, { expected: 1 });
    parts.publishes[2] = publish(3, { expected: 1 });
    expect(rules(parts)).toContain('expected');
  });

  it('a refusal that names the sequence that was expected', () => {
    const parts = well();
    parts.publishes.push(publish(4, { outcome: 'failure', receipts: [], expected: 3, refusedAt: 3 }));
    expect(rules(parts)).toContain('expected');
  });
});

describe('The history checker finds, of a subscription,', () => {
  it('an event delivered that the log does not hold', () => {
    const parts = well();
    parts.deliveries.push(delivery(4));
    expect(rules(parts)).toContain('delivered-read');
  });

  it('an event delivered with other content', () => {
    const parts = well();
    parts.deliveries.push(delivery(1, { event: { ...event(1), content: 'other' } }));
    expect(rules(parts)).toContain('one-value');
  });

  it('a webhook-id that changed', () => {
    const parts = well();
    parts.deliveries.push(delivery(1, { webhookId: 'msg_other' }));
    expect(rules(parts)).toContain('webhook-id');
  });

  it('a webhook-id of two events', () => {
    const parts = well();
    parts.deliveries[1] = delivery(2, { webhookId: 'msg_1' });
    expect(rules(parts)).toContain('webhook-id');
  });

  it('a filtered event that was delivered', () => {
    const parts = well();
    parts.deliveries.push(delivery(3));
    expect(rules(parts)).toContain('filtered');
  });

  it('a matching event that counts as filtered', () => {
    const parts = well();
    parts.subscription.fates[1] = { topic: 'orders', sequence: 2, fate: 'filtered' };
    expect(rules(parts)).toContain('filtered');
  });

  it('sums that do not come out', () => {
    const parts = well();
    parts.looks[1] = look(90, { delivered: 2 }, 3);
    expect(rules(parts)).toContain('sum');
  });

  it('a sum of more than was ever published', () => {
    const parts = well();
    parts.looks[1] = look(90, { delivered: 3, filtered: 1 }, 3);
    expect(rules(parts)).toContain('sum');
  });

  it('a final sum that is not the number of sequences', () => {
    const parts = well();
    parts.subscription.sequences = 2;
    expect(rules(parts)).toEqual(['sum']);
  });

  it('a cursor that moved back', () => {
    const parts = well();
    parts.looks.push(look(95, { delivered: 2, filtered: 1 }, 1));
    expect(rules(parts)).toContain('cursor');
  });

  it('a cursor past what is not settled', () => {
    const parts = well();
    parts.looks[0] = look(40, { waiting: 3 }, 2);
    expect(rules(parts)).toContain('cursor');
  });

  it('an event counted as delivered that its receiver never took', () => {
    const parts = well();
    parts.deliveries.pop();
    expect(rules(parts)).toContain('books');
  });

  it('a dead event without a letter, and a letter of an event that is not dead', () => {
    const dead = well();
    dead.subscription.fates[1] = { topic: 'orders', sequence: 2, fate: 'dead' };
    expect(rules(dead)).toContain('letters');
    expect(rules(well(), [LETTER])).toContain('letters');
  });

  it('an event with two fates', () => {
    const parts = well();
    parts.subscription.fates.push({ topic: 'orders', sequence: 2, fate: 'dead' });
    expect(rules(parts)).toContain('one-fate');
  });

  it('an event left pending', () => {
    const parts = well();
    parts.subscription.fates[1] = { topic: 'orders', sequence: 2, fate: 'pending' };
    parts.subscription.counters = { ...ZERO, delivered: 1, filtered: 1, pending: 1 };
    expect(rules(parts)).toContain('drained');
  });

  it('counters that say other than the single events', () => {
    const parts = well();
    parts.subscription.counters = { ...ZERO, delivered: 1, dead: 1, filtered: 1 };
    expect(rules(parts)).toContain('counters');
  });

  const REPLAY: ReplayLook = {
    kind: 'replay',
    start: 90,
    end: 91,
    id: 'r',
    subscription: 'billing',
    topic: 'orders',
    from: 1,
    to: 2,
    types: [],
    status: 'done',
    total: 2,
    delivered: 2,
    failed: 0,
    filtered: 0,
    remaining: 0,
  };

  it('a replay whose sums do not come out, or that is done too early', () => {
    const sums = well();
    sums.others.push({ ...REPLAY, delivered: 1 });
    expect(rules(sums)).toContain('replay-sum');
    const early = well();
    early.others.push({ ...REPLAY, delivered: 0, remaining: 2 });
    expect(rules(early)).toContain('replay-sum');
  });

  it('a replay that counts what its receiver never took', () => {
    const parts = well();
    parts.others.push(REPLAY);
    parts.deliveries.push(delivery(1, { replay: 'r' }));
    expect(rules(parts)).toContain('replay-books');
  });

  it('a replay that goes past its range', () => {
    const parts = well();
    parts.others.push({ ...REPLAY, to: 1, total: 1, delivered: 1 });
    parts.deliveries.push(delivery(1, { replay: 'r' }), delivery(2, { replay: 'r' }));
    expect(rules(parts)).toContain('replay-range');
  });
});

describe('The history checker finds, in the order of a key,', () => {
  /** One subscription by key; what is sent is `[sequence, outcome, consumer]`, one after the other. */
  function ordered(
    sent: [number, Delivery['outcome'], string?][],
    { change = {}, redriven = [] as number[], letters = [] as FinalLetter[], topics = [] as string[] } = {},
  ) {
    const parts = well();
    parts.publishes = [];
    parts.reads = [];
    parts.looks = [];
    parts.deliveries = sent.map(([sequence, outcome, consumer], index) =>
      delivery(sequence, {
        outcome,
        start: 100 + 2 * index,
        end: 101 + 2 * index,
        sender: { consumer: consumer ?? `c${index}`, key: 'k', redriven: redriven.includes(index) },
        ...(index === 1 ? change : {}),
      }),
    );
    const [put] = parts.others.filter((other) => other.kind === 'configure');
    if (put === undefined) throw new Error('Nothing is subscribed.');
    parts.others = [put.topics, ...topics.map((topic) => [topic])].map((names) => ({
      ...put,
      topics: names,
      ordering: 'key',
    }));
    const rules = check(history(parts, letters)).map(({ rule }) => rule);
    return rules.filter((rule) => rule === 'order' || rule === 'one-at-a-time');
  }

  it('nothing where each first arrival comes when those before it were taken, whatever is repeated', () => {
    expect(
      ordered([
        [1, 'success'],
        [2, 'failure'],
        [2, 'success'],
        [1, 'success'],
        [3, 'success'],
      ]),
    ).toEqual([]);
  });

  it('an event that comes before one that was not taken yet', () => {
    expect(
      ordered([
        [1, 'failure'],
        [2, 'success'],
        [1, 'success'],
      ]),
    ).toEqual(['order']);
    expect(
      ordered([
        [2, 'success'],
        [1, 'success'],
      ]),
    ).toEqual(['order']);
  });

  it('nothing in an event that died, or was redriven', () => {
    const dead = { ...LETTER, sequence: 1 };
    expect(
      ordered(
        [
          [1, 'failure'],
          [2, 'success'],
          [1, 'success'],
        ],
        { letters: [dead] },
      ),
    ).toEqual([]);
    expect(
      ordered(
        [
          [2, 'success'],
          [1, 'success'],
        ],
        { redriven: [1] },
      ),
    ).toEqual([]);
  });

  it('nothing in a topic that was given up and taken up again, but in one that was only named otherwise', () => {
    const sent: [number, Delivery['outcome']][] = [
      [2, 'success'],
      [1, 'success'],
    ];
    expect(ordered(sent, { topics: ['late.x', 'orders'] })).toEqual([]);
    expect(ordered(sent, { topics: ['>', 'orders'] })).toEqual(['order']);
    expect(ordered(sent, { topics: ['late.x'] })).toEqual(['order']);
  });

  it('two at a time, or one behind a failure, of one consumer', () => {
    expect(
      ordered(
        [
          [1, 'success', 'c'],
          [2, 'success', 'c'],
        ],
        { change: { start: 100 } },
      ),
    ).toContain('one-at-a-time');
    expect(
      ordered([
        [1, 'failure', 'c'],
        [2, 'success', 'c'],
        [1, 'success', 'd'],
      ]),
    ).toContain('one-at-a-time');
  });
});
