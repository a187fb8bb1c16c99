import { expect } from 'vitest';
import type { HubOptions } from '../../../../scripts/hub/hub-process.ts';

import { ApiClient, startHub, type TestHub } from '../../support/index.ts';
import { Contract } from './contract.ts';

/**
 * A program that was written against the interface's page and nothing else, talking to a hub that
 * `npm run dev -- --port N --persist-to DIR --var ADMIN_KEY:secret` started. Every answer it gets is held against
 * the hub's own OpenAPI document.
 */

export interface Ask {
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: string;
  errors?: { path: string; message: string }[];
}

const REQUEST_ID = /^[\x21-\x7e]+$/;
const STACK_TRACE = /\bat .*\.(ts|js):\d+/;

export class Answer {
  readonly request: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;

  constructor(request: string, response: Response, text: string) {
    this.request = request;
    this.status = response.status;
    this.headers = response.headers;
    this.text = text;
  }

  /** The JSON of the body, taken for what the page says it is. */
  as<T = Record<string, unknown>>(): T {
    return JSON.parse(this.text);
  }

  /** The same, of an answer that must have this status. */
  is<T = Record<string, unknown>>(status: number): T {
    expect(this.status, `${this.request}: ${this.text}`).toBe(status);
    return JSON.parse(this.text);
  }

  /** 204, and nothing else. */
  isEmpty(): void {
    expect(this.status, `${this.request}: ${this.text}`).toBe(204);
    expect(this.text).toBe('');
  }

  /** A problem document with this status and code; the names are to be among the paths of its `errors`. */
  refused(status: number, code: string | null, ...named: string[]): Problem {
    expect(`${this.status} ${this.headers.get('content-type')}`, `${this.request}: ${this.text}`).toBe(
      `${status} application/problem+json`,
    );
    const problem = this.as<Problem>();
    expect(problem).toMatchObject({
      type: expect.any(String),
      title: expect.stringMatching(/./),
      status,
      detail: expect.stringMatching(/./),
      instance: new URL(this.request.split(' ')[1] ?? '', 'http://hub').pathname,
      code: expect.stringMatching(/^[a-z]+(-[a-z]+)*$/),
    });
    if (code !== null) expect(problem.code, this.text).toBe(code);
    for (const error of problem.errors ?? []) {
      expect(error).toEqual({ path: expect.any(String), message: expect.stringMatching(/./) });
    }
    for (const name of named) {
      expect(
        (problem.errors ?? []).map(({ path }) => path),
        `${this.request}: ${this.text}`,
      ).toContain(name);
    }
    expect(this.text).not.toMatch(STACK_TRACE);
    return problem;
  }
}

export class Stranger {
  readonly url: string;
  readonly key: string | null;
  readonly contract: Contract;

  constructor(url: string, key: string | null, contract: Contract) {
    this.url = url;
    this.key = key;
    this.contract = contract;
  }

  /** The same program with another key, or none. */
  with(key: string | null): Stranger {
    return new Stranger(this.url, key, this.contract);
  }

  get(path: string, ask: Ask = {}): Promise<Answer> {
    return this.ask('GET', path, ask);
  }

  put(path: string, json: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask('PUT', path, { json, headers });
  }

  post(path: string, json?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask('POST', path, { json, headers });
  }

  delete(path: string): Promise<Answer> {
    return this.ask('DELETE', path);
  }

  /** Any request. What comes back is held against the OpenAPI document. */
  async ask(method: string, path: string, { json, body, headers = {} }: Ask = {}): Promise<Answer> {
    const sent = json === undefined ? body : JSON.stringify(json);
    const response = await fetch(this.url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(this.key === null ? {} : { authorization: `Bearer ${this.key}` }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
    });
    const text = await response.text();
    expect(response.headers.get('x-request-id'), `${method} ${path}`).toMatch(REQUEST_ID);
    this.contract.check({
      method,
      // As it went out: without dots that lead upwards, for one.
      path: new URL(this.url + path).pathname,
      status: response.status,
      contentType: response.headers.get('content-type'),
      text,
    });
    return new Answer(`${method} ${path}`, response, text);
  }

  /** Publishes short forms (or whatever is given) as JSON; they must be taken. */
  async publish(topic: string, events: object | object[], headers: Record<string, string> = {}) {
    const answer = await this.post(`/v1/topics/${topic}/events`, events, headers);
    expect([200, 201], answer.text).toContain(answer.status);
    return answer.as<{ events: Receipt[] }>().events;
  }
}

export interface Receipt {
  id: string;
  source: string;
  topic: string;
  sequence: number;
  duplicate: boolean;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** A fresh hub as other programs start it, and the stranger with its admin key. */
export async function startStranger(options: HubOptions = {}): Promise<{ hub: TestHub; me: Stranger; api: ApiClient }> {
  const hub = await startHub({ ...options, vars: { ADMIN_KEY: 'secret', ...options.vars } });
  const me = new Stranger(hub.url, hub.adminKey, await Contract.of(hub.url));
  return { hub, me, api: new ApiClient(hub.url, hub.adminKey) };
}

/** Everything in a list, page by page. */
export async function all<T>(me: Stranger, path: string, limit = 1000): Promise<T[]> {
  const items: T[] = [];
  let cursor = '';
  for (;;) {
    const page: Page<T> = (await me.get(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor}`)).is(200);
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
}
