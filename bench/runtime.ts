import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { build } from 'esbuild';
import { Miniflare, type WorkerOptions } from 'miniflare';
import { LOCAL_FLAG } from '../scripts/hub/dev-arguments.ts';
import { configuredFlags } from '../scripts/hub/wrangler.ts';
import { topicLogName } from '../src/object-names.ts';

/**
 * Starts the hub, the hub with counters, or the floor in Miniflare: a workerd each, with fresh state in the system's place
 * for temporary files. Requests go to the Worker's own socket, past Miniflare's entry Worker, which would be most of the
 * time of a request to the floor and so flatter every ratio.
 */

export const ADMIN_KEY = 'bench-admin-key-of-32-characters';
const HUB_SECRET = Buffer.alloc(32, 7).toString('base64');
const ROOT = `${dirname(import.meta.dirname)}/`;
const D1_SCHEMAS = `${ROOT}schemas/d1/`;
/** Clock ticks of /proc are 10 ms. */
const TICK_MS = 10;

/** The consumer Worker's name, and its queue's. */
const CONSUMER = 'consumer';

export interface Running {
  port: number;
  /** Of the consumer Worker beside it. */
  consumerPort: number;
  /** Processor time of its workerd so far, milliseconds. */
  cpuMs(): number;
  /** Takes the object of a topic's log out of memory. Its sockets outlive that, or are closed as after a crash. */
  evictLog(topic: string, webSockets: 'hibernate' | 'close'): Promise<void>;
  stop(): Promise<void>;
}

type Bindings = Partial<
  Pick<
    WorkerOptions,
    | 'compatibilityFlags'
    | 'bindings'
    | 'serviceBindings'
    | 'durableObjects'
    | 'd1Databases'
    | 'queueProducers'
    | 'queueConsumers'
  >
>;

export async function startFloor(): Promise<Running> {
  const { running } = await start('bench/floor-worker.ts', {
    durableObjects: { STORE: { className: 'FloorStore', useSQLite: true } },
    serviceBindings: { CONSUMER },
    queueProducers: {
      WEBHOOKS: { queueName: 'webhooks' },
      HANDED: { queueName: 'handed' },
      CONSUMER_QUEUE: { queueName: CONSUMER },
    },
    queueConsumers: {
      webhooks: { maxBatchSize: 1, maxBatchTimeout: 0 },
      // As many calls at a time as the hub makes.
      handed: { maxBatchSize: 6, maxBatchTimeout: 0 },
    },
  });
  return running;
}

/** `entry` is src/worker.ts, or what wraps it. Everything else is as wrangler.toml and `npm run dev` have it. */
export async function startHub(entry: 'src/worker.ts' | 'bench/worker-counted.ts'): Promise<Running> {
  const { miniflare, running } = await start(entry, {
    compatibilityFlags: [...configuredFlags(), LOCAL_FLAG],
    bindings: { ADMIN_KEY, HUB_SECRET, WEBHOOK_ALLOW_HOSTS: '127.0.0.1', HUB_HOSTS: '', DNS_RESOLVER: '' },
    durableObjects: {
      TOPIC_LOG: { className: 'TopicLogObject', useSQLite: true },
      SUBSCRIPTION: { className: 'SubscriptionObject', useSQLite: true },
      QUOTA: { className: 'QuotaObject', useSQLite: true },
    },
    d1Databases: { DB: 'millrace' },
    queueProducers: {
      DELIVERIES: { queueName: 'millrace-deliveries' },
      RETRIES: { queueName: 'millrace-retries' },
      CONSUMER_QUEUE: { queueName: CONSUMER },
    },
    serviceBindings: { CONSUMER },
    queueConsumers: {
      'millrace-deliveries': { maxBatchSize: 1, maxBatchTimeout: 0, maxRetries: 3 },
      'millrace-retries': { maxBatchSize: 1, maxBatchTimeout: 0, maxRetries: 3 },
    },
  });
  const db = await miniflare.getD1Database('DB');
  for (const statement of d1Statements()) await db.prepare(statement).run();
  return running;
}

