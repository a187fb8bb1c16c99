import { decode, encode, type Packet, RECURSION_DESIRED } from '@dnsquery/dns-packet';
import type { Clock } from '../platform.ts';
import { isAddress } from './addresses.ts';
import { readBytes } from './response-body.ts';

/** Asks a resolver for the addresses of a name: DNS over HTTPS in wire format (RFC 8484), which every resolver speaks. */

export interface ResolverInit {
  method: 'POST';
  headers: Record<string, string>;
  body: Uint8Array;
  redirect: 'manual';
  signal: AbortSignal;
}

export interface ResolverPorts {
  /** The platform's `fetch`, as far as it is used. */
  fetch: (url: string, init: ResolverInit) => Promise<Response>;
  clock: Clock;
}

export type Resolution =
  /** Every address there is, of both kinds. */
  | { outcome: 'found'; addresses: string[]; ttlMs: number }
  /** There is no such name, or it has no address. */
  | { outcome: 'none' }
  /** Nothing is known. `detail` is for a person. */
  | { outcome: 'failed'; detail: string };

/** Asks for a resolver's answer to both questions together. */
export const RESOLVER_TIMEOUT_MS = 3_000;
/** The longest message of DNS. */
export const RESOLVER_BYTES_MAX = 65_535;

const MESSAGE = 'application/dns-message';
const TYPES = ['A', 'AAAA'] as const;

type Answer = { addresses: string[]; ttlMs: number };

/** Never throws: whatever goes wrong is `failed`. */
export async function resolve(name: string, resolver: string, ports: ResolverPorts): Promise<Resolution> {
  const abort = new AbortController();
  const late = ports.clock.sleep(RESOLVER_TIMEOUT_MS).then(() => {
    abort.abort();
    throw new Error(`the resolver did not answer within ${RESOLVER_TIMEOUT_MS} ms`);
  });
  try {
    const asked = TYPES.map((type) => ask({ name, type }, resolver, ports, abort.signal, late));
    const answers = await Promise.race([Promise.all(asked), late]);
    const addresses = answers.flatMap((answer) => answer.addresses);
    if (addresses.length === 0) return { outcome: 'none' };
    return { outcome: 'found', addresses, ttlMs: Math.min(...answers.map(({ ttlMs }) => ttlMs)) };
  } catch (error) {
    abort.abort();
    const why = error instanceof Error ? error.message : String(error);
    return { outcome: 'failed', detail: `${name} could not be looked up: ${why}.` };
  }
}

interface Question {
  name: string;
  type: (typeof TYPES)[number];
}

/** @throws unless the resolver says what addresses there are, or that there are none */
async function ask(
  question: Question,
  resolver: string,
  ports: ResolverPorts,
  signal: AbortSignal,
  late: Promise<unknown>,
): Promise<Answer> {
  // The id is 0, as RFC 8484 recommends: the connection says which answer belongs to which question.
  const body = encode({ type: 'query', id: 0, flags: RECURSION_DESIRED, questions: [question] });
  const headers = { accept: MESSAGE, 'content-type': MESSAGE };
  const response = await ports.fetch(resolver, { method: 'POST', headers, body, redirect: 'manual', signal });
  if (response.status !== 200 || response.headers.get('content-type')?.split(';')[0]?.trim() !== MESSAGE) {
    response.body?.cancel().catch(() => undefined);
    throw new Error(`the resolver answered ${response.status}, and no DNS message`);
  }
  const { bytes, whole } = await readBytes(
    response,
    RESOLVER_BYTES_MAX,
    late.catch(() => undefined),
  );
  if (!whole) throw new Error('the resolver sent no whole message');
  return read(decoded(bytes), question);
}

function decoded(bytes: Uint8Array): Packet {
  try {
    return decode(bytes);
  } catch (error) {
    throw new Error('the resolver sent a message that is not DNS', { cause: error });
  }
}

/** Of whatever name in the message: CNAMEs were followed by the resolver, and an address too many is judged, no more. */
function read(packet: Packet, { name, type }: Question): Answer {
  const asked = packet.questions?.[0];
  if (packet.type !== 'response' || asked?.name.toLowerCase() !== name || asked.type !== type) {
    throw new Error('the resolver answered another question');
  }
  if (packet.flag_tc) throw new Error('the resolver cut its answer short');
  if (packet.rcode === 'NXDOMAIN') return NOTHING;
  if (packet.rcode !== 'NOERROR') throw new Error(`the resolver answered ${packet.rcode}`);
  const answers = packet.answers ?? [];
  const addresses = answers.flatMap((answer) => (answer.type === 'A' || answer.type === 'AAAA' ? [answer.data] : []));
  if (!addresses.every(isAddress)) throw new Error('the resolver sent a message that is not DNS');
  if (addresses.length === 0) return NOTHING;
  return { addresses, ttlMs: Math.min(...answers.map(({ ttl }) => ttl ?? 0)) * 1_000 };
}

const NOTHING: Answer = { addresses: [], ttlMs: Number.POSITIVE_INFINITY };
