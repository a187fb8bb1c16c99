import type { Socket } from '../../src/tails/ports.ts';
import type { FeedSocket } from '../../src/topics/protocol.ts';

/** One end of a WebSocket in memory: what is sent arrives at the other end a little later, in order. */
export class FakeSocket implements Socket, FeedSocket {
  peer: FakeSocket | null = null;
  /** What came, where nobody listens yet. */
  readonly received: string[] = [];
  /** How the other end has closed, or this one. */
  closed: { code: number; reason: string } | null = null;
  attachment: unknown = null;
  #listener: Parameters<Socket['listen']>[0] | null = null;

  send(text: string): void {
    if (this.closed !== null) throw new Error('The socket is closed.');
    const { peer } = this;
    setImmediate(() => {
      if (peer !== null && peer.closed === null) peer.#take(text);
    });
  }

  close(code: number, reason: string): void {
    if (this.closed !== null) return;
    this.closed = { code, reason };
    const { peer } = this;
    setImmediate(() => {
      if (peer !== null) peer.#end({ code, reason });
    });
  }

  /** Breaks off, and neither end has said so. */
  breakOff(): void {
    for (const end of [this, this.peer]) {
      if (end !== null) end.#end({ code: 1006, reason: '' });
    }
  }

  listen(listener: Parameters<Socket['listen']>[0]): void {
    this.#listener = listener;
  }

  serializeAttachment(value: unknown): void {
    this.attachment = structuredClone(value);
  }

  deserializeAttachment(): unknown {
    return structuredClone(this.attachment);
  }

  #take(text: string): void {
    this.received.push(text);
    this.#listener?.message(text);
  }

  #end(how: { code: number; reason: string }): void {
    if (this.closed !== null) return;
    this.closed = how;
    this.#listener?.closed(how.code);
  }
}

export function fakeSocketPair(): [FakeSocket, FakeSocket] {
  const pair: [FakeSocket, FakeSocket] = [new FakeSocket(), new FakeSocket()];
  pair[0].peer = pair[1];
  pair[1].peer = pair[0];
  return pair;
}
