import { messageId } from '../events/ids.ts';
import type { RequestDifference, SentRequest, SharedRequest } from './protocol.ts';

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

/** The headers that follow from an attempt, unless its request says something else. */
function following({ subscription, topic, sequence, attempt, at, replay }: AttemptFacts): Map<string, string> {
  const headers = new Map([
    ['webhook-id', messageId(subscription, topic, sequence)],
    ['webhook-timestamp', String(Math.floor(at / 1000))],
    ['millrace-attempt', String(attempt)],
    ['millrace-topic', topic],
    ['millrace-sequence', String(sequence)],
  ]);
  if (replay !== null) headers.set('millrace-replay', replay);
  return headers;
}

/** The requests of one claim: the first is what the others are held against. */
export class RequestBook {
  #shared: SharedRequest | null = null;

  /** Null as long as nothing was sent. */
  get shared(): SharedRequest | null {
    return this.#shared;
  }

  /** Notes a request; answers where it differs from the shared one, undefined if nowhere. */
  note(facts: AttemptFacts, { url, headers }: SentRequest): RequestDifference | undefined {
    const follows = following(facts);
    const own = Object.entries(headers).map(([name, value]): [string, string | true] => [
      name,
      follows.get(name) === value ? true : value,
    ]);
    const shared = this.#shared;
    if (shared === null) {
      this.#shared = { url, headers: Object.fromEntries(own) };
      return undefined;
    }
    const differing: [string, string | true | null][] = own.filter(([name, value]) => shared.headers[name] !== value);
    for (const name of Object.keys(shared.headers)) if (!Object.hasOwn(headers, name)) differing.push([name, null]);
    if (differing.length === 0 && url === shared.url) return undefined;
    return {
      ...(url === shared.url ? {} : { url }),
      ...(differing.length === 0 ? {} : { headers: Object.fromEntries(differing) }),
    };
  }
}

/** The request that {@link RequestBook.note} was given. */
export function requestOf(facts: AttemptFacts, shared: SharedRequest, difference: RequestDifference): SentRequest {
  const follows = following(facts);
  const told = new Map<string, string | true | null>([
    ...Object.entries(shared.headers),
    ...Object.entries(difference.headers ?? {}),
  ]);
  const headers = [...told].flatMap(([name, value]): [string, string][] => {
    const text = value === true ? (follows.get(name) ?? null) : value;
    return text === null ? [] : [[name, text]];
  });
  return { url: difference.url ?? shared.url, headers: Object.fromEntries(headers) };
}