function d1Statements(): string[] {
  const files = readdirSync(D1_SCHEMAS).filter((name) => name.endsWith('.sql'));
  const sql = files.sort().map((name) => readFileSync(D1_SCHEMAS + name, 'utf8').replaceAll(/--.*$/gm, ''));
  const statements = sql.flatMap((text) => text.split(';'));
  return statements.map((text) => text.trim()).filter((text) => text !== '');
}

/**
 * Has Miniflare run the runtime with its standard output in a file. The log has a line for each request, which is written as it is
 * in production; but who measures is not to be who reads it: on two cores that would be a tenth of what is measured.
 */
function logToFile(): void {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const command = join(folder, 'workerd');
  const workerd: { default: string } = createRequire(import.meta.resolve('miniflare'))('workerd');
  writeFileSync(command, `#!/bin/sh\nexec '${workerd.default}' "$@" >> '${join(folder, 'log')}'\n`, { mode: 0o755 });
  process.env.MINIFLARE_WORKERD_PATH = command;
  process.once('exit', () => rmSync(folder, { recursive: true }));
}

async function start(entry: string, bindings: Bindings): Promise<{ miniflare: Miniflare; running: Running }> {
  if (process.env.MINIFLARE_WORKERD_PATH === undefined) logToFile();
  const before = new Set(workerdPids());
  const miniflare = new Miniflare({
    workers: [
      { ...bindings, ...(await worker(entry)) },
      {
        name: CONSUMER,
        ...(await worker('bench/consumer-worker.ts')),
        d1Databases: { EFFECTS: 'effects' },
        queueConsumers: { [CONSUMER]: { maxBatchSize: 100, maxBatchTimeout: 0 } },
      },
    ],
    host: '127.0.0.1',
    port: 0,
    handleRuntimeStdio: (output: Readable, errors: Readable) => {
      output.resume();
      errors.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    },
  });
  await miniflare.ready;
  const [url, consumerUrl] = [await miniflare.unsafeGetDirectURL(), await miniflare.unsafeGetDirectURL(CONSUMER)];
  const pid = workerdPids().find((child) => !before.has(child));
  const running: Running = {
    port: Number(url.port),
    consumerPort: Number(consumerUrl.port),
    cpuMs: () => (pid === undefined ? 0 : processorMs(pid)),
    evictLog: (topic, webSockets) =>
      miniflare.unsafeEvictDurableObject('', 'TopicLogObject', { name: topicLogName(topic), webSockets }),
    stop: () => miniflare.dispose(),
  };
  return { miniflare, running };
}

async function worker(entry: string) {
  return {
    modules: [{ type: 'ESModule' as const, path: 'worker.mjs', contents: await bundle(entry) }],
    compatibilityDate: compatibilityDate(),
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
  };
}

async function bundle(entry: string): Promise<string> {
  const built = await build({
    entryPoints: [`${ROOT}${entry}`],
    bundle: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    loader: { '.sql': 'text', '.html': 'text' },
    write: false,
    logLevel: 'error',
  });
  const file = built.outputFiles[0];
  if (file === undefined) throw new Error(`Nothing was built from ${entry}.`);
  return file.text;
}

function compatibilityDate(): string {
  const date = /^compatibility_date = "([^"]+)"/m.exec(readFileSync(`${ROOT}wrangler.toml`, 'utf8'))?.[1];
  if (date === undefined) throw new Error('wrangler.toml has no compatibility_date.');
  return date;
}

function workerdPids(): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ');
  const workerds = children.filter(
    (pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'workerd',
  );
  return workerds.map(Number);
}

function processorMs(pid: number): number {
  // Fields 14 and 15 of /proc/PID/stat, counted behind the command's closing bracket.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
