import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';

/** One webhook request as it arrived. */
export interface Arrival {
  at: number;
  path: string;
  headers: Record<string, string>;
  body: string;
  /** Whether the signature holds; null while the receiver has no secret. */
  verified: boolean | null;
  webhookId: string;
  topic: string;
  sequence: number;
  attempt: number;
  /** The id of the replay that sent it. */
  replay: string | null;
  /** What the receiver answered; null if it did not (`hang`, `reset`). */
  status: number | null;
  /** How much of an endless body the sender took, in bytes, before it hung up; null until then, and for other answers. */
  poured: number | null;
}

export type Answer =
  | number
  | { status: number; headers?: Record<string, string>; body?: string; afterMs?: number }
  /** Never answers; the connection stays open. */
  | 'hang'
  /** Cuts the connection. */
  | 'reset'
  /** 200 and 10 GB, as fast as they are taken. */
  | 'endless';

export type Answering = (arrival: Arrival) => Answer | Promise<Answer>;

const OK = 200;
const UNAUTHORIZED = 401;
const CONSENT = { 'webhook-allowed-origin': '*' };
const ENDLESS_BYTES = 10_000_000_000;
const ENDLESS_CHUNK = Buffer.alloc(65_536, 'x');

/** A webhook receiver on this machine that verifies signatures with `standardwebhooks` and keeps a book of all that came. */
export class Receiver {
  /** Every request, in the order of arrival, refused ones too. */
  readonly book: Arrival[] = [];
  /** Decides each answer; may be changed at any time. */
  answer: Answering;
  /** What it says when it is asked for its consent (`OPTIONS`). That is not in the book. */
  consents = true;
  /** `whsec_…`; once set, a request that doesn't verify is answered with 401. */
  secret: string | null;
  readonly #server: Server;
  #url = '';

  private constructor(answer: Answering, secret: string | null) {
    this.answer = answer;
    this.secret = secret;
    this.#server = createServer((request, response) => void this.#receive(request, response));
  }

  static async start(options: { answer?: Answering; secret?: string | null; port?: number } = {}): Promise<Receiver> {
    const receiver = new Receiver(options.answer ?? (() => OK), options.secret ?? null);
    const server = receiver.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The receiver has no port.');
    receiver.#url = `http://127.0.0.1:${address.port}/hook`;
    return receiver;
  }

  /** Where to point a subscription. */
  get url(): string {
    return this.#url;
  }

  /** The distinct sequences of a topic that were answered with 2xx, ascending. */
  taken(topic: string): number[] {
    const sequences = this.book.filter((arrival) => arrival.topic === topic && isSuccess(arrival.status));
    return [...new Set(sequences.map((arrival) => arrival.sequence))].sort((a, b) => a - b);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'OPTIONS') {
      response.writeHead(OK, this.consents ? CONSENT : {}).end();
      return;
    }
    const body = await readBody(request).catch(() => null);
    if (body === null) return; // cut off by the sender
    const arrival = arrivalOf(request, body, this.secret);
    this.book.push(arrival);
    const answer = arrival.verified === false ? UNAUTHORIZED : await this.answer(arrival);
    if (answer === 'hang') return;
    if (answer === 'reset') {
      request.socket.destroy();
      return;
    }
    if (answer === 'endless') {
      arrival.status = OK;
      arrival.poured = await pour(response);
      return;
    }
    const { status, headers, body: text, afterMs } = typeof answer === 'number' ? { status: answer } : answer;
    if (afterMs !== undefined) await new Promise((resolve) => setTimeout(resolve, afterMs));
    arrival.status = status;
    response.writeHead(status, headers).end(text ?? '');
  }
}

export function isSuccess(status: number | null): boolean {
  return status !== null && status >= 200 && status < 300;
}

function arrivalOf(request: IncomingMessage, body: string, secret: string | null): Arrival {
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  );
  return {
    at: Date.now(),
    path: request.url ?? '',
    headers,
    body,
    verified: secret === null ? null : verifies(secret, body, headers),
    webhookId: headers['webhook-id'] ?? '',
    topic: headers['millrace-topic'] ?? '',
    sequence: Number(headers['millrace-sequence']),
    attempt: Number(headers['millrace-attempt']),
    replay: headers['millrace-replay'] ?? null,
    status: null,
    poured: null,
  };
}

function verifies(secret: string, body: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Resolves with how many bytes were poured, once all are or the connection is closed. */
async function pour(response: ServerResponse): Promise<number> {
  response.writeHead(OK, { 'content-length': ENDLESS_BYTES });
  const closed = new Promise((resolve) => response.once('close', resolve));
  let poured = 0;
  while (poured < ENDLESS_BYTES && !response.destroyed) {
    poured += ENDLESS_CHUNK.byteLength;
    if (!response.write(ENDLESS_CHUNK)) {
      await Promise.race([closed, new Promise((resolve) => response.once('drain', resolve))]);
    }
  }
  return poured;
}
