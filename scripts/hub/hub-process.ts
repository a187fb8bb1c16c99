import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { groupIsAlive, signalGroup } from './process-group.ts';
import { ROOT } from './wrangler.ts';

const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 10_000;
const POLL_EVERY_MS = 50;
/** A poll that has no answer by then is given up: wrangler may lose a request that comes while it starts. */
const POLL_TIMEOUT_MS = 5_000;
/** How much of a broken hub's log goes into the error. */
const LOG_TAIL_CHARACTERS = 4_000;

export interface HubOptions {
  /** A free one by default. */
  port?: number;
  /** Where the state is kept; a new directory under the system's temporary one by default. */
  persistTo?: string;
  /** Variables and secrets of the Worker, over the defaults. */
  vars?: Record<string, string>;
  /** Let the hub run on when this process ends. */
  outlive?: boolean;
}

/** A hub under `wrangler dev` in a process group of its own, so that a kill -9 takes everything of it, workerd too. */
export class HubProcess {
  readonly url: string;
  readonly adminKey: string;
  readonly persistTo: string;
  readonly #port: number;
  readonly #vars: Record<string, string>;
  readonly #outlive: boolean;
  #child: ChildProcess | null = null;

  private constructor(options: Required<HubOptions>) {
    this.#port = options.port;
    this.#outlive = options.outlive;
    this.#vars = {
      ADMIN_KEY: `admin_${randomBytes(16).toString('hex')}`,
      HUB_SECRET: randomBytes(32).toString('base64'),
      ...options.vars,
    };
    this.url = `http://127.0.0.1:${options.port}`;
    this.adminKey = this.#vars.ADMIN_KEY ?? '';
    this.persistTo = options.persistTo;
  }

  /** @throws with the end of the hub's log if it doesn't come up. */
  static async start(options: HubOptions = {}): Promise<HubProcess> {
    const hub = new HubProcess({
      port: options.port ?? (await freePort()),
      persistTo: options.persistTo ?? mkdtempSync(join(tmpdir(), 'millrace-')),
      vars: options.vars ?? {},
      outlive: options.outlive ?? false,
    });
    await hub.start();
    return hub;
  }

  /** The process group, to signal or to name to a person. */
  get group(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('The hub is not running.');
    return pid;
  }

  get logFile(): string {
    return join(this.persistTo, 'hub.log');
  }

  /** Starts it again, after `kill9` or `stop`, on the same state, port and secrets. */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error('The hub is running already.');
    mkdirSync(this.persistTo, { recursive: true });
    const log = openSync(this.logFile, 'a');
    const vars = Object.entries(this.#vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
    const child = spawn(
      process.execPath,
      [join(ROOT, 'scripts', 'dev.ts'), '--port', String(this.#port), '--persist-to', this.persistTo, ...vars],
      {
        cwd: ROOT,
        detached: true,
        stdio: ['ignore', log, log],
        env: this.#outlive ? { ...process.env, MILLRACE_OUTLIVE_PARENT: '1' } : process.env,
      },
    );
    closeSync(log);
    this.#child = child;
    if (this.#outlive) child.unref();
    await this.#ready(child);
  }

  /** kill -9 of everything at once: no process of it runs another instruction. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it in order; what doesn't end is killed. */
  async stop(): Promise<void> {
    if (this.#child === null) return;
    await this.#end('SIGTERM').catch(() => this.#end('SIGKILL'));
  }

  /** Stops every process of it where it stands (SIGSTOP); `thaw` lets them go on. */
  freeze(): void {
    signalGroup(this.group, 'SIGSTOP');
  }

  thaw(): void {
    signalGroup(this.group, 'SIGCONT');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { group } = this;
    signalGroup(group, signal);
    const deadline = Date.now() + STOP_WITHIN_MS;
    while (groupIsAlive(group)) {
      if (Date.now() > deadline) throw new Error(`The hub's processes outlive ${signal}.`);
      await delay(POLL_EVERY_MS);
    }
    this.#child = null;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
      const response = await fetch(`${this.url}/healthz`, { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) }).catch(
        () => null,
      );
      if (response?.ok) return;
      await delay(POLL_EVERY_MS);
    }
    const log = readFileSync(this.logFile, 'utf8').slice(-LOG_TAIL_CHARACTERS);
    if (child.exitCode === null && child.signalCode === null) await this.kill9();
    this.#child = null;
    throw new Error(`The hub did not come up. Its log ends with:\n${log}`);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
