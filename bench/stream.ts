import { connect, type Socket } from 'node:net';

/** Every event has this name in its JSON, once. */
const MARK = Buffer.from('"specversion"');
const SOCKET_HEADERS = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': Buffer.alloc(16, 7).toString('base64'),
};

/**
 * A reader of an answer that does not end, server-sent events or WebSocket frames, that costs next to nothing: it counts the
 * events in its bytes.
 */
export class Stream {
  readonly #socket: Socket;
  /** The end of what came, in which the beginning of a mark may be. */
  #rest: Buffer = Buffer.alloc(0);
  count = 0;
  onEvent: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Open once the head of the answer is there. @throws if that is no 200 or 101 */
  static open(port: number, path: string, headers: Record<string, string>): Promise<Stream> {
    const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`));
      socket.setNoDelay(true);
      socket.on('error', reject);
      socket.once('data', (head) => {
        const [status = ''] = head.toString('latin1').split('\r\n');
        if (!/^HTTP\/1\.1 (200|101) /.test(status)) reject(new Error(`${path}: ${status}`));
        const stream = new Stream(socket);
        stream.#take(head);
        socket.on('data', (bytes) => stream.#take(bytes));
        resolve(stream);
      });
    });
  }

  static openSocket(port: number, path: string, headers: Record<string, string> = {}): Promise<Stream> {
    return Stream.open(port, path, { ...SOCKET_HEADERS, ...headers });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let end = 0;
    for (let at = all.indexOf(MARK); at >= 0; at = all.indexOf(MARK, end)) {
      end = at + MARK.length;
      this.count += 1;
      this.onEvent?.();
    }
    this.#rest = all.subarray(Math.max(end, all.length - MARK.length + 1));
  }
}
