import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { onceMigration } from '../../src/client/index.ts';

it('makes the table that docs/exactly-once.md shows', () => {
  expect(readFileSync(join(ROOT, 'docs', 'exactly-once.md'), 'utf8')).toContain(`\`\`\`sql\n${onceMigration}\`\`\``);
});
