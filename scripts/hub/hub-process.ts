import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';
import { ROOT } from './wrangler.ts';

export interface HubOptions {
  /** A free one by default. */
  port?: number;
  /** Where the state is kept; a new directory under the system's temporary one by default. */
  persistTo?: string;
  /** Variables and secrets of the Worker, over the defaults. */
  vars?: Record<string, string>;
  /** Let the hub run on when this process ends. */
  outlive?: boolean;
  /** Configuration files: the hub's own in place of wrangler.toml, and those of Workers to run beside it. */
  configs?: string[];
  /** Variables of its processes. */
  env?: Record<string, string>;
}

/** A hub under `wrangler dev`. */
export class HubProcess extends ServerProcess {
  readonly adminKey: string;
  /** `HUB_SECRET`: what signs its keys. */
  readonly secret: string;
  readonly #vars: Record<string, string>;
  readonly #options: HubOptions;

  private constructor(options: HubOptions & { port: number; persistTo: string }) {
    const { port, persistTo } = options;
    super({ name: 'hub', port, persistTo, readyPath: '/healthz', isReady: (status) => status === 200 });
    this.#options = options;
    this.#vars = {
      ADMIN_KEY: `admin_${randomBytes(16).toString('hex')}`,
      HUB_SECRET: randomBytes(32).toString('base64'),
      ...options.vars,
    };
    this.adminKey = this.#vars.ADMIN_KEY ?? '';
    this.secret = this.#vars.HUB_SECRET ?? '';
  }

  /** @throws with the end of the hub's log if it doesn't come up. */
  static async start(options: HubOptions = {}): Promise<HubProcess> {
    const hub = new HubProcess({
      ...options,
      port: options.port ?? (await freePort()),
      persistTo: options.persistTo ?? mkdtempSync(join(tmpdir(), 'millrace-')),
    });
    await hub.start();
    return hub;
  }

  protected spawn(log: number): ChildProcess {
    const { configs = [], outlive = false, env = {} } = this.#options;
    const vars = Object.entries(this.#vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
    const files = configs.flatMap((file) => ['--config', file]);
    const args = ['--port', String(this.port), '--persist-to', this.persistTo, ...files, ...vars];
    const child = spawn(process.execPath, [join(ROOT, 'scripts', 'dev.ts'), ...args], {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env, ...(outlive ? { MILLRACE_OUTLIVE_PARENT: '1' } : {}) },
    });
    if (outlive) child.unref();
    return child;
  }
}
