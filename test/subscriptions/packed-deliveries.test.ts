import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ackIdOf } from '../../src/subscriptions/ack-ids.ts';
import { asArray, packed, unpacked } from '../../src/subscriptions/packed-deliveries.ts';

const TOKEN = 'a'.repeat(32);

const delivery = fc
  .record({
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    data: fc.oneof(fc.jsonValue(), fc.constantFrom(',"event":', '\n', '\u2028', { event: ',"event":{' })),
    attempt: fc.integer({ min: 1, max: 1e9 }),
    replay: fc.option(fc.oneof(fc.string(), fc.constant('","event":'))),
    redriven: fc.boolean(),
  })
  .map(({ sequence, data, ...rest }) => ({
    ...rest,
    ackId: ackIdOf({ lane: 12, sequence, token: TOKEN }),
    sequence,
    json: JSON.stringify({ specversion: '1.0', data }),
  }));

test('deliveries are after their way what they were before it, and what is given out', () => {
  fc.assert(
    fc.property(fc.array(delivery, { maxLength: 5 }), (deliveries) => {
      const lines = packed(deliveries);
      expect(unpacked(lines)).toEqual(deliveries);
      expect(JSON.parse(asArray(lines))).toEqual(
        deliveries.map(({ ackId, attempt, replay, redriven, json }) => ({
          ackId,
          attempt,
          replay,
          redriven,
          event: JSON.parse(json),
        })),
      );
    }),
  );
});
