import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../scripts/hub/wrangler.ts';

it('has the values in the code that docs/limits.md says', async () => {
  const rows = readFileSync(join(ROOT, 'docs', 'limits.md'), 'utf8').matchAll(
    /^\| (.+) \| ([\d,]+) \| `(.+)` `([A-Z_]+)` \|$/gm,
  );
  const said: Record<string, number> = {};
  const meant: Record<string, unknown> = {};
  for (const [, , value = '', file = '', name = ''] of rows) {
    const module: Record<string, unknown> = await import(join(ROOT, file));
    said[`${file} ${name}`] = Number(value.replaceAll(',', ''));
    meant[`${file} ${name}`] = module[name];
  }
  expect(Object.keys(said).length).toBeGreaterThan(30);
  expect(meant).toEqual(said);
});
