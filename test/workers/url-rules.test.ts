import { describe, expect, it } from 'vitest';
import { urlRules } from '../../src/deliveries/url-rules.ts';
import { URL_TABLE } from '../deliveries/url-table.ts';

describe('P7: a webhook is never pointed inside, by workerd’s own URL parser either', () => {
  it.each(URL_TABLE)('%j → %s', (url, refusal) => {
    const verdict = urlRules({ allowHosts: '', hubHosts: 'hub.example.com' }).check(url);
    expect(verdict.ok ? null : verdict.code).toBe(refusal);
  });
});
