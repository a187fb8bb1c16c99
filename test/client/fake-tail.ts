import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A topic as server-sent events, as the interface's contract has them, over real HTTP. It breaks off where a test says so. */
export class FakeTail {
  readonly #server: Server;
  readonly #open = new Set<ServerResponse>();
  /** Sequence 1 is the first. */
  readonly #events: { type: string; json: string }[] = [];
  /** What each stream was asked with. */
  readonly asked: { search: string; lastEventId: string | null }[] = [];
  /** How many events a stream gives before it is cut off in the middle of the next; null: as many as there are. */
  cutAfter: () => number | null = () => null;
  /** An answer in place of a stream, by the number of the request. */
  refuse: (request: number) => { status: number; code: string } | null = () => null;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeTail> {
    const server = createServer((request, response) => tail.#answer(request, response));
    const tail = new FakeTail(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return tail;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  get streams(): number {
    return this.#open.size;
  }

  publish(count: number, type = 'order.created'): void {
    for (let one = 0; one < count; one += 1) {
      const sequence = this.#events.length + 1;
      const json = JSON.stringify({
        specversion: '1.0',
        id: `e${sequence}`,
        source: '/t',
        type,
        data: { note: 'zoë\n'.repeat(sequence % 5) },
        topic: 'orders',
        sequence: String(sequence).padStart(16, '0'),
        recordedtime: '2026-01-01T00:00:00Z',
      });
      this.#events.push({ type, json });
      for (const response of this.#open) response.write(this.#frame(sequence));
    }
  }

  /** Sends something to all who listen. */
  say(text: string): void {
    for (const response of this.#open) response.write(text);
  }

  /** Ends all streams, as a hub does, or cuts them off. */
  end(how: 'end' | 'cut' = 'end'): void {
    for (const response of this.#open) how === 'end' ? response.end() : response.destroy();
    this.#open.clear();
  }

  async stop(): Promise<void> {
    this.end('cut');
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #frame(sequence: number): string {
    const event = this.#events[sequence - 1];
    return `id: ${sequence}\nevent: ${event?.type}\ndata: ${event?.json}\n\n`;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { searchParams, search } = new URL(request.url ?? '/', 'http://tail');
    if (request.headers.accept !== 'text/event-stream') {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ events: [], next: null, lastSequence: this.#events.length }));
      return;
    }
    const lastEventId = request.headers['last-event-id'] ?? null;
    this.asked.push({ search, lastEventId: lastEventId === null ? null : String(lastEventId) });
    const refusal = this.refuse(this.asked.length);
    if (refusal !== null) {
      response.writeHead(refusal.status, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ ...refusal, detail: 'A detail.' }));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('retry: 1000\n\n:\n\n');
    const after = Number(lastEventId ?? searchParams.get('after') ?? 0);
    const cut = this.cutAfter();
    const last = cut === null ? this.#events.length : Math.min(this.#events.length, after + cut);
    for (let sequence = after + 1; sequence <= last; sequence += 1) response.write(this.#frame(sequence));
    if (cut !== null) {
      // Half a frame, and half a character: what was not ended was not sent.
      response.write(Buffer.from(this.#frame(Math.min(last + 1, this.#events.length))).subarray(0, 60));
      setImmediate(() => response.destroy());
      return;
    }
    this.#open.add(response);
    response.on('close', () => this.#open.delete(response));
  }
}
