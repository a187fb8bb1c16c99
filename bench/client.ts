import { connect, type Socket } from 'node:net';

/**
 * The least HTTP/1.1 client that can load a server: one kept connection, one request at a time, requests encoded once and
 * sent as bytes. Node's own clients take longer over a request than the floor does, so they would measure themselves.
 */

export interface Answer {
  status: number;
  body: string;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** The bytes of one request, `host` aside from `headers`. */
export function encode(method: Method, path: string, headers: Record<string, string>, body = ''): Buffer {
  const lines = Object.entries({ host: '127.0.0.1', ...headers, 'content-length': String(Buffer.byteLength(body)) });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`);
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** An answer that begins `bytes`, or null while some of it is missing. */
function decode(bytes: Buffer): Answer | null {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return null;
  const head = bytes.toString('latin1', 0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyStart = headEnd + HEAD_END.length;
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const bodyEnd = bodyStart + Number(length);
    return bytes.length < bodyEnd ? null : { status, body: bytes.toString('utf8', bodyStart, bodyEnd) };
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return decodeChunks(status, bytes, bodyStart);
  return { status, body: '' };
}

function decodeChunks(status: number, bytes: Buffer, start: number): Answer | null {
  const chunks: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return null;
    if (size === 0) return { status, body: Buffer.concat(chunks).toString() };
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}

interface Waiting {
  request: Buffer;
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
  /** Sent again once: the server may close a connection that was idle just when the next request is on its way. */
  again: boolean;
}

export class Connection {
  readonly #port: number;
  /** Null: the server closed it, as servers do with idle ones; the next request opens another. */
  #socket: Socket | null = null;
  #received: Buffer[] = [];
  #waiting: Waiting | null = null;

  private constructor(port: number) {
    this.#port = port;
  }

  static async open(port: number): Promise<Connection> {
    const connection = new Connection(port);
    await connection.#connect();
    return connection;
  }

  /** Sends one encoded request and waits for its whole answer. One at a time a connection. */
  send(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting !== null) throw new Error('This connection still waits for an answer.');
      this.#waiting = { request, resolve, reject, again: false };
      if (this.#socket === null) this.#sendAgain();
      else this.#socket.write(request);
    });
  }

  close(): void {
    this.#waiting = null;
    this.#socket?.destroy();
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#port, '127.0.0.1');
      socket.setNoDelay(true);
      socket.on('data', (bytes) => this.#take(bytes));
      socket.on('error', reject);
      socket.on('connect', () => {
        this.#socket = socket;
        resolve(socket);
      });
      socket.on('close', () => {
        this.#socket = null;
        this.#received = [];
        if (this.#waiting !== null) this.#sendAgain();
      });
    });
  }

  #sendAgain(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    const fail = (error: Error) => {
      this.#waiting = null;
      waiting.reject(error);
    };
    if (waiting.again) {
      fail(new Error('The server closed the connection twice over one request.'));
      return;
    }
    waiting.again = true;
    this.#connect().then((socket) => socket.write(waiting.request), fail);
  }

  #take(bytes: Buffer): void {
    this.#received.push(bytes);
    const all = this.#received.length === 1 ? bytes : Buffer.concat(this.#received);
    const answer = decode(all);
    if (answer === null) {
      this.#received = [all];
      return;
    }
    this.#received = [];
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(answer);
  }
}

export async function openAll(port: number, count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => Connection.open(port)));
}
