import { describe, expect, test } from 'vitest';
import { append, event, Harness } from './harness.ts';

describe('what becomes of a topic is told on millrace.system', () => {
  test('its making and its end, in order, once each, whatever fails between', async () => {
    const harness = new Harness();
    let failures = 2;
    harness.onTell = async () => {
      if (failures-- > 0) throw new Error('Network connection lost.');
    };
    await harness.log.append(append([event(), event()]));
    await harness.pass(1);
    await harness.log.remove({ force: false });
    harness.restart();
    await harness.pass(60);
    await harness.log.append(append([event()]));
    await harness.pass(60);
    expect(harness.told).toMatchObject([
      { type: 'millrace.topic.created', source: '/topics/orders', subject: 'orders', data: { topic: 'orders' } },
      { type: 'millrace.topic.deleted', data: { topic: 'orders', lastSequence: 2 } },
      { type: 'millrace.topic.created' },
    ]);
  });

  test('also while the catalogue is away', async () => {
    const harness = new Harness();
    harness.catalog.failing = true;
    await harness.log.append(append([event()]));
    await harness.pass(10);
    expect(harness.told).toMatchObject([{ type: 'millrace.topic.created' }]);
  });

  test('that it fills up, once, and again after it was well below', async () => {
    const harness = new Harness();
    await harness.log.append(append([event()]));
    const about = harness.storage.sql.databaseSize;
    harness.fillingBytes = about;
    harness.fullBytes = about * 1_000;
    harness.restart();
    await harness.log.append(append([event()]));
    await harness.log.append(append([event()]));
    await harness.pass(10);
    const filling = () => harness.told.filter(({ type }) => type === 'millrace.topic.filling');
    expect(filling()).toMatchObject([{ data: { topic: 'orders', fullAtBytes: about * 1_000 } }]);
    harness.fillingBytes = about * 1_000;
    harness.restart();
    await harness.log.append(append([event()]));
    harness.fillingBytes = about;
    harness.restart();
    await harness.log.append(append([event()]));
    await harness.pass(10);
    expect(filling()).toHaveLength(2);
  });
});
