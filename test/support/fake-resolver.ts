import { type Answer, decode, encode, type Packet, RECURSION_AVAILABLE } from '@dnsquery/dns-packet';
import * as rcodes from '@dnsquery/dns-packet/rcodes.js';

/** What a name has. `SERVFAIL` and other codes: the resolver's answer instead. */
export type Records = { A?: string[]; AAAA?: string[]; cname?: string; ttl?: number } | 'SERVFAIL' | 'REFUSED';

/** A resolver that speaks DNS over HTTPS, over names by script. */
export class FakeResolver {
  readonly zone = new Map<string, Records>();
  /** What was asked, as `name type`. */
  readonly asked: string[] = [];
  /** Stands in for a resolver that does something else. */
  standIn: ((query: Uint8Array) => Response | Promise<Response>) | null = null;

  async answer(query: Uint8Array): Promise<Response> {
    const [question] = decode(query).questions ?? [];
    if (question === undefined) throw new Error('A query without a question.');
    this.asked.push(`${question.name} ${question.type}`);
    if (this.standIn !== null) return this.standIn(query);
    return dnsResponse(answerTo(question, this.zone.get(question.name)));
  }

  /** As the platform's `fetch`. */
  readonly fetch = async (_url: string, init: { body: Uint8Array }): Promise<Response> => this.answer(init.body);
}

export function dnsResponse(message: Uint8Array<ArrayBuffer>): Response {
  return new Response(message, { headers: { 'content-type': 'application/dns-message' } });
}

type Question = NonNullable<Packet['questions']>[number];

/** `undefined`: there is no such name. */
export function answerTo(question: Question, records: Records | undefined, flags = 0): Uint8Array<ArrayBuffer> {
  const code = typeof records === 'string' ? records : records === undefined ? 'NXDOMAIN' : 'NOERROR';
  const answers = typeof records === 'object' ? answersOf(question, records) : [];
  const message = { id: 0, type: 'response' as const, questions: [question], answers };
  return new Uint8Array(encode({ ...message, flags: RECURSION_AVAILABLE | rcodes.toRcode(code) | flags }));
}

function answersOf({ name, type }: Question, records: Exclude<Records, string>): Answer[] {
  const { ttl = 60, cname } = records;
  const addresses = (type === 'A' ? records.A : records.AAAA) ?? [];
  const owner = cname ?? name;
  const alias: Answer[] = cname === undefined ? [] : [{ type: 'CNAME', name, ttl, data: cname }];
  return [
    ...alias,
    ...addresses.map((data): Answer => ({ type: type === 'A' ? 'A' : 'AAAA', name: owner, ttl, data })),
  ];
}
