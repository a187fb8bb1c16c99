import { describe, expect, it } from 'vitest';
import { SWEPT_AT_ONCE_MAX, type SweepPorts, sweep } from '../../src/catalog/sweep.ts';

const DAY_MS = 24 * 3_600_000;
const NOW = 1_767_225_600_000;

function bench(more: Partial<SweepPorts> = {}) {
  const logs: { level: string; message: string; fields: Record<string, unknown> | undefined }[] = [];
  const swept: string[] = [];
  const ports: SweepPorts = {
    catalog: { subscriptionsToSweep: async () => ['a', 'b', 'c'], topicsToSweep: async () => ['orders'] },
    subscription: (name) => ({
      sweep: async () => {
        swept.push(`subscription ${name}`);
        return false;
      },
    }),
    topic: (name) => ({
      sweep: async () => {
        swept.push(`topic ${name}`);
      },
    }),
    now: () => NOW,
    log: (level, message, fields) => logs.push({ level, message, fields }),
    ...more,
  };
  return { ports, logs, swept };
}

describe('P4: the sweep', () => {
  it('looks at every subscription and topic the catalogue names', async () => {
    const { ports, swept } = bench();
    expect(await sweep(ports)).toEqual({ swept: 4, healed: 0, failed: 0 });
    expect(swept).toEqual(['subscription a', 'subscription b', 'subscription c', 'topic orders']);
  });

  it('asks for those not looked at for a day, so many at a time', async () => {
    const asked: unknown[] = [];
    const ask = async (...question: unknown[]) => {
      asked.push(question);
      return [];
    };
    await sweep(bench({ catalog: { subscriptionsToSweep: ask, topicsToSweep: ask } }).ports);
    expect(asked).toEqual(Array(2).fill([NOW, NOW - DAY_MS, SWEPT_AT_ONCE_MAX]));
  });

  it('counts and logs what it healed', async () => {
    const { ports, logs } = bench({ subscription: (name) => ({ sweep: async () => name === 'b' }) });
    expect(await sweep(ports)).toMatchObject({ healed: 1 });
    expect(logs).toContainEqual({ level: 'warn', message: expect.any(String), fields: { subscription: 'b' } });
  });

  it('goes on past one that fails', async () => {
    const { ports, logs } = bench({
      subscription: (name) => ({
        sweep: async () => {
          if (name === 'a') throw new Error('overloaded');
          return true;
        },
      }),
    });
    expect(await sweep(ports)).toEqual({ swept: 3, healed: 2, failed: 1 });
    expect(logs).toContainEqual(
      expect.objectContaining({ level: 'error', fields: expect.objectContaining({ subscription: 'a' }) }),
    );
  });

  it('logs that D1 fails, and still sweeps the other kind', async () => {
    const { ports, logs, swept } = bench({
      catalog: {
        subscriptionsToSweep: () => Promise.reject(new Error('D1 is down')),
        topicsToSweep: async () => ['orders'],
      },
    });
    expect(await sweep(ports)).toEqual({ swept: 1, healed: 0, failed: 1 });
    expect(swept).toEqual(['topic orders']);
    expect(logs[0]).toMatchObject({ level: 'error' });
  });

  it('calls six at a time', async () => {
    let running = 0;
    let most = 0;
    const { ports } = bench({
      catalog: {
        subscriptionsToSweep: async () => Array.from({ length: 50 }, (_, index) => `s${index}`),
        topicsToSweep: async () => [],
      },
      subscription: () => ({
        sweep: async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
          return false;
        },
      }),
    });
    expect(await sweep(ports)).toMatchObject({ swept: 50 });
    expect(most).toBe(6);
  });
});
