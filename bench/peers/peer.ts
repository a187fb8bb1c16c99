import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../scripts/hub/free-port.ts';
import { Connection, encode, openAll } from '../client.ts';
import { batch } from '../events.ts';
import { sendAll, succeeded, until } from '../measure.ts';
import type { Receiver } from '../receiver.ts';

/** The pipeline of bench/peers/pipeline.mjs and a Redis of its own, both on loopback and gone afterwards. */

const HERE = import.meta.dirname;
const BATCH = 100;
const CONNECTIONS = 4;
const JSON_HEADERS = { 'content-type': 'application/json' };

/** What is missing on this machine, and how to get it; null: nothing. */
export function missing(): string | null {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'redis-server is not installed. On Debian and Ubuntu: apt-get install redis-server (it need not run as a service).';
  }
  return existsSync(join(HERE, 'node_modules', 'bullmq'))
    ? null
    : 'The packages of bench/peers are not installed: npm ci --prefix bench/peers';
}

export class Peer {
  readonly #folder: string;
  readonly #processes: ChildProcess[];
  readonly #port: number;
  readonly #control: Connection;

  private constructor(folder: string, processes: ChildProcess[], port: number, control: Connection) {
    this.#folder = folder;
    this.#processes = processes;
    this.#port = port;
    this.#control = control;
  }

  /** Redis appends to its file and syncs it each second, as it does where losing little is enough. */
  static async start(receiver: Receiver, concurrency: number): Promise<Peer> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-peer-'));
    const redisPort = await freePort();
    const redis = spawn(
      'redis-server',
      [
        ...['--bind', '127.0.0.1', '--port', String(redisPort), '--dir', folder],
        ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
      ],
      { stdio: 'ignore' },
    );
    const processes = [redis];
    try {
      await until('Redis answers', () => answers(redisPort));
      const arguments_ = [join(HERE, 'pipeline.mjs'), String(redisPort), receiver.url, String(concurrency)];
      const pipeline = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
      processes.push(pipeline);
      const port = await portPrinted(pipeline);
      return new Peer(folder, processes, port, await Connection.open(port));
    } catch (error) {
      stopAll(processes, folder);
      throw error;
    }
  }

  /** Webhooks a second from a backlog of `count` events. */
  async drainRate(receiver: Receiver, count: number): Promise<number> {
    await this.#post('/pause');
    const connections = await openAll(this.#port, CONNECTIONS);
    const events = () => encode('POST', '/events', JSON_HEADERS, batch(BATCH, true));
    await sendAll(connections, Math.ceil(count / BATCH), events);
    for (const connection of connections) connection.close();
    receiver.reset();
    await this.#post('/resume');
    await receiver.arrived(count);
    return receiver.rate;
  }

  stop(): void {
    this.#control.close();
    stopAll(this.#processes, this.#folder);
  }

  async #post(path: string): Promise<void> {
    succeeded(await this.#control.send(encode('POST', path, JSON_HEADERS)));
  }
}

function stopAll(processes: ChildProcess[], folder: string): void {
  for (const child of processes) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

async function answers(port: number): Promise<boolean> {
  try {
    (await Connection.open(port)).close();
    return true;
  } catch {
    return false;
  }
}

function portPrinted(pipeline: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    pipeline.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString())));
    pipeline.once('exit', (code) => reject(new Error(`The pipeline ended with ${code}.`)));
  });
}
