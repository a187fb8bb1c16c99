import { createServer, type Server, type Socket } from 'node:net';

/**
 * A webhook receiver that costs next to nothing: it reads as much of a request as it must to know where it ends and which
 * event it carries, and answers 200. What decides the answer can be set, for the rows in which deliveries fail.
 */

const OK = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
const REFUSED = Buffer.from('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');

export interface Receipt {
  /** `millrace-sequence`, or 0 where there is none. */
  sequence: number;
  /** `millrace-attempt`, or 1. */
  attempt: number;
  /** Milliseconds, of `performance.now()`. */
  at: number;
}

export class Receiver {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Requests received since `reset`. */
  count = 0;
  firstAt = 0;
  lastAt = 0;
  /** The last request whole, so that a floor can send the same bytes. */
  lastRequest = '';
  onReceipt: ((receipt: Receipt) => void) | null = null;
  refuses: ((receipt: Receipt) => boolean) | null = null;
  /** It takes requests and never answers. */
  hangs = false;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static open(): Promise<Receiver> {
    const server = createServer({ noDelay: true });
    const receiver = new Receiver(server);
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(receiver)));
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The receiver is not listening.');
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  reset(): void {
    this.count = 0;
    this.firstAt = 0;
    this.lastAt = 0;
    this.onReceipt = null;
    this.refuses = null;
  }

  /** Waits until `count` requests came since `reset`; throws if none comes for `quietMs`. */
  async arrived(count: number, quietMs = 15_000): Promise<void> {
    let seen = this.count;
    let seenAt = performance.now();
    while (this.count < count) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (this.count > seen) {
        seen = this.count;
        seenAt = performance.now();
      } else if (performance.now() - seenAt > quietMs) {
        throw new Error(`Only ${this.count} of ${count} webhooks came, and none for ${quietMs} ms.`);
      }
    }
  }

  /** Requests a second between the first and the last since `reset`. */
  get rate(): number {
    return (this.count - 1) / ((this.lastAt - this.firstAt) / 1000);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let held: Buffer | null = null;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      let rest = held === null ? bytes : Buffer.concat([held, bytes]);
      while (rest.length > 0) {
        const end = this.#take(rest, socket);
        if (end === null) break;
        rest = rest.subarray(end);
      }
      held = rest.length > 0 ? rest : null;
    });
  }

  /** Answers the request that begins `bytes`; its length, or null while some of it is missing. */
  #take(bytes: Buffer, socket: Socket): number | null {
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd < 0) return null;
    const head = bytes.toString('latin1', 0, headEnd);
    const end = headEnd + HEAD_END.length + number(head, /\r\ncontent-length: *(\d+)/i, 0);
    if (bytes.length < end) return null;
    const at = performance.now();
    if (this.count === 0) {
      this.firstAt = at;
      this.lastRequest = bytes.toString('utf8', 0, end);
    }
    this.count += 1;
    this.lastAt = at;
    if (this.hangs) return end;
    if (this.onReceipt === null && this.refuses === null) {
      socket.write(OK);
      return end;
    }
    const sequence = number(head, /\r\nmillrace-sequence: *(\d+)/i, 0);
    const attempt = number(head, /\r\nmillrace-attempt: *(\d+)/i, 1);
    const receipt = { sequence, attempt, at };
    socket.write(this.refuses?.(receipt) === true ? REFUSED : OK);
    this.onReceipt?.(receipt);
    return end;
  }
}

function number(head: string, pattern: RegExp, absent: number): number {
  const digits = pattern.exec(head)?.[1];
  return digits === undefined ? absent : Number(digits);
}
