import type { ChildProcess } from 'node:child_process';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';
import { spawnWrangler } from './wrangler.ts';

export interface WorkerOptions {
  /** For its log. */
  name: string;
  /** Its configuration file. */
  config: string;
  persistTo: string;
  /** A free one by default. */
  port?: number;
  /** What it answers on / once it is up; whatever it says, as long as it is no 5xx, by default. */
  isReady?: (status: number) => boolean;
  /** Variables and secrets of the Worker. */
  vars?: Record<string, string>;
  /** Variables of its processes. */
  env?: Record<string, string>;
}

/** Any other Worker under a `wrangler dev` of its own. Others reach it by service bindings, by way of wrangler's registry. */
export class WorkerProcess extends ServerProcess {
  readonly #options: WorkerOptions;

  private constructor(options: WorkerOptions, port: number) {
    const { name, persistTo, isReady = (status) => status < 500 } = options;
    super({ name, port, persistTo, readyPath: '/', isReady });
    this.#options = options;
  }

  /** @throws with the end of its log if it doesn't come up. */
  static async start(options: WorkerOptions): Promise<WorkerProcess> {
    const worker = new WorkerProcess(options, options.port ?? (await freePort()));
    await worker.start();
    return worker;
  }

  protected spawn(log: number): ChildProcess {
    const { config, vars = {}, env = {} } = this.#options;
    const given = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
    const address = ['--port', String(this.port), '--ip', '127.0.0.1', '--inspector-port', '0'];
    const quiet = ['--show-interactive-dev-session=false', '--log-level', 'warn'];
    const args = ['dev', '--config', config, '--persist-to', this.persistTo, ...address, ...quiet, ...given];
    return spawnWrangler(args, { detached: true, stdio: ['ignore', log, log], env });
  }
}
