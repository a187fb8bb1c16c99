import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SYSTEM_EVENT_TYPES, systemEventSchemas } from '../../src/system/shapes.ts';

describe('system events', () => {
  it('have the schemas that are checked in: npm run openapi writes them', () => {
    const checkedIn = readFileSync('schemas/events/millrace.system.json', 'utf8');
    expect(`${JSON.stringify(systemEventSchemas(), null, 2)}\n`).toBe(checkedIn);
  });

  it('are all on the page about them, and no others', () => {
    const page = readFileSync('docs/system-events.md', 'utf8');
    const rows = [...page.matchAll(/^\| `(millrace\.[a-z.]+)` \|/gm)].map(([, type]) => type);
    expect(rows.sort()).toEqual([...SYSTEM_EVENT_TYPES].sort());
  });
});
