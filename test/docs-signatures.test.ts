import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../scripts/hub/wrangler.ts';

/** What docs/signatures.md tells receivers to write does what it says. */

const page = readFileSync(join(ROOT, 'docs', 'signatures.md'), 'utf8');
const PUBLIC_KEY = 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=';
const NOW = 1_614_265_330_000;
const BODY = new TextEncoder().encode('{"test": 2432232314}');
const HEADERS = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature':
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==',
};

it('verifies v1a by the recipe of the documentation', async () => {
  const recipe = /^```js verify-v1a\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? expect.fail('no recipe');
  const { verifyWebhook } = await import(`data:text/javascript,${encodeURIComponent(recipe)}`);
  expect(verifyWebhook(PUBLIC_KEY, BODY, HEADERS, NOW)).toBe(true);
  expect(verifyWebhook(PUBLIC_KEY, BODY, HEADERS, NOW + 301_000)).toBe(false);
  expect(verifyWebhook(PUBLIC_KEY, BODY.subarray(1), HEADERS, NOW)).toBe(false);
  expect(verifyWebhook(PUBLIC_KEY, BODY, { ...HEADERS, 'webhook-timestamp': 'now' }, NOW)).toBe(false);
  expect(verifyWebhook(PUBLIC_KEY, BODY, { ...HEADERS, 'webhook-signature': 'v1,x' }, NOW)).toBe(false);
});

it('shows the vectors that it was held against', () => {
  for (const signature of HEADERS['webhook-signature'].split(' ')) expect(page).toContain(signature);
  expect(page).toContain(PUBLIC_KEY);
});
