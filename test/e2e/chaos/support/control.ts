import { createServer, type Server, type ServerResponse } from 'node:http';

interface Trap {
  /** Calls let through before it shuts. */
  skip: number;
  /** What comes after the one that is caught: held too, because the hub is to be killed, or let through. */
  catches: 'all' | 'one';
  caught: boolean;
  reached: () => void;
}

/** The other end of the calls that points.ts puts into the Worker: it lets them through, or holds them. */
export class Control {
  readonly port: number;
  readonly #server: Server;
  readonly #traps = new Map<string, Trap>();
  readonly #held: ServerResponse[] = [];
  readonly #calls = new Map<string, number>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('request', (request, response) => {
      request.resume();
      this.#arrived((request.url ?? '').slice(1), response);
    });
  }

  static async start(): Promise<Control> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The control has no port.');
    return new Control(server, address.port);
  }

  /** Resolves when the hub has come to the point for the time after `skip`, and waits there. */
  trap(point: string, skip: number, catches: 'all' | 'one'): Promise<void> {
    return new Promise((reached) => {
      this.#traps.set(point, { skip, catches, caught: false, reached });
    });
  }

  /** How often the hub has come to the point. */
  calls(point: string): number {
    return this.#calls.get(point) ?? 0;
  }

  /** Lets everything through that is held, and what is still to come. */
  release(): void {
    this.#traps.clear();
    for (const response of this.#held.splice(0)) response.writeHead(204).end();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #arrived(point: string, response: ServerResponse): void {
    this.#calls.set(point, this.calls(point) + 1);
    const trap = this.#traps.get(point);
    if (trap === undefined || (trap.caught && trap.catches === 'one') || (!trap.caught && trap.skip > 0)) {
      if (trap !== undefined && !trap.caught) trap.skip -= 1;
      response.writeHead(204).end();
      return;
    }
    this.#held.push(response);
    trap.caught = true;
    trap.reached();
  }
}
