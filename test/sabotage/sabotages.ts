import type { Sabotage } from './patch.ts';

/**
 * Bugs put in on purpose. Each is one that the design is there to prevent, and a build with it must be found out by the
 * history checker, which judges the simulation and the real thing alike: in the simulation, within a bounded number of seeds.
 */
export const SABOTAGES: readonly Sabotage[] = [
  {
    name: 'answer-before-commit',
    bug: 'A publish is answered first and its events are committed a moment later (P1).',
    // What is told of and not there yet is missing for a reader even before a crash takes it for good.
    breaks: ['acknowledged-read', 'dense'],
    patches: [
      {
        file: 'src/topics/recording.ts',
        find: ': store(parts, plan, head, recordedAt, bytes);',
        replace: `: (void ports.clock.sleep(5).then(() => {
              const late = transaction(() => store(parts, plan, head, recordedAt, bytes));
              state.changed(late.changed);
              for (const { park, sequence } of late.concerned) parks.put({ ...park, owed: sequence });
            }), {
              plan,
              head: { ...head, recordedAt, lastSequence: head.lastSequence + plan.count },
              changed: {},
              arrivals: null,
              concerned: [],
            });`,
      },
    ],
  },
  {
    name: 'next-without-lease',
    bug: 'A lane moves its `next` in one transaction and makes the lease in another (P4).',
    // What comes next overtakes it.
    breaks: ['books', 'counters', 'order'],
    patches: [
      {
        file: 'src/subscriptions/taking.ts',
        find: 'const leases = taken > 0 ? this.#leases.leaseNew(lane, runs) : [];',
        replace: `const leases: number[] = [];
          const { background, clock } = this.#core.ports;
          background(clock.sleep(5).then(() => this.#leases.send(this.#core.tx(() => this.#leases.leaseNew(lane, runs)))));`,
      },
    ],
  },
  {
    name: 'settle-not-fenced',
    bug: 'A settle counts whoever sends it, whatever the lease still holds, and as often as it is sent (P4): a zombie is believed.',
    breaks: ['counters', 'books'],
    patches: [
      {
        file: 'src/subscriptions/settling.ts',
        find: 'if (!lease || !lane || lease.token !== request.token)',
        replace: `if (!lease || !lane) {
            for (const { kind, topic } of request.outcomes) {
              const live = sql.liveLane(topic);
              if (live && kind === 'delivered') sql.moveLane(live.id, { in_flight: -1, delivered: 1 });
            }
          }
          if (!lease || !lane)`,
      },
      {
        file: 'src/subscriptions/settling.ts',
        find: 'const entry = open.get(sequence);',
        replace: 'const entry = open.get(sequence) ?? { sequence, key: null };',
      },
    ],
  },
  {
    name: 'deduplication-outside',
    bug: 'What was published is remembered in a transaction of its own, after that of the events (P3).',
    breaks: ['one-record'],
    patches: [
      {
        file: 'src/topics/recording.ts',
        find: 'sql.addSegment(segment);',
        replace: `sql.addSegment({ ...segment, hashes: null });
          void ports.clock.sleep(5).then(() => {
            parts.transaction(() =>
              ports.storage.sql.exec('UPDATE segments SET hashes = ? WHERE first = ?', segment.hashes, segment.first));
            identities.forget();
          });`,
      },
      {
        file: 'src/topics/recording.ts',
        find: 'state.changed(committed.changed);',
        replace: 'state.changed(committed.changed); identities.forget();',
      },
    ],
  },
  {
    name: 'failed-filter-vanishes',
    bug: 'An event that a filter fails on is passed over without a dead letter (P4).',
    breaks: ['sum', 'books'],
    patches: [
      {
        file: 'src/subscriptions/taking.ts',
        find: 'for (const { sequence, error } of dead)',
        replace: 'for (const { sequence, error } of dead.slice(0, 0))',
      },
    ],
  },
  {
    name: 'replay-appends',
    bug: 'A replay publishes the events again instead of reading them (P2).',
    breaks: ['read-attempted', 'one-record'],
    patches: [
      {
        file: 'src/subscriptions/lanes.ts',
        find: 'const scannedTo = answer.next ?? until;',
        replace: `const scannedTo = answer.next ?? until;
          const again = {
            count: answer.events.length,
            lines: answer.events.map((event) => event.json).join('\\n'),
            keys: null,
            hashes: new Uint8Array(answer.events.length * 32).map((_, at) => (at % 32 < 8 ? 255 : answer.events[at >>> 5]?.sequence ?? 0)),
          };
          if (again.count > 0) {
            await this.#core.ports
              .topicLog(lane.topic)
              .append({ v: 1, events: again, expectedLastSequence: null, create: false });
          }`,
      },
    ],
  },
  {
    name: 'tail-at-once',
    bug: 'What stands behind a failure of its key is leased again at once, instead of waiting for the retry (P2).',
    breaks: ['order'],
    patches: [
      {
        file: 'src/subscriptions/leases.ts',
        find: 'const free = content.filter(({ key }) => key === null || !isBehind(key));',
        replace: 'const free = content.filter(() => true);',
      },
      {
        file: 'src/subscriptions/leases.ts',
        find: 'const kept = content.filter(({ key }) => key !== null && isBehind(key));',
        replace: 'const kept = content.filter(() => false);',
      },
    ],
  },
  {
    name: 'hold-open',
    bug: 'A hold does not know that an event of its key waits for its retry (P2).',
    breaks: ['order'],
    patches: [
      {
        file: 'src/subscriptions/sql-holds.ts',
        find: 'SELECT lane, key, first, EXISTS (SELECT 1',
        replace: 'SELECT lane, key, first, 0 AND EXISTS (SELECT 1',
      },
    ],
  },
  {
    name: 'runs-in-parallel',
    bug: 'The consumer sends the events of a key beside each other (P2).',
    breaks: ['one-at-a-time'],
    patches: [
      {
        file: 'src/deliveries/way.ts',
        find: 'byKey.set(event.key, fresh);',
        replace: '',
      },
    ],
  },
  {
    name: 'slot-not-spent',
    bug: 'A claim is given rate slots that the next claim is given too (P6).',
    breaks: ['rate'],
    patches: [
      {
        file: 'src/subscriptions/throttle.ts',
        find: 'if (own) this.#core.setRow({ rate_cursor: pace.cursor, rate_booked: JSON.stringify(pace.booked) });',
        replace: '',
      },
    ],
  },
  {
    name: 'hold-too-late',
    bug: 'A hold begins behind the event that it was made for (P4).',
    breaks: ['drained', 'books', 'counters'],
    patches: [
      {
        file: 'src/subscriptions/picking.ts',
        find: 'picked.holds.push({ key, first: event.sequence });',
        replace: 'picked.holds.push({ key, first: event.sequence + 1 });',
      },
    ],
  },
  {
    name: 'cursor-steps-too-far-back',
    bug: 'A topic in order goes back to what was delivered already, and counts it twice (P4).',
    breaks: ['counters', 'sum', 'books'],
    patches: [
      {
        file: 'src/subscriptions/leases.ts',
        find: 'const next = Math.min(...content.map(({ sequence }) => sequence));',
        replace: 'const next = Math.max(lane.start, Math.min(...content.map(({ sequence }) => sequence)) - 1);',
      },
    ],
  },
  {
    name: 'consent-not-awaited',
    bug: 'Deliveries begin before the receiver has consented to them, where it is to be asked (P7).',
    breaks: ['consent'],
    patches: [
      {
        file: 'src/subscriptions/core.ts',
        find: "const consented = this.#row?.consent !== 'pending';",
        replace: 'const consented = true;',
      },
    ],
  },
];
