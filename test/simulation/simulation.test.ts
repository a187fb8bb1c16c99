import { describe, expect, it } from 'vitest';
import { runSeeds } from './seeds.ts';
import { simulate } from './simulate.ts';

const SEEDS = Number(process.env.SIMULATION_SEEDS ?? 500);
const MINUTES = 60_000;

describe('The simulation', () => {
  it('runs the same seed the same way twice', async () => {
    for (const seed of [3, 17]) {
      const first = await simulate(seed);
      const second = await simulate(seed);
      expect({ ...second, trace: second.trace.length }).toEqual({ ...first, trace: first.trace.length });
      expect(second.trace).toEqual(first.trace);
    }
  });

  it('runs different seeds differently', async () => {
    expect((await simulate(1)).hash).not.toBe((await simulate(2)).hash);
  });

  it(`breaks no rule in ${SEEDS} seeds (P1, P2, P3, P4, P5)`, { timeout: 10 * MINUTES }, async () => {
    const failed = await runSeeds({ from: 1, seeds: SEEDS });
    const report = failed.map(
      ({ seed, violations, trace }) =>
        `seed ${seed} (npm run simulate -- --seed ${seed})\n${violations.map(({ rule, detail }) => `BROKEN ${rule}: ${detail}`).join('\n')}\n${trace.slice(-40).join('\n')}`,
    );
    expect(report.join('\n\n')).toBe('');
  });
});
