import { createServer, type Server } from 'node:http';

const ACCEPTED = 202;
const TOO_MANY = 429;

export interface Mail {
  id: string;
  to: string;
}

/** A mail server's HTTP interface, which takes its time and refuses a mail now and then. */
export class MailServer {
  /** Every mail it took, in order; one that came twice is there twice. */
  readonly mails: Mail[] = [];
  refused = 0;
  readonly #server: Server;
  readonly #takesMs: number;
  readonly #refusesEvery: number;
  #requests = 0;

  private constructor(takesMs: number, refusesEvery: number) {
    this.#takesMs = takesMs;
    this.#refusesEvery = refusesEvery;
    this.#server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        setTimeout(() => response.writeHead(this.#take(request.headers['message-id'], body)).end(), this.#takesMs);
      });
    });
  }

  static async start(takesMs: number, refusesEvery: number): Promise<MailServer> {
    const server = new MailServer(takesMs, refusesEvery);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The mail server does not listen.');
    return `http://127.0.0.1:${address.port}/send`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(id: string | string[] | undefined, body: string): number {
    this.#requests += 1;
    if (this.#requests % this.#refusesEvery === 0) {
      this.refused += 1;
      return TOO_MANY;
    }
    const { to }: { to: string } = JSON.parse(body);
    this.mails.push({ id: String(id), to });
    return ACCEPTED;
  }
}
