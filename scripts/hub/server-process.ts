import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { groupIsAlive, signalGroup } from './process-group.ts';

const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 10_000;
const POLL_EVERY_MS = 50;
/** A poll that has no answer by then is given up: wrangler may lose a request that comes while it starts. */
const POLL_TIMEOUT_MS = 5_000;
/** How much of a broken server's log goes into the error. */
const LOG_TAIL_CHARACTERS = 4_000;

export interface ServerOptions {
  /** For its log and for errors. */
  name: string;
  port: number;
  /** Where its state and log are kept. */
  persistTo: string;
  /** A path that answers once it is up, */
  readyPath: string;
  /** and with which status. Before that wrangler itself may answer, or another that has the port. */
  isReady: (status: number) => boolean;
}

/** A server under `wrangler dev` in a process group of its own, so that a kill -9 takes everything of it, workerd too. */
export abstract class ServerProcess {
  readonly url: string;
  readonly persistTo: string;
  protected readonly port: number;
  readonly #name: string;
  readonly #readyPath: string;
  readonly #isReady: (status: number) => boolean;
  #child: ChildProcess | null = null;

  protected constructor({ name, port, persistTo, readyPath, isReady }: ServerOptions) {
    this.#name = name;
    this.#readyPath = readyPath;
    this.#isReady = isReady;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.persistTo = persistTo;
  }

  /** Spawns it, detached, with both outputs to `log`. */
  protected abstract spawn(log: number): ChildProcess;

  /** The process group, to signal or to name to a person. */
  get group(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.#name} is not running.`);
    return pid;
  }

  get logFile(): string {
    return join(this.persistTo, `${this.#name}.log`);
  }

  /**
   * Starts it; again, after `kill9` or `stop`, on the same state and port.
   *
   * @throws with the end of its log if it doesn't come up.
   */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error(`${this.#name} is running already.`);
    mkdirSync(this.persistTo, { recursive: true });
    const log = openSync(this.logFile, 'a');
    const child = this.spawn(log);
    closeSync(log);
    this.#child = child;
    await this.#ready(child);
  }

  /** kill -9 of everything at once: no process of it runs another instruction. Nothing if it isn't running. */
  async kill9(): Promise<void> {
    if (this.#child !== null) await this.#end('SIGKILL');
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

  /** The end of its log. */
  logTail(): string {
    return readFileSync(this.logFile, 'utf8').slice(-LOG_TAIL_CHARACTERS);
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { group } = this;
    signalGroup(group, signal);
    const deadline = Date.now() + STOP_WITHIN_MS;
    while (groupIsAlive(group)) {
      if (Date.now() > deadline) throw new Error(`The processes of ${this.#name} outlive ${signal}.`);
      await delay(POLL_EVERY_MS);
    }
    this.#child = null;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
      const answer = await fetch(this.url + this.#readyPath, { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) }).catch(
        () => null,
      );
      await answer?.body?.cancel();
      if (answer !== null && this.#isReady(answer.status)) return;
      await delay(POLL_EVERY_MS);
    }
    const log = this.logTail();
    if (child.exitCode === null && child.signalCode === null) await this.kill9();
    this.#child = null;
    throw new Error(`${this.#name} did not come up. Its log ends with:\n${log}`);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
