import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ApiClient } from '../../../../scripts/hub/api-client.ts';
import { devArguments } from '../../../../scripts/hub/dev-arguments.ts';
import { eventually } from '../../../../scripts/hub/eventually.ts';
import { freePort } from '../../../../scripts/hub/free-port.ts';
import { groupIsAlive, signalGroup } from '../../../../scripts/hub/process-group.ts';
import { configuredFlags, ROOT, runWrangler, spawnWrangler } from '../../../../scripts/hub/wrangler.ts';
import { sabotagePlugin } from '../../../sabotage/patch.ts';
import type { Point } from './points.ts';

const READY_WITHIN_MS = 90_000;
const GONE_WITHIN_MS = 10_000;
const LOG_TAIL_CHARACTERS = 4_000;

/**
 * A hub under `wrangler dev` that lives many lives on one state, each built anew with a point in it or as it is. Unlike
 * `npm run dev` it fires no cron: whatever stops has to start again by itself.
 */
export class ChaosHub {
  readonly api: ApiClient;
  readonly logFile: string;
  readonly #directory: string;
  readonly #port: number;
  readonly #vars: Record<string, string>;
  readonly #controlPort: number;
  #child: ChildProcess | null = null;

  private constructor(directory: string, port: number, controlPort: number, vars: Record<string, string>) {
    this.#directory = directory;
    this.#port = port;
    this.#controlPort = controlPort;
    this.#vars = {
      ADMIN_KEY: randomBytes(16).toString('hex'),
      HUB_SECRET: randomBytes(32).toString('base64'),
      ...vars,
    };
    this.api = new ApiClient(`http://127.0.0.1:${port}`, this.#vars.ADMIN_KEY ?? '');
    this.logFile = join(directory, 'hub.log');
  }

  /** Makes the state; `start` brings the hub up. */
  static async create(controlPort: number, vars: Record<string, string> = {}): Promise<ChaosHub> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
    const hub = new ChaosHub(directory, await freePort(), controlPort, vars);
    writeFileSync(join(directory, 'wrangler.toml'), hub.#configuration());
    await runWrangler(['d1', 'migrations', 'apply', 'DB', '--local', ...devArguments(hub.#arguments(), []).shared]);
    return hub;
  }

  /** Starts a life; one that is still lived ends. Resolves when the hub answers. */
  async start(point: Point | null): Promise<void> {
    await this.kill9();
    await this.#build(point);
    const log = openSync(this.logFile, 'a');
    const { dev } = devArguments(this.#arguments(), configuredFlags());
    const child = spawnWrangler(dev, { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    const up = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return 'ended';
      return (await fetch(`${this.api.url}/healthz`, { signal: AbortSignal.timeout(2_000) })).ok ? 'up' : null;
    };
    const state = await eventually('the hub is up', up, READY_WITHIN_MS).catch(() => 'silent');
    if (state !== 'up') throw new Error(`The hub is ${state}:\n${this.logTail()}`);
  }

  /** kill -9 of every process of it at once, workerd too. */
  async kill9(): Promise<void> {
    if (this.#child === null) return;
    const group = this.#group();
    signalGroup(group, 'SIGKILL');
    await eventually('every process is gone', () => !groupIsAlive(group), GONE_WITHIN_MS);
    this.#child = null;
  }

  /** Stops every process of it where it stands; `thaw` lets them go on. */
  freeze(): void {
    signalGroup(this.#group(), 'SIGSTOP');
  }

  thaw(): void {
    signalGroup(this.#group(), 'SIGCONT');
  }

  /** Ends the last life, and forgets the state if there is nothing to be learned from it. */
  async end(forget: boolean): Promise<void> {
    await this.kill9();
    if (forget) rmSync(this.#directory, { recursive: true, force: true });
    else console.error(`The hub's state and log are in ${this.#directory}.`);
  }

  logTail(): string {
    return readFileSync(this.logFile, 'utf8').slice(-LOG_TAIL_CHARACTERS);
  }

  #group(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('The hub is not running.');
    return pid;
  }

  #arguments(): string[] {
    const vars = Object.entries(this.#vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
    const config = join(this.#directory, 'wrangler.toml');
    return ['--config', config, '--port', String(this.#port), '--persist-to', join(this.#directory, 'state'), ...vars];
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
