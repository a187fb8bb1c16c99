import { messageId } from '../events/ids.ts';
import type { RequestDifference, SharedRequest } from './protocol-claims.ts';
import type { SentRequest } from './protocol-views.ts';

/**
 * How the requests of attempts are told of in few bytes. What the requests of a claim have in common is said once, what
 * follows from an attempt not at all, and only the rest attempt by attempt; so it stays true whatever becomes of the
 * configuration, and costs next to nothing where all is as usual.
 */

/** What is known of an attempt anyway. `at` is milliseconds since the epoch. */
export interface AttemptFacts {
  subscription: string;
  topic: string;
  sequence: number;
  attempt: number;
  at: number;
  replay: string | null;
}

/** How requests are told of: without what is secret in them. */
export interface Telling {
  url(url: string): string;
  /** @param name in lower case */
  header(name: string, value: string): string;
}

/** The value of a header that follows from an attempt, unless its request says something else; null: it does not follow. */
function following(
  name: string,
  { subscription, topic, sequence, attempt, at, replay, id }: NotedFacts,
): string | null {
  switch (name) {
    case 'webhook-id':
      return id ?? messageId(subscription, topic, sequence);
    case 'webhook-timestamp':
      return String(Math.floor(at / 1000));
    case 'millrace-attempt':
      return String(attempt);
    case 'millrace-topic':
      return topic;
    case 'millrace-sequence':
      return String(sequence);
    case 'millrace-replay':
      return replay;
    default:
      return null;
  }
}

export interface NotedFacts extends AttemptFacts {
  /** The event's `webhook-id`, for those who have it at hand: it is costly to make. */
  id?: string | undefined;
}

/** The requests of one claim: the first is what the others are held against. */
export class RequestBook {
  #first: { request: SentRequest; shared: SharedRequest; names: string[] } | null = null;

  /** Null as long as nothing was sent. */
  get shared(): SharedRequest | null {
    return this.#first?.shared ?? null;
  }

  /** Notes a request as it went out; answers where it differs from the shared one as it is told, undefined if nowhere. */
  note(facts: NotedFacts, request: SentRequest, telling: Telling): RequestDifference | undefined {
    const names = Object.keys(request.headers);
    const told = (name: string): string | true => {
      const value = request.headers[name] ?? '';
      return following(name, facts) === value ? true : telling.header(name, value);
    };
    if (this.#first === null) {
      const headers = Object.fromEntries(names.map((name) => [name, told(name)]));
      this.#first = { request, shared: { url: telling.url(request.url), headers }, names };
      return undefined;
    }
    const { request: first, shared, names: usual } = this.#first;
    const differing: [string, string | true | null][] = [];
    for (const name of names) {
      const known = shared.headers[name];
      // Most are what they were the last time, and need no telling.
      if (known !== true && first.headers[name] === request.headers[name]) continue;
      const value = told(name);
      if (value !== known) differing.push([name, value]);
    }
    for (const name of usual) if (!Object.hasOwn(request.headers, name)) differing.push([name, null]);
    const url = request.url === first.url ? shared.url : telling.url(request.url);
    if (differing.length === 0 && url === shared.url) return undefined;
    return {
      ...(url === shared.url ? {} : { url }),
      ...(differing.length === 0 ? {} : { headers: Object.fromEntries(differing) }),
    };
  }
}

/** The request that {@link RequestBook.note} was given, as it is told. */
export function requestOf(facts: AttemptFacts, shared: SharedRequest, difference: RequestDifference): SentRequest {
  const told = new Map<string, string | true | null>([
    ...Object.entries(shared.headers),
    ...Object.entries(difference.headers ?? {}),
  ]);
  const headers = [...told].flatMap(([name, value]): [string, string][] => {
    const text = value === true ? following(name, facts) : value;
    return text === null ? [] : [[name, text]];
  });
  return { url: difference.url ?? shared.url, headers: Object.fromEntries(headers) };
}
