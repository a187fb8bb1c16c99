import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureDevVars } from '../../scripts/hub/dev-vars.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-vars-'));
  file = join(directory, '.dev.vars');
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('.dev.vars', () => {
  it('is made at the first start, for its owner alone, and kept after', () => {
    const first = ensureDevVars(file);
    expect(first.ADMIN_KEY).toMatch(/^admin_[\w-]{43}$/);
    expect(Buffer.from(first.HUB_SECRET ?? '', 'base64')).toHaveLength(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(ensureDevVars(file)).toEqual(first);
  });

  it('gets what is missing and keeps what a person wrote', () => {
    writeFileSync(file, "# mine\nADMIN_KEY='my key'\nOTHER=1");
    const vars = ensureDevVars(file);
    expect(vars).toMatchObject({ ADMIN_KEY: 'my key', OTHER: '1' });
    expect(readFileSync(file, 'utf8')).toMatch(/^# mine\nADMIN_KEY='my key'\nOTHER=1\nHUB_SECRET="/);
    expect(ensureDevVars(file)).toEqual(vars);
  });
});
