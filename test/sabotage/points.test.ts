import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { POINTS, type Point, zombieOf } from '../e2e/chaos/support/points.ts';
import { SABOTAGES } from './sabotages.ts';

const points: Point[] = [...Object.values(POINTS), zombieOf('slow')];

it('find the lines they are about, in the end-to-end tests and here', () => {
  const lost = [...points, ...SABOTAGES].flatMap(({ name, patches }) =>
    patches
      .filter(({ file, find }) => readFileSync(join(ROOT, file), 'utf8').split(find).length !== 2)
      .map(({ file, find }) => `${name}: ${file}: ${find}`),
  );
  expect(lost).toEqual([]);
});
