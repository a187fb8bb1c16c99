import { describe, expect, it } from 'vitest';
import { checkWebhookUrl } from '../../src/deliveries/url-guard.ts';
import { URL_TABLE } from '../deliveries/url-table.ts';

describe('P7: a webhook is never pointed inside, by workerd’s own URL parser either', () => {
  it.each(URL_TABLE)('%j → %s', (url, refusal) => {
    const verdict = checkWebhookUrl(url, { allowHosts: '', hubHosts: 'hub.example.com' });
    expect(verdict.ok ? null : verdict.code).toBe(refusal);
  });
});
