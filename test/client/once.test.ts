import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { onceMigration } from '../../src/client/index.ts';
import { applicationOf } from '../../src/client/once-table.ts';

it.each([Number.NaN, -1])('remembers nothing for %d days', (keepDays) => {
  const event = { topic: 'orders', sequence: 1, replay: null };
  expect(() => applicationOf(event, { keepDays })).toThrow('keepDays must be 0 or more');
});

it('makes the table that docs/exactly-once.md shows', () => {
  expect(readFileSync(join(ROOT, 'docs', 'exactly-once.md'), 'utf8')).toContain(`\`\`\`sql\n${onceMigration}\`\`\``);
});
