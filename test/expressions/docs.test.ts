import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/hub/wrangler.ts';
import { transformed } from '../../src/deliveries/transforming.ts';
import { compileCel } from '../../src/expressions/cel.ts';
import { event, target } from '../deliveries/consumer-bench.ts';

const page = readFileSync(join(ROOT, 'docs', 'filters.md'), 'utf8');

describe('docs/filters.md', () => {
  const [, block = ''] = /```\n(type == [\s\S]*?)```/.exec(page) ?? [];
  it.each(block.trim().split('\n'))('has a filter that is one: %s', (text) => {
    expect(() => compileCel(text)).not.toThrow();
  });

  const rows = [...page.matchAll(/^\| `"(transform|data|headers|path)": (".*")` \| `(.*)` \|$/gm)].map(
    ([, member = '', text = '', out = '']) => ({ member, text: JSON.parse(text) as string, out }),
  );
  it('has examples of every part of a transform', () => {
    expect(new Set(rows.map(({ member }) => member))).toEqual(new Set(['transform', 'data', 'headers', 'path']));
  });
  it.each(rows)('says what $text makes', async ({ member, text, out }) => {
    const data = { id: 17, lines: [{ sku: 'a', price: 10, count: 2 }] };
    const json = JSON.stringify({
      specversion: '1.0',
      id: '1',
      source: '/x',
      type: 'order.paid',
      tenant: 'acme',
      data,
    });
    const part = member === 'transform' ? 'data' : member;
    const transform = { data: null, headers: null, path: null, [part]: text };
    const result = await transformed(target({ url: 'https://example.com/hook', transform }), event(1, { json }));
    if (!result.ok) throw new Error(result.error);
    const { event: sent, url, headers } = result.outgoing;
    const made = {
      data: () => `"data": ${JSON.stringify(JSON.parse(sent.json).data)}`,
      headers: () =>
        Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}`)
          .join(),
      path: () => `POST ${url.slice('https://example.com'.length)}`,
    }[part];
    expect(made?.()).toBe(out);
  });
});
