import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ApiClient } from '../../../../scripts/hub/api-client.ts';
import { devArguments } from '../../../../scripts/hub/dev-arguments.ts';
import { freePort } from '../../../../scripts/hub/free-port.ts';
import { ServerProcess } from '../../../../scripts/hub/server-process.ts';
import { configuredFlags, ROOT, runWrangler, spawnWrangler } from '../../../../scripts/hub/wrangler.ts';
import { sabotagePlugin } from '../../../sabotage/patch.ts';
import type { Point } from './points.ts';

/**
 * A hub under `wrangler dev` that lives many lives on one state, each built anew with a point in it or as it is. Unlike
 * `npm run dev` it fires no cron: whatever stops has to start again by itself.
 */
export class ChaosHub extends ServerProcess {
  readonly api: ApiClient;
  readonly #directory: string;
  readonly #vars: Record<string, string>;
  readonly #controlPort: number;

  private constructor(directory: string, port: number, controlPort: number, vars: Record<string, string>) {
    super({ name: 'hub', port, persistTo: directory, readyPath: '/healthz', isReady: (status) => status === 200 });
    this.#directory = directory;
    this.#controlPort = controlPort;
    this.#vars = {
      ADMIN_KEY: randomBytes(16).toString('hex'),
      HUB_SECRET: randomBytes(32).toString('base64'),
      ...vars,
    };
    this.api = new ApiClient(this.url, this.#vars.ADMIN_KEY ?? '');
  }

  /** Makes the state; `live` brings the hub up. */
  static async create(controlPort: number, vars: Record<string, string> = {}): Promise<ChaosHub> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
    const hub = new ChaosHub(directory, await freePort(), controlPort, vars);
    writeFileSync(join(directory, 'wrangler.toml'), hub.#configuration());
    await runWrangler(['d1', 'migrations', 'apply', 'DB', '--local', ...devArguments(hub.#arguments(), []).shared]);
    return hub;
  }

  /** Starts a life; one that is still lived ends. Resolves when the hub answers. */
  async live(point: Point | null): Promise<void> {
    await this.kill9();
    await this.#build(point);
    await this.start();
  }

  protected spawn(log: number): ChildProcess {
    const { dev } = devArguments(this.#arguments(), configuredFlags());
    return spawnWrangler(dev, { detached: true, stdio: ['ignore', log, log] });
  }

  /** Ends the last life, and forgets the state if there is nothing to be learned from it. */
  async end(forget: boolean): Promise<void> {
    await this.kill9();
    if (forget) rmSync(this.#directory, { recursive: true, force: true });
    else console.error(`The hub's state and log are in ${this.#directory}.`);
  }

  #arguments(): string[] {
    const vars = Object.entries(this.#vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
    const config = join(this.#directory, 'wrangler.toml');
    return ['--config', config, '--port', String(this.port), '--persist-to', join(this.#directory, 'state'), ...vars];
  }

  /** wrangler.toml as it is, but for where the Worker and the migrations are. */
  #configuration(): string {
    const replaced = (text: string, name: string, value: string) => {
      const line = new RegExp(`^${name} = .*$`, 'm');
      if (!line.test(text)) throw new Error(`wrangler.toml has no line "${name} = …".`);
      return text.replace(line, () => `${name} = ${JSON.stringify(value)}`);
    };
    const text = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');
    return replaced(replaced(text, 'main', 'worker.js'), 'migrations_dir', join(ROOT, 'schemas', 'd1'));
  }

  async #build(point: Point | null): Promise<void> {
    await build({
      entryPoints: [join(ROOT, 'src', 'worker.ts')],
      outfile: join(this.#directory, 'worker.js'),
      bundle: true,
      format: 'esm',
      target: 'es2024',
      external: ['cloudflare:*'],
      logLevel: 'error',
      banner: {
        js: `globalThis.chaosPoint = (point) => fetch('http://127.0.0.1:${this.#controlPort}/' + point, { method: 'POST' });`,
      },
      plugins:
        point === null
          ? []
          : [sabotagePlugin({ name: point.name, bug: point.moment, breaks: [], patches: point.patches })],
    });
  }
}
