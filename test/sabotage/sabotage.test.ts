import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSeeds } from '../simulation/seeds.ts';
import { buildSimulation, type Sabotage, sabotaged } from './patch.ts';
import { SABOTAGES } from './sabotages.ts';

/** A bug that the simulation does not find within so many seeds counts as not found. */
const SEEDS_MAX = 300;
/** So many show that a build without a bug is not found out by chance; many more are simulated elsewhere. */
const SEEDS_UNHARMED = 60;
const TIMEOUT_MS = 180_000;

/** Without its looks into the tables: what finds the bug is to be the history, as clients and receivers saw it. */
async function firstFound(sabotage: Sabotage | null, folder: string): Promise<string[]> {
  const outfile = join(folder, `${sabotage?.name ?? 'unharmed'}.mjs`);
  await buildSimulation(sabotage, outfile);
  const failed = await runSeeds({
    from: 1,
    seeds: sabotage === null ? SEEDS_UNHARMED : SEEDS_MAX,
    module: pathToFileURL(outfile).href,
    tables: false,
  });
  return [...new Set(failed.flatMap(({ violations }) => violations.map(({ rule }) => rule)))];
}

describe('A build with a bug put in on purpose', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-sabotage-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  for (const sabotage of SABOTAGES) {
    it(`is found out: ${sabotage.name}`, { timeout: TIMEOUT_MS }, async () => {
      const broken = await firstFound(sabotage, folder);
      expect(broken.filter((rule) => sabotage.breaks.includes(rule))).not.toEqual([]);
    });
  }

  it('and one without is not', { timeout: TIMEOUT_MS }, async () => {
    expect(await firstFound(null, folder)).toEqual([]);
  });

  it('is refused where the product has changed so that the bug does not fit any more', () => {
    const lost = {
      name: 'lost',
      bug: '',
      breaks: [],
      patches: [{ file: 'src/version.ts', find: 'no such text', replace: '' }],
    };
    expect(() => sabotaged(lost, 'src/version.ts')).toThrow('has to replace this once in src/version.ts');
  });
});
