import { Backoff, type RetryOptions, sleep, within } from './backoff.ts';
import { errorOf, MillraceError } from './errors.ts';
import type { Routes } from './wire.ts';

/** The way to a hub: addresses, the key, time limits and tries. */

export interface ConnectionOptions {
  /** Where the hub is: `https://hub.example.com`. */
  url: string;
  /** A key or token of the hub, or what gives one before each request: tokens expire. */
  key?: string | (() => string | Promise<string>);
  /** In place of the platform's: of a service binding, or in tests. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  retry?: RetryOptions;
  /** How long a try may take, milliseconds. 30,000 by default; where the hub is asked to wait, that much longer. */
  timeoutMs?: number;
}

export type Route = keyof Routes;
export type Answer<R extends Route> = Routes[R]['answer'];
export type Body<R extends Route> = Routes[R] extends { body?: infer B } ? NonNullable<B> : never;

/** An answer with the etag that guards a change of what it is about. */
export type Tagged<R extends Route> = Answer<R> & { etag: string };

/** A query as it is written in a program: numbers and booleans become text, and one of several may stand alone. */
export type Query<R extends Route> = {
  [K in keyof Routes[R]['query']]: Routes[R]['query'][K] extends infer V | undefined ? Parameter<V> | undefined : never;
};
type Parameter<V> = V extends readonly string[]
  ? readonly string[] | string
  : V extends boolean
    ? boolean
    : V extends number
      ? number | string
      : V extends string
        ? string extends V
          ? string | number
          : V
        : never;

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

export interface Sent extends CallOptions {
  /** Path parameters, as they are: they are percent-encoded here. */
  params?: Record<string, string | number>;
  query?: Record<string, unknown>;
  headers?: Record<string, string>;
  /** Written as JSON. */
  body?: unknown;
  /** A body that is written already, in place of `body`. */
  text?: string;
  /** Whether doing it twice is doing it once, so that a try without an answer can be followed by another. */
  repeatable?: boolean;
  /** How long the hub is asked to wait before it answers, milliseconds. */
  waitMs?: number;
}

export interface PutOptions extends CallOptions {
  /** The `etag` of what was got: `precondition-failed` if it has changed since. `*`: if it is not there. */
  ifMatch?: string;
}

/** A change under a guard is not repeated by itself: the first try changes what the guard says. */
export function guarded({ ifMatch, signal }: PutOptions): Sent {
  if (ifMatch === undefined) return { signal };
  return { headers: { 'if-match': ifMatch === '*' ? '*' : `"${ifMatch}"` }, repeatable: false, signal };
}

export const TIMEOUT_MS = 30_000;

export class Connection {
  readonly backoff: Backoff;
  readonly #url: string;
  readonly #key: ConnectionOptions['key'];
  readonly #fetch: NonNullable<ConnectionOptions['fetch']>;
  readonly #timeoutMs: number;

  constructor({ url, key, fetch, retry, timeoutMs }: ConnectionOptions) {
    const { protocol, href } = new URL(url);
    if (protocol !== 'http:' && protocol !== 'https:')
      throw new TypeError(`"${url}" is no address of a hub: https://…`);
    this.#url = href.replace(/\/+$/, '');
    // Throws for what is no header.
    if (typeof key === 'string') new Headers(bearer(key));
    this.#key = key;
    this.#fetch = fetch ?? ((address, init) => globalThis.fetch(address, init));
    this.#timeoutMs = timeoutMs ?? TIMEOUT_MS;
    this.backoff = new Backoff(retry);
  }

  /** Calls a route, and again where that can help. @throws MillraceError, or the signal's reason */
  call<R extends Route>(route: R, sent: Sent = {}): Promise<Answer<R>> {
    return this.#repeated(route, sent, parsedBody<Answer<R>>);
  }

  /** {@link call} of a route that answers in plain text. */
  text<R extends Route>(route: R, sent: Sent): Promise<Answer<R>> {
    return this.#repeated(route, sent, async (response) => (await response.text()) as Answer<R>);
  }

