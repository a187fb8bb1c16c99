import { describe, expect, test } from 'vitest';
import { append, event, Harness } from './harness.ts';

describe('what a topic counts for whoever watches', () => {
  test('goes on over restarts and over its own deletion', async () => {
    const harness = new Harness();
    expect(await harness.log.metrics()).toBe(null);
    const twice = event({ id: 'x' });
    await harness.log.append(append([twice, event(), twice]));
    await harness.log.append(append([twice]));
    await harness.log.append(append([twice, event()]));
    const counts = { published: 3, duplicates: 3, healed: 0, failures: 0 };
    expect(await harness.log.metrics()).toMatchObject(counts);
    expect(await harness.restart().metrics()).toMatchObject(counts);
    await harness.log.remove({ force: false });
    expect(await harness.log.metrics()).toBe(null);
    await harness.pass(30);
    await harness.log.append(append([event()]));
    expect(await harness.log.metrics()).toMatchObject({ published: 4, duplicates: 3 });
  });

  test('counts no duplicates of what was refused', async () => {
    const harness = new Harness();
    await harness.log.append(append([event({ id: 'x' })]));
    const conflict = await harness.log.append(append([event({ id: 'x' }), event({ id: 'x', data: 'other' })]));
    expect(conflict.outcome).toBe('event-id-conflict');
    expect(await harness.log.metrics()).toMatchObject({ published: 1, duplicates: 0 });
  });

  test('writes no row for it but where there are duplicates', async () => {
    const harness = new Harness();
    await harness.log.append(append([event({ id: 'x' })]));
    const changes = () => harness.storage.sql.exec<{ rows: number }>('SELECT total_changes() AS rows').one().rows;
    const before = changes();
    await harness.log.append(append([event(), event()]));
    expect(changes() - before).toBe(1);
    await harness.log.append(append([event({ id: 'x' }), event({ id: 'x' })]));
    expect(changes() - before).toBe(2);
  });
});
