import type { Background, Clock } from '../platform.ts';
import { COMMIT_CHARS_MAX, COMMIT_EVENTS_MAX, GATHER_MS } from './limits.ts';
import type { AppendRequest, AppendResult } from './protocol.ts';

interface Waiting {
  request: AppendRequest;
  resolve(result: AppendResult): void;
  reject(error: unknown): void;
}

export interface Committer {
  clock: Clock;
  background: Background;
  /** Decides the requests and commits what they append, in one transaction; throws if it did not commit. */
  commit(requests: AppendRequest[]): AppendResult[];
  /** Resolves when all that was committed so far is durable. */
  durable(): Promise<void>;
  /** Called after a commit is durable, before its requests are answered. */
  committed(): void;
  /** Called when it is not known whether a commit is durable. */
  lost(): void;
}

/**
 * Lets publishes that arrive together share a transaction. One that comes while an earlier one commits waits a
 * millisecond for company; a lone producer never waits. Requests are committed in the order they arrived, and answered
 * when their commit is durable.
 */
export class GroupCommit {
  readonly #committer: Committer;
  #waiting: Waiting[] = [];
  #gathering = false;
  /** Commits that are not durable yet. */
  #open = 0;

  constructor(committer: Committer) {
    this.#committer = committer;
  }

  submit(request: AppendRequest): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (this.#gathering) {
        return;
      }
      if (this.#open === 0) {
        this.#commitWaiting();
        return;
      }
      this.#gathering = true;
      this.#committer.background(this.#gather());
    });
  }

  async #gather(): Promise<void> {
    await this.#committer.clock.sleep(GATHER_MS);
    this.#gathering = false;
    this.#commitWaiting();
  }

  #commitWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let start = 0; start < waiting.length; ) {
      const end = endOfGroup(waiting, start);
      this.#commit(waiting.slice(start, end));
      start = end;
    }
  }

  #commit(group: Waiting[]): void {
    let results: AppendResult[];
    try {
      results = this.#committer.commit(group.map(({ request }) => request));
    } catch (error) {
      const [only] = group;
      if (only !== undefined && group.length === 1) {
        only.reject(error);
        return;
      }
      // Nothing of the group was committed; whoever made it fail fails alone.
      for (const member of group) {
        this.#commit([member]);
      }
      return;
    }
    this.#open += 1;
    this.#committer.background(this.#answer(group, results));
  }

  async #answer(group: Waiting[], results: AppendResult[]): Promise<void> {
    try {
      await this.#committer.durable();
    } catch (error) {
      this.#open -= 1;
      this.#committer.lost();
      for (const { reject } of group) {
        reject(error);
      }
      return;
    }
    this.#open -= 1;
    this.#committer.committed();
    for (const [index, { resolve, reject }] of group.entries()) {
      const result = results[index];
      if (result === undefined) {
        reject(new Error('A commit answered fewer requests than it was given.'));
      } else {
        resolve(result);
      }
    }
  }
}

/** The end of the group that begins at `start`: as many requests as share a commit, at least one. */
function endOfGroup(waiting: Waiting[], start: number): number {
  let events = 0;
  let chars = 0;
  let end = start;
  for (; end < waiting.length; end += 1) {
    const next = waiting[end]?.request.events;
    events += next?.count ?? 0;
    chars += next?.lines.length ?? 0;
    if (end > start && (events > COMMIT_EVENTS_MAX || chars > COMMIT_CHARS_MAX)) {
      break;
    }
  }
  return end;
}