  /** {@link call} of a route whose answer has an etag: the etag is put into it. */
  tagged<R extends Route>(route: R, sent: Sent): Promise<Tagged<R>> {
    return this.#repeated(route, sent, async (response) => {
      const etag = (response.headers.get('etag') ?? '').replace(/^W\/|"/g, '');
      return { ...(await parsedBody<object>(response)), etag } as Tagged<R>;
    });
  }

  async #repeated<R extends Route, T extends Answer<R>>(
    route: R,
    sent: Sent,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const repeatable = sent.repeatable ?? !route.startsWith('POST ');
    /** A try may have been heard though it was not answered. */
    let mayBeDone = false;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#attempt(route, sent, read);
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        // An earlier try did it.
        if (route.startsWith('DELETE ') && mayBeDone && error.status === 404) return null as T;
        mayBeDone ||= error.status === null || error.status >= 500;
        if (!isPassing(error, repeatable) || tries > this.backoff.retries) throw error;
        if ((error.retryAfterMs ?? 0) > this.backoff.maxMs) throw error;
        await sleep(this.backoff.delayMs(tries, error.retryAfterMs), sent.signal);
      }
    }
  }

  /** One try of a route that answers with a stream: a 2xx, unread. @throws MillraceError, or the signal's reason */
  open(route: Route, sent: Sent): Promise<Response> {
    return this.#attempt(route, sent, async (response) => response, true);
  }

  /** @param staysOpen what is answered is read later, and hung up on by the signal */
  async #attempt<T>(route: Route, sent: Sent, read: (response: Response) => Promise<T>, staysOpen = false): Promise<T> {
    const { address, init } = requestOf(this.#url, route, sent);
    const end = new AbortController();
    let isLate = false;
    const timer = setTimeout(
      () => {
        isLate = true;
        end.abort();
      },
      this.#timeoutMs + (sent.waitMs ?? 0),
    );
    // Not AbortSignal.any: a signal that lives for long would keep something of each call.
    const onAbort = () => end.abort(sent.signal?.reason);
    if (sent.signal?.aborted) onAbort();
    else sent.signal?.addEventListener('abort', onAbort);
    try {
      // What gives the key may be out of reach for a while as the hub may.
      const key = await this.#keyUntil(end.signal);
      const headers = key === undefined ? init.headers : { ...init.headers, ...bearer(key) };
      const response = await this.#fetch(address, { ...init, headers, signal: end.signal });
      if (!response.ok) throw await errorOf(response, Date.now());
      return await read(response);
    } catch (error) {
      if (error instanceof MillraceError) throw error;
      sent.signal?.throwIfAborted();
      if (!isLate) throw networkError(error);
      throw new MillraceError('timeout', `No answer to ${route} in time.`, { status: null, cause: error });
    } finally {
      clearTimeout(timer);
      if (!staysOpen) sent.signal?.removeEventListener('abort', onAbort);
    }
  }

  async #keyUntil(signal: AbortSignal): Promise<string | undefined> {
    if (typeof this.#key !== 'function') return this.#key;
    return within(Promise.resolve(this.#key()), null, signal);
  }
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** @throws TypeError where what the caller gave can't be written: another try would not help. */
function requestOf(url: string, route: Route, sent: Sent) {
  const [method = '', template = ''] = route.split(' ');
  const body = sent.text ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body));
  const headers: Record<string, string> = {
    accept: 'application/json',
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...sent.headers,
  };
  // Throws for what is no header.
  new Headers(headers);
  const init = {
    method,
    headers,
    ...(body !== undefined && { body }),
    // Not followed: the key would go to wherever it leads.
    redirect: 'manual' as const,
  };
  return { address: url + pathOf(template, sent.params ?? {}) + searchOf(sent.query ?? {}), init };
}

/** @throws MillraceError `unexpected-answer` for what is no JSON */
async function parsedBody<T>(response: Response): Promise<T> {
  const text = await response.text();
  if (text === '') return null as T;
  checkMediaType(response, /json/, 'JSON');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MillraceError('unexpected-answer', 'The answer is not the JSON that it says it is.', {
      status: response.status,
      cause,
    });
  }
}

/** @throws MillraceError `unexpected-answer` where it is something else, as a page that asks for a login is */
export function checkMediaType({ status, headers }: Response, expected: RegExp, name: string): void {
  const type = headers.get('content-type') ?? '';
  if (expected.test(type)) return;
  const detail = `The answer is ${type === '' ? 'of no type' : type} instead of ${name}: is a hub at this address?`;
  throw new MillraceError('unexpected-answer', detail, { status });
}

export function networkError(cause: unknown): MillraceError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError('network', `The hub can't be reached: ${detail}`, { status: null, cause });
}

/** Statuses of 5xx that another try does not change. */
const LASTING: readonly number[] = [501, 505, 507, 511];

/** Whether another try can help, and does no harm. A 429 was refused before anything was done. */
export function isPassing({ status, code }: MillraceError, repeatable: boolean): boolean {
  if (status === 429 || code === 'request-in-progress') return true;
  if (!repeatable) return false;
  return status === null || status === 408 || (status >= 500 && !LASTING.includes(status));
}

function pathOf(template: string, params: Record<string, string | number>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name] ?? '')));
}

function searchOf(query: Record<string, unknown>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  return search.size === 0 ? '' : `?${search}`;
}
