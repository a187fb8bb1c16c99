import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../../../scripts/hub/api-client.ts';
import { HubProcess } from '../../../scripts/hub/hub-process.ts';
import { ROOT } from '../../../scripts/hub/wrangler.ts';

/** What came to the consumer: of an event, or of a call without the library. */
export interface Entry {
  topic?: string;
  sequence?: number;
  attempt?: number;
  redriven?: boolean;
  id?: string;
  size?: number;
  /** The queue it came by. */
  queue?: string;
  /** Of the consumer: 1, and one more with each `redeploy`. */
  deployment?: string;
  sequences?: number[];
}

interface Told {
  do: 'ack' | 'retry' | 'reject' | 'throw' | 'forge' | 'hang' | 'return';
  delay?: string;
  value?: unknown;
}

/** A hub and a consumer Worker in one `wrangler dev`, and the book that tells the consumer what to do. */
export class WorkersBench {
  readonly hub: HubProcess;
  readonly api: ApiClient;
  readonly entries: Entry[] = [];
  tell: (entry: Entry) => Told | Promise<Told> = () => ({ do: 'ack' });
  readonly #deploy: (deployment: number) => void;
  readonly #close: () => void;
  #deployment = 1;

  private constructor(hub: HubProcess, deploy: (deployment: number) => void, close: () => void) {
    this.hub = hub;
    this.api = new ApiClient(hub.url, hub.adminKey);
    this.#deploy = deploy;
    this.#close = close;
  }

  static async start(): Promise<WorkersBench> {
    let bench: WorkersBench | null = null;
    const book = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', async () => {
        const entry: Entry = JSON.parse(body);
        bench?.entries.push(entry);
        const told = (await bench?.tell(entry)) ?? { do: 'ack' };
        // The consumer waits for it: a Worker that waits for nothing is ended by the platform.
        if (told.do !== 'hang') response.end(JSON.stringify(told));
      });
    });
    await new Promise<void>((resolve) => book.listen(0, '127.0.0.1', resolve));
    const address = book.address();
    const port = typeof address === 'object' ? address?.port : null;
    const adminKey = `admin_${crypto.randomUUID()}`;
    const folder = mkdtempSync(join(tmpdir(), 'millrace-consumers-'));
    const deploy = (deployment: number) =>
      consumerConfig(folder, {
        BOOK_URL: `http://127.0.0.1:${port}/`,
        MILLRACE_KEY: adminKey,
        DEPLOYMENT: `${deployment}`,
      });
    const hub = await HubProcess.start({
      persistTo: join(folder, 'state'),
      vars: { ADMIN_KEY: adminKey },
      configs: [hubConfig(folder), deploy(1)],
      env: { WRANGLER_REGISTRY_PATH: join(folder, 'registry') },
    });
    bench = new WorkersBench(hub, deploy, () => {
      book.closeAllConnections();
      book.close();
    });
    return bench;
  }

  /** Puts another version of the consumer in the place of the one that runs. Answers which. */
  redeploy(): string {
    this.#deployment += 1;
    this.#deploy(this.#deployment);
    return `${this.#deployment}`;
  }

  async stop(): Promise<void> {
    await this.hub.stop();
    this.#close();
  }
}

const QUEUES = ['trusted', 'confirmed'];

/** The hub's own configuration, with bindings to the consumer. */
function hubConfig(folder: string): string {
  const own = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')
    .replace(/^(main|migrations_dir) = "(.*)"$/gm, (_, name, path) => `${name} = "${join(ROOT, path)}"`)
    .replace(/\[observability\][\s\S]*$/, '');
  const services = [
    ['CONSUMER', ''],
    ['CONSUMER_RAW', 'entrypoint = "Raw"\n'],
    ['CONSUMER_MUTE', 'entrypoint = "Mute"\n'],
  ].map(
    ([binding, more]) =>
      `[[services]]\nbinding = "${binding}"\nservice = "consumer"\n${more}[services.props]\nmillrace = true\n`,
  );
  const queues = QUEUES.map(
    (name) =>
      `[[queues.producers]]\nbinding = "${name.toUpperCase()}_QUEUE"\nqueue = "${name}"\n` +
      `[[queues.consumers]]\nqueue = "${name}-dead"\nmax_batch_timeout = 0\nmax_retries = 10\n`,
  );
  return written(folder, 'hub', own + services.join('') + queues.join(''));
}

function consumerConfig(folder: string, vars: Record<string, string>): string {
  const queues = QUEUES.map(
    (name) =>
      `[[queues.consumers]]\nqueue = "${name}"\nmax_batch_timeout = 0\nmax_retries = 1\ndead_letter_queue = "${name}-dead"\n`,
  );
  const main = join(ROOT, 'test', 'e2e', 'workers', 'consumer', 'worker.ts');
  return written(
    folder,
    'consumer',
    `name = "consumer"\nmain = "${main}"\ncompatibility_date = "2026-07-21"\n` +
      `[vars]\n${Object.entries(vars)
        .map(([name, value]) => `${name} = "${value}"\n`)
        .join('')}` +
      `[[services]]\nbinding = "HUB"\nservice = "millrace"\n${queues.join('')}` +
      `[[queues.producers]]\nbinding = "TRUSTED_DEAD"\nqueue = "trusted-dead"\n`,
  );
}

function written(folder: string, name: string, text: string): string {
  const file = join(folder, name, 'wrangler.toml');
  mkdirSync(join(folder, name), { recursive: true });
  // In one write over what is there: a file that is emptied first is a change of its own to wrangler, which may read it
  // as it is then and miss the change that fills it. Nor does it follow a file renamed into its place.
  writeFileSync(file, text, { flag: existsSync(file) ? 'r+' : 'w' });
  return file;
}
