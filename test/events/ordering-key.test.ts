import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/events/fingerprint.ts';
import { EventList, writeEvent } from '../../src/events/new-event.ts';
import { orderingKey, orderingKeyOf } from '../../src/events/ordering-key.ts';
import { withHubAttributes } from '../../src/events/stored.ts';

const attributes = { type: 't', time: null, datacontenttype: null, dataschema: null };
const defaults = { topic: 'orders', time: '2026-01-01T00:00:00Z', makeId: () => 'id' };
const RECORDED = '2026-01-01T00:00:00.000Z';

describe('the key of a stored event', () => {
  test.each([
    ['{"type":"t"}', null],
    ['{"type":"t","subject":"s"}', 's'],
    ['{"type":"t","subject":"s","partitionkey":"p"}', 'p'],
    ['{"type":"t","partitionkey":"p\\"q"}', 'p"q'],
    ['{"type":"t","data":{"partitionkey":"p"}}', null],
    ['{"type":"t","subject":"s","data":"x"}', 's'],
  ])('of %s is %j', (json, key) => {
    expect(orderingKey(json)).toBe(key);
  });

  test('is the one that the log is given for its index', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    const extension = fc.tuple(fc.stringMatching(/^x[a-z]{1,5}$/), fc.string());
    fc.assert(
      fc.property(
        fc.option(text),
        fc.option(text),
        fc.option(text),
        fc.array(extension, { maxLength: 2 }),
        fc.json(),
        (id, subject, partitionkey, extensions, data) => {
          const sent = { ...attributes, id, source: null, subject, partitionkey, extensions };
          const value: unknown = JSON.parse(data);
          const written = writeEvent(sent, { kind: 'json', text: JSON.stringify(value) }, 0, defaults);
          const list = new EventList(1);
          list.add(written, orderingKeyOf(sent), bytesOf(written.json), false);
          const { keys } = list.packed().events;
          const indexed = keys === null ? null : (JSON.parse(keys) as (string | null)[])[0];
          expect(orderingKey(withHubAttributes(written.json, 'orders', 1, RECORDED))).toBe(indexed);
        },
      ),
    );
  });
});
