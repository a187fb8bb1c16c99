import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openApiDocument } from '../../src/http/openapi.ts';
import { PROBLEMS } from '../../src/http/problem.ts';
import { ROUTES } from '../../src/http/resources.ts';
import { WholeHub } from './whole-hub.ts';

const document = openApiDocument(ROUTES);
const hub = new WholeHub();

describe('the OpenAPI document', () => {
  it('is the one checked in: npm run openapi writes it', () => {
    const checkedIn = readFileSync('schemas/api/openapi.json', 'utf8');
    expect(`${JSON.stringify(document, null, 2)}\n`).toBe(checkedIn);
  });

  it('is the one served', async () => {
    expect((await hub.call('GET', '/openapi.json', { key: null })).json).toEqual(JSON.parse(JSON.stringify(document)));
  });

  it('refers only to what is in it, and names each operation once', () => {
    const text = JSON.stringify(document);
    for (const [, name = ''] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      expect(document.components.schemas).toHaveProperty([name]);
    }
    expect(text).not.toContain('$defs');
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map((one) => one.operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('declares a refusal under the status that it is given with', () => {
    for (const path of ['/v1/dead-letters/redrive', '/v1/dead-letters/{id}/redrive']) {
      const responses = document.paths[path]?.post?.responses;
      expect(responses?.[409]?.description, path).toContain('unknown-subscription');
      expect(responses?.[404]?.description ?? '', path).not.toContain('unknown-subscription');
    }
  });

  it('has numbers and flags of a query as what they are, with their bounds and defaults, and names with their rule', () => {
    const ofQuery = (path: string, method: string) =>
      new Map(document.paths[path]?.[method]?.parameters.map(({ name, schema }) => [name, schema]));
    const events = ofQuery('/v1/topics/{topic}/events', 'get');
    expect(events.get('after')).toEqual({ type: 'integer', minimum: 0 });
    expect(events.get('since')).toMatchObject({ type: 'string', examples: [expect.any(String)] });
    expect(ofQuery('/v1/topics', 'get').get('limit')).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 50,
    });
    const { pattern } = ofQuery('/v1/topics/{topic}', 'delete').get('topic') ?? {};
    const rule = new RegExp(String(pattern));
    expect(['a', 'orders.eu'].every((name) => rule.test(name))).toBe(true);
    expect(['', 'a..b', 'A', 'a.'].some((name) => rule.test(name))).toBe(false);
    expect(ofQuery('/v1/topics/{topic}', 'delete').get('force')).toEqual({ type: 'boolean', default: false });
  });

  it('has the header of every answer', () => {
    for (const methods of Object.values(document.paths)) {
      for (const { responses } of Object.values(methods)) {
        for (const { headers } of Object.values(responses)) {
          expect(headers).toMatchObject({ 'x-request-id': { schema: { type: 'string' } } });
        }
      }
    }
  });

  it('names every parameter of every path', () => {
    for (const route of ROUTES) {
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(Object.keys(route.params), route.path).toEqual(inPath);
    }
  });
});

describe('the docs (P8)', () => {
  it('list every problem code, limit and route, and load nothing from elsewhere', async () => {
    const { text, headers } = await hub.call('GET', '/docs', { key: null });
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    for (const code of Object.keys(PROBLEMS)) expect(text).toContain(`<tr id="${code}">`);
    for (const { path } of ROUTES) expect(text).toContain(`<code>${path}</code>`);
    expect(text).toContain('10 MiB and 1000 events');
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(text).not.toContain('<script');
  });

  it('is where / leads', async () => {
    expect(await hub.call('GET', '/', { key: null })).toMatchObject({ status: 302 });
  });
});
