// Made by `npm run client` from the schemas of src/http; a test says when it has to be run again.

/**
 * Every refusal of the hub.
 */
export type ProblemCode =
  | 'invalid-json'
  | 'invalid-request'
  | 'invalid-event'
  | 'invalid-range'
  | 'incomplete-body'
  | 'filter-required'
  | 'not-supported-yet'
  | 'position-ahead'
  | 'url-not-allowed'
  | 'unauthorized'
  | 'forbidden'
  | 'reserved-topic'
  | 'not-found'
  | 'unknown-topic'
  | 'unknown-event'
  | 'unknown-subscription'
  | 'unknown-replay'
  | 'unknown-dead-letter'
  | 'unknown-handshake'
  | 'unknown-key'
  | 'method-not-allowed'
  | 'event-id-conflict'
  | 'key-exists'
  | 'request-in-progress'
  | 'subscription-exists'
  | 'topic-has-subscriptions'
  | 'topic-not-subscribed'
  | 'wrong-delivery-kind'
  | 'no-webhook'
  | 'not-redrivable'
  | 'replay-ended'
  | 'sequence-expired'
  | 'precondition-failed'
  | 'wrong-expected-sequence'
  | 'payload-too-large'
  | 'unsupported-media-type'
  | 'idempotency-key-reused'
  | 'quota-exceeded'
  | 'internal-error'
  | 'config-incomplete'
  | 'not-configured'
  | 'secret-unreadable'
  | 'not-migrated'
  | 'unavailable'
  | 'topic-full';

/**
 * Each route: what its path and query take, its body, and what it answers.
 */
export interface Routes {
  'POST /v1/topics/{topic}/events': {
    params: {
      /**
       * A name.
       */
      topic: string;
    };
    query: {};
    body: ShortEvent | ShortEvent[];
    answer: Receipts;
  };
  'GET /v1/topics/{topic}/events': {
    params: {
      /**
       * A name.
       */
      topic: string;
    };
    query: {
      /**
       * A token of POST /v1/tokens, where no header can be sent.
       */
      token?: string;
      /**
       * A position; `earliest` by default.
       */
      from?: string;
      /**
       * A sequence: start with the one after it.
       */
      after?: number;
      since?: string;
      /**
       * The end of the range, inclusive.
       */
      until?: string;
      /**
       * How many at most; a stream, which has no limit without it, counts afresh whenever its reader comes back.
       */
      limit?: number;
      /**
       * Exact; may be repeated.
       */
      type?: string[];
      /**
       * Exact; may be repeated.
       */
      source?: string[];
      /**
       * Exact; may be repeated.
       */
      subject?: string[];
      /**
       * CEL; an event that it fails on is left out. A filtered page may be empty with `next` set.
       */
      filter?: string;
      order?: 'asc' | 'desc';
      /**
       * How long to wait for a first event, at most 60s.
       */
      wait?: string;
    };
    answer: {
      events: Event[];
      /**
       * Pass it as `after` (with `order=desc`: as `until`); null: the range is done.
       */
      next: number | null;
      lastSequence: number;
    };
  };
  'GET /v1/topics/{topic}/events/{sequence}': {
    params: {
      /**
       * A name.
       */
      topic: string;
      sequence: number;
    };
    query: {};
    answer: Event;
  };
  'GET /v1/topics/{topic}/events/{sequence}/deliveries': {
    params: {
      /**
       * A name.
       */
      topic: string;
      sequence: number;
    };
    query: {
      /**
       * How many at most: 1 to 1000, 50 by default.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
      /**
       * A token of POST /v1/tokens, where no header can be sent.
       */
      token?: string;
    };
    answer: {
      items: {
        subscription: string;
        status:
          | 'pending'
          | 'held'
          | 'delivering'
          | 'retrying'
          | 'delivered'
          | 'dead'
          | 'filtered'
          | 'not-subscribed'
          | 'skipped'
          | 'discarded';
        attempts: number;
        lastStatus: number | null;
        lastError: string | null;
        nextAttemptAt: string | null;
        settledAt: string | null;
        /**
         * The dead letter's id.
         */
        deadLetter: string | null;
      }[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'PUT /v1/topics/{topic}': {
    params: {
      /**
       * A name.
       */
      topic: string;
    };
    query: {};
    body?: {
      description?: string;
      /**
       * How long the pair (`source`, `id`) is remembered.
       */
      deduplicationWindow?: string;
      retention?: {
        maxAge?: null;
        maxEvents?: null;
        maxBytes?: null;
      } | null;
      validation?: 'off';
      compaction?: false;
      partitions?: 1;
    };
    answer: Topic;
  };
  'GET /v1/topics/{topic}': {
    params: {
      /**
       * A name.
       */
      topic: string;
    };
    query: {};
    answer: Topic;
  };
  'DELETE /v1/topics/{topic}': {
    params: {
      /**
       * A name.
       */
      topic: string;
    };
    query: {
      /**
       * Also where a subscription names it; what is pending becomes dead letters `expired`.
       */
      force?: boolean;
    };
    answer: null;
  };
  'GET /v1/topics': {
    params: {};
    query: {
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: Topic[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'GET /v1/subscriptions': {
    params: {};
    query: {
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: {
        name: string;
        topics: string[];
        from: string | number;
        filter: {
          types: string[];
          cel: string | null;
        } | null;
        transform: {
          data: string | null;
          headers: string | null;
          path: string | null;
        } | null;
        ordering: 'none' | 'key' | 'topic';
        maxInFlight: number;
        retry: {
          schedule: string[];
          jitter: number;
        };
        disableAfter: string;
        attempts: {
          maxCount: number;
          maxAge: string;
        };
        delivery:
          | {
              kind: 'webhook';
              url: string;
              format: 'structured' | 'binary' | 'batch' | 'data';
              timeout: string;
              headers: {
                [k: string]: string;
              };
              /**
               * Only in the 201.
               */
              secret?: string;
              rateLimit:
                | (
                    | {
                        perSecond: number;
                      }
                    | {
                        perMinute: number;
                      }
                  )
                | null;
              maxBatch: number;
              handshake: boolean;
            }
          | {
              kind: 'queue';
              binding: string;
              confirm: boolean;
              ackDeadline: string;
              rateLimit:
                | (
                    | {
                        perSecond: number;
                      }
                    | {
                        perMinute: number;
                      }
                  )
                | null;
            }
          | {
              kind: 'service';
              binding: string;
              /**
               * What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.
               */
              call: 'rpc' | 'fetch';
              timeout: string;
              maxBatch: number;
              rateLimit:
                | (
                    | {
                        perSecond: number;
                      }
                    | {
                        perMinute: number;
                      }
                  )
                | null;
            }
          | {
              kind: 'pull';
              ackDeadline: string;
              maxDeliveries: number;
            };
        /**
         * `pending`: the receiver has not consented.
         */
        status: 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';
        /**
         * Why it is disabled, pending or in error: nothing is lost, and it goes on when that is put right.
         */
        reason: string | null;
        createdAt: string;
        updatedAt: string;
        /**
         * How many topics did not answer in time: they count in `lag`, `waiting` and `lagSeconds` as if nothing more were in them.
         */
        unanswered: number;
        lag: number;
        /**
         * Not yet examined.
         */
        waiting: number;
        /**
         * `inFlight` + `retrying` + `held`.
         */
        pending: number;
        inFlight: number;
        retrying: number;
        held: number;
        /**
         * Events, each once.
         */
        delivered: number;
        /**
         * Attempts.
         */
        failed: number;
        /**
         * Open dead letters.
         */
        dead: number;
        filtered: number;
        skipped: number;
        discarded: number;
        /**
         * How many dead letters it has made, by reason, whatever became of them: replays’ too, and what died again.
         */
        deaths: {
          [k: string]: number;
        };
        /**
         * The lowest sequence neither settled nor filtered, minus 1; null with several topics.
         */
        cursor: number | null;
        /**
         * The age of the oldest event neither settled nor filtered; 0: there is none, null: not known.
         */
        lagSeconds: number | null;
        /**
         * Of the attempts of the last hour, in milliseconds, as near as the classes tell that they are counted in.
         */
        latency: {
          p50: number | null;
          p99: number | null;
        };
        /**
         * The part of the attempts that was delivered, from 0 to 1, of the last hour and the last day; null: there was none.
         */
        successRate: {
          hour: number | null;
          day: number | null;
        };
        /**
         * How many attempts that were. Replays and redrives are among them.
         */
        attempted: {
          hour: number;
          day: number;
        };
        /**
         * How the receiver does.
         */
        health: {
          /**
           * `slowed`: the receiver pushed back (429, 502, 503, 504), so that less is sent at a time; `failing`: one probe at a time is sent, the rest waits.
           */
          state: 'healthy' | 'slowed' | 'failing';
          /**
           * Deliveries that may be under way: `maxInFlight`, or fewer.
           */
          concurrency: number;
          /**
           * Since when it has not been healthy.
           */
          since: string | null;
          /**
           * While failing: when the receiver is tried again.
           */
          nextProbeAt: string | null;
          /**
           * The receiver asked (`Retry-After`) that nothing starts before.
           */
          retryAfter: string | null;
        };
      }[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'PUT /v1/subscriptions/{name}': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body: SubscriptionConfig;
    answer: {
      name: string;
      topics: string[];
      from: string | number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      transform: {
        data: string | null;
        headers: string | null;
        path: string | null;
      } | null;
      ordering: 'none' | 'key' | 'topic';
      maxInFlight: number;
      retry: {
        schedule: string[];
        jitter: number;
      };
      disableAfter: string;
      attempts: {
        maxCount: number;
        maxAge: string;
      };
      delivery:
        | {
            kind: 'webhook';
            url: string;
            format: 'structured' | 'binary' | 'batch' | 'data';
            timeout: string;
            headers: {
              [k: string]: string;
            };
            /**
             * Only in the 201.
             */
            secret?: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
            maxBatch: number;
            handshake: boolean;
          }
        | {
            kind: 'queue';
            binding: string;
            confirm: boolean;
            ackDeadline: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'service';
            binding: string;
            /**
             * What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.
             */
            call: 'rpc' | 'fetch';
            timeout: string;
            maxBatch: number;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'pull';
            ackDeadline: string;
            maxDeliveries: number;
          };
      /**
       * `pending`: the receiver has not consented.
       */
      status: 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';
      /**
       * Why it is disabled, pending or in error: nothing is lost, and it goes on when that is put right.
       */
      reason: string | null;
      createdAt: string;
      updatedAt: string;
      /**
       * How many topics did not answer in time: they count in `lag`, `waiting` and `lagSeconds` as if nothing more were in them.
       */
      unanswered: number;
      lag: number;
      /**
       * Not yet examined.
       */
      waiting: number;
      /**
       * `inFlight` + `retrying` + `held`.
       */
      pending: number;
      inFlight: number;
      retrying: number;
      held: number;
      /**
       * Events, each once.
       */
      delivered: number;
      /**
       * Attempts.
       */
      failed: number;
      /**
       * Open dead letters.
       */
      dead: number;
      filtered: number;
      skipped: number;
      discarded: number;
      /**
       * How many dead letters it has made, by reason, whatever became of them: replays’ too, and what died again.
       */
      deaths: {
        [k: string]: number;
      };
      /**
       * The lowest sequence neither settled nor filtered, minus 1; null with several topics.
       */
      cursor: number | null;
      /**
       * The age of the oldest event neither settled nor filtered; 0: there is none, null: not known.
       */
      lagSeconds: number | null;
      /**
       * Of the attempts of the last hour, in milliseconds, as near as the classes tell that they are counted in.
       */
      latency: {
        p50: number | null;
        p99: number | null;
      };
      /**
       * The part of the attempts that was delivered, from 0 to 1, of the last hour and the last day; null: there was none.
       */
      successRate: {
        hour: number | null;
        day: number | null;
      };
      /**
       * How many attempts that were. Replays and redrives are among them.
       */
      attempted: {
        hour: number;
        day: number;
      };
      /**
       * How the receiver does.
       */
      health: {
        /**
         * `slowed`: the receiver pushed back (429, 502, 503, 504), so that less is sent at a time; `failing`: one probe at a time is sent, the rest waits.
         */
        state: 'healthy' | 'slowed' | 'failing';
        /**
         * Deliveries that may be under way: `maxInFlight`, or fewer.
         */
        concurrency: number;
        /**
         * Since when it has not been healthy.
         */
        since: string | null;
        /**
         * While failing: when the receiver is tried again.
         */
        nextProbeAt: string | null;
        /**
         * The receiver asked (`Retry-After`) that nothing starts before.
         */
        retryAfter: string | null;
      };
    };
  };
  'GET /v1/subscriptions/{name}': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    answer: {
      name: string;
      topics: string[];
      from: string | number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      transform: {
        data: string | null;
        headers: string | null;
        path: string | null;
      } | null;
      ordering: 'none' | 'key' | 'topic';
      maxInFlight: number;
      retry: {
        schedule: string[];
        jitter: number;
      };
      disableAfter: string;
      attempts: {
        maxCount: number;
        maxAge: string;
      };
      delivery:
        | {
            kind: 'webhook';
            url: string;
            format: 'structured' | 'binary' | 'batch' | 'data';
            timeout: string;
            headers: {
              [k: string]: string;
            };
            /**
             * Only in the 201.
             */
            secret?: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
            maxBatch: number;
            handshake: boolean;
          }
        | {
            kind: 'queue';
            binding: string;
            confirm: boolean;
            ackDeadline: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'service';
            binding: string;
            /**
             * What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.
             */
            call: 'rpc' | 'fetch';
            timeout: string;
            maxBatch: number;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'pull';
            ackDeadline: string;
            maxDeliveries: number;
          };
      /**
       * `pending`: the receiver has not consented.
       */
      status: 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';
      /**
       * Why it is disabled, pending or in error: nothing is lost, and it goes on when that is put right.
       */
      reason: string | null;
      createdAt: string;
      updatedAt: string;
      /**
       * How many topics did not answer in time: they count in `lag`, `waiting` and `lagSeconds` as if nothing more were in them.
       */
      unanswered: number;
      lag: number;
      /**
       * Not yet examined.
       */
      waiting: number;
      /**
       * `inFlight` + `retrying` + `held`.
       */
      pending: number;
      inFlight: number;
      retrying: number;
      held: number;
      /**
       * Events, each once.
       */
      delivered: number;
      /**
       * Attempts.
       */
      failed: number;
      /**
       * Open dead letters.
       */
      dead: number;
      filtered: number;
      skipped: number;
      discarded: number;
      /**
       * How many dead letters it has made, by reason, whatever became of them: replays’ too, and what died again.
       */
      deaths: {
        [k: string]: number;
      };
      /**
       * The lowest sequence neither settled nor filtered, minus 1; null with several topics.
       */
      cursor: number | null;
      /**
       * The age of the oldest event neither settled nor filtered; 0: there is none, null: not known.
       */
      lagSeconds: number | null;
      /**
       * Of the attempts of the last hour, in milliseconds, as near as the classes tell that they are counted in.
       */
      latency: {
        p50: number | null;
        p99: number | null;
      };
      /**
       * The part of the attempts that was delivered, from 0 to 1, of the last hour and the last day; null: there was none.
       */
      successRate: {
        hour: number | null;
        day: number | null;
      };
      /**
       * How many attempts that were. Replays and redrives are among them.
       */
      attempted: {
        hour: number;
        day: number;
      };
      /**
       * How the receiver does.
       */
      health: {
        /**
         * `slowed`: the receiver pushed back (429, 502, 503, 504), so that less is sent at a time; `failing`: one probe at a time is sent, the rest waits.
         */
        state: 'healthy' | 'slowed' | 'failing';
        /**
         * Deliveries that may be under way: `maxInFlight`, or fewer.
         */
        concurrency: number;
        /**
         * Since when it has not been healthy.
         */
        since: string | null;
        /**
         * While failing: when the receiver is tried again.
         */
        nextProbeAt: string | null;
        /**
         * The receiver asked (`Retry-After`) that nothing starts before.
         */
        retryAfter: string | null;
      };
    };
  };
  'DELETE /v1/subscriptions/{name}': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    answer: null;
  };
  'GET /v1/subscriptions/{name}/topics': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: {
        topic: string;
        status: 'attaching' | 'active';
        cursor: number;
        /**
         * Null: not known, as the topic does not answer.
         */
        lastSequence: number | null;
        /**
         * Null: not known, as the topic does not answer.
         */
        lag: number | null;
        pending: number;
      }[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'POST /v1/subscriptions/{name}/pause': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    answer: {
      name: string;
      topics: string[];
      from: string | number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      transform: {
        data: string | null;
        headers: string | null;
        path: string | null;
      } | null;
      ordering: 'none' | 'key' | 'topic';
      maxInFlight: number;
      retry: {
        schedule: string[];
        jitter: number;
      };
      disableAfter: string;
      attempts: {
        maxCount: number;
        maxAge: string;
      };
      delivery:
        | {
            kind: 'webhook';
            url: string;
            format: 'structured' | 'binary' | 'batch' | 'data';
            timeout: string;
            headers: {
              [k: string]: string;
            };
            /**
             * Only in the 201.
             */
            secret?: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
            maxBatch: number;
            handshake: boolean;
          }
        | {
            kind: 'queue';
            binding: string;
            confirm: boolean;
            ackDeadline: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'service';
            binding: string;
            /**
             * What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.
             */
            call: 'rpc' | 'fetch';
            timeout: string;
            maxBatch: number;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'pull';
            ackDeadline: string;
            maxDeliveries: number;
          };
      /**
       * `pending`: the receiver has not consented.
       */
      status: 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';
      /**
       * Why it is disabled, pending or in error: nothing is lost, and it goes on when that is put right.
       */
      reason: string | null;
      createdAt: string;
      updatedAt: string;
      /**
       * How many topics did not answer in time: they count in `lag`, `waiting` and `lagSeconds` as if nothing more were in them.
       */
      unanswered: number;
      lag: number;
      /**
       * Not yet examined.
       */
      waiting: number;
      /**
       * `inFlight` + `retrying` + `held`.
       */
      pending: number;
      inFlight: number;
      retrying: number;
      held: number;
      /**
       * Events, each once.
       */
      delivered: number;
      /**
       * Attempts.
       */
      failed: number;
      /**
       * Open dead letters.
       */
      dead: number;
      filtered: number;
      skipped: number;
      discarded: number;
      /**
       * How many dead letters it has made, by reason, whatever became of them: replays’ too, and what died again.
       */
      deaths: {
        [k: string]: number;
      };
      /**
       * The lowest sequence neither settled nor filtered, minus 1; null with several topics.
       */
      cursor: number | null;
      /**
       * The age of the oldest event neither settled nor filtered; 0: there is none, null: not known.
       */
      lagSeconds: number | null;
      /**
       * Of the attempts of the last hour, in milliseconds, as near as the classes tell that they are counted in.
       */
      latency: {
        p50: number | null;
        p99: number | null;
      };
      /**
       * The part of the attempts that was delivered, from 0 to 1, of the last hour and the last day; null: there was none.
       */
      successRate: {
        hour: number | null;
        day: number | null;
      };
      /**
       * How many attempts that were. Replays and redrives are among them.
       */
      attempted: {
        hour: number;
        day: number;
      };
      /**
       * How the receiver does.
       */
      health: {
        /**
         * `slowed`: the receiver pushed back (429, 502, 503, 504), so that less is sent at a time; `failing`: one probe at a time is sent, the rest waits.
         */
        state: 'healthy' | 'slowed' | 'failing';
        /**
         * Deliveries that may be under way: `maxInFlight`, or fewer.
         */
        concurrency: number;
        /**
         * Since when it has not been healthy.
         */
        since: string | null;
        /**
         * While failing: when the receiver is tried again.
         */
        nextProbeAt: string | null;
        /**
         * The receiver asked (`Retry-After`) that nothing starts before.
         */
        retryAfter: string | null;
      };
    };
  };
  'POST /v1/subscriptions/{name}/resume': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    answer: {
      name: string;
      topics: string[];
      from: string | number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      transform: {
        data: string | null;
        headers: string | null;
        path: string | null;
      } | null;
      ordering: 'none' | 'key' | 'topic';
      maxInFlight: number;
      retry: {
        schedule: string[];
        jitter: number;
      };
      disableAfter: string;
      attempts: {
        maxCount: number;
        maxAge: string;
      };
      delivery:
        | {
            kind: 'webhook';
            url: string;
            format: 'structured' | 'binary' | 'batch' | 'data';
            timeout: string;
            headers: {
              [k: string]: string;
            };
            /**
             * Only in the 201.
             */
            secret?: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
            maxBatch: number;
            handshake: boolean;
          }
        | {
            kind: 'queue';
            binding: string;
            confirm: boolean;
            ackDeadline: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'service';
            binding: string;
            /**
             * What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.
             */
            call: 'rpc' | 'fetch';
            timeout: string;
            maxBatch: number;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'pull';
            ackDeadline: string;
            maxDeliveries: number;
          };
      /**
       * `pending`: the receiver has not consented.
       */
      status: 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';
      /**
       * Why it is disabled, pending or in error: nothing is lost, and it goes on when that is put right.
       */
      reason: string | null;
      createdAt: string;
      updatedAt: string;
      /**
       * How many topics did not answer in time: they count in `lag`, `waiting` and `lagSeconds` as if nothing more were in them.
       */
      unanswered: number;
      lag: number;
      /**
       * Not yet examined.
       */
      waiting: number;
      /**
       * `inFlight` + `retrying` + `held`.
       */
      pending: number;
      inFlight: number;
      retrying: number;
      held: number;
      /**
       * Events, each once.
       */
      delivered: number;
      /**
       * Attempts.
       */
      failed: number;
      /**
       * Open dead letters.
       */
      dead: number;
      filtered: number;
      skipped: number;
      discarded: number;
      /**
       * How many dead letters it has made, by reason, whatever became of them: replays’ too, and what died again.
       */
      deaths: {
        [k: string]: number;
      };
      /**
       * The lowest sequence neither settled nor filtered, minus 1; null with several topics.
       */
      cursor: number | null;
      /**
       * The age of the oldest event neither settled nor filtered; 0: there is none, null: not known.
       */
      lagSeconds: number | null;
      /**
       * Of the attempts of the last hour, in milliseconds, as near as the classes tell that they are counted in.
       */
      latency: {
        p50: number | null;
        p99: number | null;
      };
      /**
       * The part of the attempts that was delivered, from 0 to 1, of the last hour and the last day; null: there was none.
       */
      successRate: {
        hour: number | null;
        day: number | null;
      };
      /**
       * How many attempts that were. Replays and redrives are among them.
       */
      attempted: {
        hour: number;
        day: number;
      };
      /**
       * How the receiver does.
       */
      health: {
        /**
         * `slowed`: the receiver pushed back (429, 502, 503, 504), so that less is sent at a time; `failing`: one probe at a time is sent, the rest waits.
         */
        state: 'healthy' | 'slowed' | 'failing';
        /**
         * Deliveries that may be under way: `maxInFlight`, or fewer.
         */
        concurrency: number;
        /**
         * Since when it has not been healthy.
         */
        since: string | null;
        /**
         * While failing: when the receiver is tried again.
         */
        nextProbeAt: string | null;
        /**
         * The receiver asked (`Retry-After`) that nothing starts before.
         */
        retryAfter: string | null;
      };
    };
  };
  'POST /v1/subscriptions/{name}/seek': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body: {
      /**
       * A name.
       */
      topic?: string;
      /**
       * A place in a topic: "earliest", "latest", a sequence number, or a time
       */
      to:
        | string
        | number
        | {
            sequence: number;
          }
        | {
            time: string;
          };
    };
    answer: {
      topics: {
        topic: string;
        cursor: number;
        skipped: number;
      }[];
    };
  };
  'POST /v1/subscriptions/{name}/test': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    answer: {
      /**
       * It was taken: of a queue by the queue, which is all that is heard of it.
       */
      ok: boolean;
      /**
       * Null where nothing was answered by HTTP.
       */
      status: number | null;
      latencyMs: number;
      body: string;
      error: string | null;
      /**
       * As it was sent; `…` stands for what may be secret, as in the attempts. Null of other kinds than `webhook`.
       */
      request: {
        url: string;
        headers: {
          [k: string]: string;
        };
      } | null;
    };
  };
  'GET /v1/subscriptions/{name}/secret': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    answer: {
      secret: string;
      /**
       * `whpk_…`, for receivers to verify by; of a `whsk_…` only.
       */
      publicKey?: string;
      previous?: {
        secret: string;
        /**
         * `whpk_…`, for receivers to verify by; of a `whsk_…` only.
         */
        publicKey?: string;
        expiresAt: string;
      };
    };
  };
  'POST /v1/subscriptions/{name}/rotate-secret': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body?: {
      /**
       * A duration between 0s and 30d
       */
      overlap?: string;
      /**
       * `v1`: HMAC-SHA256, a `whsec_…`; `v1a`: Ed25519, a `whsk_…`. The kind of the present secret if absent.
       */
      signature?: 'v1' | 'v1a';
    };
    answer: {
      secret: string;
      /**
       * `whpk_…`, for receivers to verify by; of a `whsk_…` only.
       */
      publicKey?: string;
      previousExpiresAt: string;
    };
  };
  'GET /v1/subscriptions/{name}/attempts': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {
      /**
       * An HTTP status or an outcome.
       */
      status?: string;
      /**
       * A name.
       */
      topic?: string;
      sequence?: number;
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: {
        topic: string;
        sequence: number;
        attempt: number;
        at: string;
        status: number | null;
        outcome: 'delivered' | 'failed' | 'timeout' | 'network';
        latencyMs: number;
        /**
         * The first KiB.
         */
        response: string;
        error: string | null;
        replay: string | null;
        /**
         * When the answer began, or the attempt failed.
         */
        endedAt: string;
        /**
         * What was sent, as it was sent then. `…` stands for what may be secret: a signature, a header of the subscription’s own, a value in the query. Null: nothing was sent, or it is not known.
         */
        request: {
          url: string;
          headers: {
            [k: string]: string;
          };
        } | null;
      }[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'POST /v1/subscriptions/{name}/preview': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body: {
      /**
       * As it would be published.
       */
      event?: {
        [k: string]: unknown;
      };
      /**
       * Of an event that is stored.
       */
      topic?: string;
      /**
       * And this.
       */
      sequence?: number;
    };
    answer: {
      /**
       * Whether the filter lets it through.
       */
      matches: boolean;
      /**
       * What failed, in the filter, the transform, the URL or the binding: of an expression, a dead letter would say so.
       */
      error: string | null;
      /**
       * As it would go out now, signature included; configured credentials are left out. Null of other kinds than `webhook`.
       */
      request: {
        method: 'POST';
        url: string;
        headers: {
          [k: string]: string;
        };
        body: string;
        bodyEncoding: 'utf-8' | 'base64';
      } | null;
      /**
       * What its consumer would be handed; `…` stands for an ack id and a seal. Absent of the kind `webhook`.
       */
      delivery?:
        | (
            | {
                v: 1;
                subscription: string;
                topic: string;
                /**
                 * 0 of an event that is not stored.
                 */
                sequence: number;
                /**
                 * 1 for the first.
                 */
                attempt: number;
                /**
                 * The replay it comes from; null: it does not.
                 */
                replay: string | null;
                /**
                 * It was a dead letter, and comes again beside the order of what is live.
                 */
                redriven: boolean;
                /**
                 * The CloudEvent, structured.
                 */
                event: {
                  [k: string]: unknown;
                };
              }
            | {
                v: 1;
                subscription: string;
                topic: string;
                /**
                 * 0 of an event that is not stored.
                 */
                sequence: number;
                /**
                 * 1 for the first.
                 */
                attempt: number;
                /**
                 * The replay it comes from; null: it does not.
                 */
                replay: string | null;
                /**
                 * It was a dead letter, and comes again beside the order of what is live.
                 */
                redriven: boolean;
                /**
                 * Absent where it is too large for a message: a claim check.
                 */
                event?: {
                  [k: string]: unknown;
                };
                /**
                 * When it was given to the queue, milliseconds since the epoch.
                 */
                sentAt: number;
                /**
                 * By which it is confirmed, where the subscription wants that.
                 */
                ackId?: string;
                /**
                 * By which the hub knows what its dead letter queue brings back.
                 */
                seal?: string;
              }
            | {
                /**
                 * Opaque; names this delivery until it is settled or its deadline is over.
                 */
                ackId: string;
                /**
                 * 1 for the first.
                 */
                attempt: number;
                /**
                 * The replay that it is of.
                 */
                replay: string | null;
                /**
                 * It was a dead letter.
                 */
                redriven: boolean;
                /**
                 * The CloudEvent, structured.
                 */
                event: {
                  [k: string]: unknown;
                };
              }
          )
        | null;
    };
  };
  'POST /v1/subscriptions/{name}/pull': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body?: {
      max?: number;
      /**
       * How long to wait for a first event, at most 60s.
       */
      wait?: string;
    };
    answer: {
      deliveries: {
        /**
         * Opaque; names this delivery until it is settled or its deadline is over.
         */
        ackId: string;
        /**
         * 1 for the first.
         */
        attempt: number;
        /**
         * The replay that it is of.
         */
        replay: string | null;
        /**
         * It was a dead letter.
         */
        redriven: boolean;
        /**
         * The CloudEvent, structured.
         */
        event: {
          [k: string]: unknown;
        };
      }[];
      /**
       * So long each of them is held.
       */
      ackDeadline: string;
    };
  };
  'POST /v1/subscriptions/{name}/ack': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body: {
      ackIds: string[];
    };
    answer: {
      results: {
        ackId: string;
        ok: boolean;
        /**
         * `invalid-ack-id`: no ack id looks like that; `stale-ack-id`: not, or no longer, one of this subscription: settled, or handed out again since; `held-too-long`: it can not be extended so far.
         */
        code?: 'invalid-ack-id' | 'stale-ack-id' | 'held-too-long';
      }[];
    };
  };
  'POST /v1/subscriptions/{name}/nack': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body: {
      ackIds: string[];
      /**
       * A duration between 0s and 12h
       */
      delay?: string;
      /**
       * Kept as the last error.
       */
      reason?: string;
      reject?: boolean;
    };
    answer: {
      results: {
        ackId: string;
        ok: boolean;
        /**
         * `invalid-ack-id`: no ack id looks like that; `stale-ack-id`: not, or no longer, one of this subscription: settled, or handed out again since; `held-too-long`: it can not be extended so far.
         */
        code?: 'invalid-ack-id' | 'stale-ack-id' | 'held-too-long';
      }[];
    };
  };
  'POST /v1/subscriptions/{name}/extend': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body: {
      ackIds: string[];
      /**
       * A duration between 0s and 12h
       */
      by: string;
    };
    answer: {
      results: {
        ackId: string;
        ok: boolean;
        /**
         * `invalid-ack-id`: no ack id looks like that; `stale-ack-id`: not, or no longer, one of this subscription: settled, or handed out again since; `held-too-long`: it can not be extended so far.
         */
        code?: 'invalid-ack-id' | 'stale-ack-id' | 'held-too-long';
      }[];
    };
  };
  'GET /v1/subscriptions/{name}/handshake/{token}': {
    params: {
      /**
       * A name.
       */
      name: string;
      token: string;
    };
    query: {};
    answer: {
      subscription: string;
      consent: 'given';
    };
  };
  'POST /v1/subscriptions/{name}/handshake/{token}': {
    params: {
      /**
       * A name.
       */
      name: string;
      token: string;
    };
    query: {};
    answer: {
      subscription: string;
      consent: 'given';
    };
  };
  'PUT /v1/alerts/{name}': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    body: Alert;
    answer: {
      name: string;
      topics: string[];
      from: string | number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      transform: {
        data: string | null;
        headers: string | null;
        path: string | null;
      } | null;
      ordering: 'none' | 'key' | 'topic';
      maxInFlight: number;
      retry: {
        schedule: string[];
        jitter: number;
      };
      disableAfter: string;
      attempts: {
        maxCount: number;
        maxAge: string;
      };
      delivery:
        | {
            kind: 'webhook';
            url: string;
            format: 'structured' | 'binary' | 'batch' | 'data';
            timeout: string;
            headers: {
              [k: string]: string;
            };
            /**
             * Only in the 201.
             */
            secret?: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
            maxBatch: number;
            handshake: boolean;
          }
        | {
            kind: 'queue';
            binding: string;
            confirm: boolean;
            ackDeadline: string;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'service';
            binding: string;
            /**
             * What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.
             */
            call: 'rpc' | 'fetch';
            timeout: string;
            maxBatch: number;
            rateLimit:
              | (
                  | {
                      perSecond: number;
                    }
                  | {
                      perMinute: number;
                    }
                )
              | null;
          }
        | {
            kind: 'pull';
            ackDeadline: string;
            maxDeliveries: number;
          };
      /**
       * `pending`: the receiver has not consented.
       */
      status: 'attaching' | 'pending' | 'active' | 'paused' | 'disabled' | 'error';
      /**
       * Why it is disabled, pending or in error: nothing is lost, and it goes on when that is put right.
       */
      reason: string | null;
      createdAt: string;
      updatedAt: string;
      /**
       * How many topics did not answer in time: they count in `lag`, `waiting` and `lagSeconds` as if nothing more were in them.
       */
      unanswered: number;
      lag: number;
      /**
       * Not yet examined.
       */
      waiting: number;
      /**
       * `inFlight` + `retrying` + `held`.
       */
      pending: number;
      inFlight: number;
      retrying: number;
      held: number;
      /**
       * Events, each once.
       */
      delivered: number;
      /**
       * Attempts.
       */
      failed: number;
      /**
       * Open dead letters.
       */
      dead: number;
      filtered: number;
      skipped: number;
      discarded: number;
      /**
       * How many dead letters it has made, by reason, whatever became of them: replays’ too, and what died again.
       */
      deaths: {
        [k: string]: number;
      };
      /**
       * The lowest sequence neither settled nor filtered, minus 1; null with several topics.
       */
      cursor: number | null;
      /**
       * The age of the oldest event neither settled nor filtered; 0: there is none, null: not known.
       */
      lagSeconds: number | null;
      /**
       * Of the attempts of the last hour, in milliseconds, as near as the classes tell that they are counted in.
       */
      latency: {
        p50: number | null;
        p99: number | null;
      };
      /**
       * The part of the attempts that was delivered, from 0 to 1, of the last hour and the last day; null: there was none.
       */
      successRate: {
        hour: number | null;
        day: number | null;
      };
      /**
       * How many attempts that were. Replays and redrives are among them.
       */
      attempted: {
        hour: number;
        day: number;
      };
      /**
       * How the receiver does.
       */
      health: {
        /**
         * `slowed`: the receiver pushed back (429, 502, 503, 504), so that less is sent at a time; `failing`: one probe at a time is sent, the rest waits.
         */
        state: 'healthy' | 'slowed' | 'failing';
        /**
         * Deliveries that may be under way: `maxInFlight`, or fewer.
         */
        concurrency: number;
        /**
         * Since when it has not been healthy.
         */
        since: string | null;
        /**
         * While failing: when the receiver is tried again.
         */
        nextProbeAt: string | null;
        /**
         * The receiver asked (`Retry-After`) that nothing starts before.
         */
        retryAfter: string | null;
      };
    };
  };
  'POST /v1/topics/{topic}/replays': {
    params: {
      /**
       * A name.
       */
      topic: string;
    };
    query: {};
    body: {
      /**
       * Read-only: must be the topic in the path.
       */
      topic?: string;
      /**
       * A name.
       */
      subscription: string;
      /**
       * A place in a topic: "earliest", "latest", a sequence number, or a time
       */
      from:
        | string
        | number
        | {
            sequence: number;
          }
        | {
            time: string;
          };
      /**
       * A place in a topic: "earliest", "latest", a sequence number, or a time
       */
      to?:
        | string
        | number
        | {
            sequence: number;
          }
        | {
            time: string;
          };
      filter?: {
        /**
         * Event types; `*` is any run of characters, dots too.
         */
        types?: string[];
        /**
         * CEL over the event; a field that it does not have is no match.
         */
        cel?: string | null;
      } | null;
      rateLimit?:
        | (
            | {
                perSecond: number;
              }
            | {
                perMinute: number;
              }
          )
        | null;
    };
    answer: {
      id: string;
      topic: string;
      subscription: string;
      status: 'running' | 'done' | 'cancelled' | 'failed';
      from: number;
      to: number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      rateLimit:
        | (
            | {
                perSecond: number;
              }
            | {
                perMinute: number;
              }
          )
        | null;
      /**
       * Sequences: `delivered` + `failed` + `filtered` + `remaining`.
       */
      total: number;
      delivered: number;
      /**
       * Events that died.
       */
      failed: number;
      filtered: number;
      remaining: number;
      createdAt: string;
      endedAt: string | null;
      error: string | null;
    };
  };
  'GET /v1/replays': {
    params: {};
    query: {
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: {
        id: string;
        topic: string;
        subscription: string;
        status: 'running' | 'done' | 'cancelled' | 'failed';
        from: number;
        to: number;
        filter: {
          types: string[];
          cel: string | null;
        } | null;
        rateLimit:
          | (
              | {
                  perSecond: number;
                }
              | {
                  perMinute: number;
                }
            )
          | null;
        /**
         * Sequences: `delivered` + `failed` + `filtered` + `remaining`.
         */
        total: number;
        delivered: number;
        /**
         * Events that died.
         */
        failed: number;
        filtered: number;
        remaining: number;
        createdAt: string;
        endedAt: string | null;
        error: string | null;
      }[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'GET /v1/replays/{id}': {
    params: {
      id: string;
    };
    query: {};
    answer: {
      id: string;
      topic: string;
      subscription: string;
      status: 'running' | 'done' | 'cancelled' | 'failed';
      from: number;
      to: number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      rateLimit:
        | (
            | {
                perSecond: number;
              }
            | {
                perMinute: number;
              }
          )
        | null;
      /**
       * Sequences: `delivered` + `failed` + `filtered` + `remaining`.
       */
      total: number;
      delivered: number;
      /**
       * Events that died.
       */
      failed: number;
      filtered: number;
      remaining: number;
      createdAt: string;
      endedAt: string | null;
      error: string | null;
    };
  };
  'PUT /v1/replays/{id}': {
    params: {
      id: string;
    };
    query: {};
    body: {
      rateLimit:
        | (
            | {
                perSecond: number;
              }
            | {
                perMinute: number;
              }
          )
        | null;
    };
    answer: {
      id: string;
      topic: string;
      subscription: string;
      status: 'running' | 'done' | 'cancelled' | 'failed';
      from: number;
      to: number;
      filter: {
        types: string[];
        cel: string | null;
      } | null;
      rateLimit:
        | (
            | {
                perSecond: number;
              }
            | {
                perMinute: number;
              }
          )
        | null;
      /**
       * Sequences: `delivered` + `failed` + `filtered` + `remaining`.
       */
      total: number;
      delivered: number;
      /**
       * Events that died.
       */
      failed: number;
      filtered: number;
      remaining: number;
      createdAt: string;
      endedAt: string | null;
      error: string | null;
    };
  };
  'DELETE /v1/replays/{id}': {
    params: {
      id: string;
    };
    query: {};
    answer: null;
  };
  'GET /v1/dead-letters': {
    params: {};
    query: {
      /**
       * A name.
       */
      subscription?: string;
      /**
       * A name.
       */
      topic?: string;
      reason?: 'exhausted' | 'gone' | 'rejected' | 'expired' | 'invalid' | 'consumer';
      /**
       * Of `diedAt`, inclusive.
       */
      since?: string;
      /**
       * Of `diedAt`, inclusive.
       */
      until?: string;
      state?: 'open' | 'redriven' | 'resolved' | 'discarded' | 'all';
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: {
        id: string;
        subscription: string;
        topic: string;
        sequence: number;
        /**
         * The whole event.
         */
        event: {
          [k: string]: unknown;
        };
        reason: 'exhausted' | 'gone' | 'rejected' | 'expired' | 'invalid' | 'consumer';
        attempts: number;
        lastStatus: number | null;
        lastError: string | null;
        firstAttemptAt: string | null;
        diedAt: string;
        redrivenAt: string | null;
        resolvedAt: string | null;
        discardedAt: string | null;
      }[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'DELETE /v1/dead-letters': {
    params: {};
    query: {
      /**
       * A name.
       */
      subscription?: string;
      /**
       * A name.
       */
      topic?: string;
      reason?: 'exhausted' | 'gone' | 'rejected' | 'expired' | 'invalid' | 'consumer';
      /**
       * Of `diedAt`, inclusive.
       */
      since?: string;
      /**
       * Of `diedAt`, inclusive.
       */
      until?: string;
    };
    answer: {
      job: string;
      /**
       * Letters that matched when it began.
       */
      count: number;
    };
  };
  'POST /v1/dead-letters/redrive': {
    params: {};
    query: {};
    body?: {
      /**
       * A name.
       */
      subscription?: string;
      /**
       * A name.
       */
      topic?: string;
      reason?: 'exhausted' | 'gone' | 'rejected' | 'expired' | 'invalid' | 'consumer';
      /**
       * Of `diedAt`, inclusive.
       */
      since?: string;
      /**
       * Of `diedAt`, inclusive.
       */
      until?: string;
    };
    answer: {
      job: string;
      /**
       * Letters that matched when it began.
       */
      count: number;
    };
  };
  'GET /v1/dead-letters/{id}': {
    params: {
      id: string;
    };
    query: {};
    answer: {
      id: string;
      subscription: string;
      topic: string;
      sequence: number;
      /**
       * The whole event.
       */
      event: {
        [k: string]: unknown;
      };
      reason: 'exhausted' | 'gone' | 'rejected' | 'expired' | 'invalid' | 'consumer';
      attempts: number;
      lastStatus: number | null;
      lastError: string | null;
      firstAttemptAt: string | null;
      diedAt: string;
      redrivenAt: string | null;
      resolvedAt: string | null;
      discardedAt: string | null;
    };
  };
  'DELETE /v1/dead-letters/{id}': {
    params: {
      id: string;
    };
    query: {};
    answer: null;
  };
  'POST /v1/dead-letters/{id}/redrive': {
    params: {
      id: string;
    };
    query: {};
    answer: {
      id: string;
      status: 'pending';
    };
  };
  'POST /v1/keys': {
    params: {};
    query: {};
    body: {
      /**
       * A name.
       */
      name: string;
      scopes: string[];
      /**
       * Null: never.
       */
      expiresAt?: string | null;
      /**
       * Events that the key may publish in each second, minute or day (UTC). Null: as many as it likes.
       */
      quota?:
        | (
            | {
                perSecond: number;
              }
            | {
                perMinute: number;
              }
            | {
                perDay: number;
              }
          )
        | null;
    };
    answer: NewKey;
  };
  'GET /v1/keys': {
    params: {};
    query: {
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: Key[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'DELETE /v1/keys/{name}': {
    params: {
      /**
       * A name.
       */
      name: string;
    };
    query: {};
    answer: null;
  };
  'POST /v1/tokens': {
    params: {};
    query: {};
    body: {
      scopes: string[];
      /**
       * At most 24h; never longer than the key itself.
       */
      expiresIn?: string;
    };
    answer: Token;
  };
  'GET /v1/hub-secrets': {
    params: {};
    query: {};
    answer: {
      items: HubSecret[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'POST /v1/hub-secrets/reseal': {
    params: {};
    query: {
      /**
       * `next` of the call before.
       */
      cursor?: string;
    };
    answer: {
      resealed: number;
      failed: {
        subscription: string;
        reason: string;
      }[];
      next: string | null;
    };
  };
  'GET /v1/audit': {
    params: {};
    query: {
      /**
       * How many at most: 1 to 1000.
       */
      limit?: number;
      /**
       * The `next` of the page before.
       */
      cursor?: string;
    };
    answer: {
      items: AuditEntry[];
      /**
       * Pass it as `cursor`.
       */
      next: string | null;
    };
  };
  'GET /v1/config': {
    params: {};
    query: {};
    answer: Config;
  };
  'PUT /v1/config': {
    params: {};
    query: {
      /**
       * Only says what would be done.
       */
      dryRun?: boolean;
    };
    body: {
      version: 1;
      /**
       * Items: The body of PUT /v1/topics/{topic}, with the name.
       */
      topics?: {
        /**
         * A name.
         */
        name: string;
        [k: string]: unknown;
      }[];
      /**
       * Items: The body of PUT /v1/subscriptions/{name}, with the name. A header whose value is null, and a secret that is not there, are taken from `secrets`, else they stay as they are.
       */
      subscriptions?: {
        /**
         * A name.
         */
        name: string;
        /**
         * Left out: it stays as it is.
         */
        paused?: boolean;
        [k: string]: unknown;
      }[];
      secrets?: {
        kdf: 'scrypt';
        n: 32768;
        r: 8;
        p: 3;
        cipher: 'aes-256-gcm';
        salt: string;
        box: string;
      } | null;
    };
    answer: AppliedConfig;
  };
  'GET /healthz': {
    params: {};
    query: {};
    answer: {
      status: string;
    };
  };
  'GET /metrics': {
    params: {};
    query: {};
    answer: string;
  };
}
/**
 * An event without a specversion.
 */
export interface ShortEvent {
  type: string;
  id?: string;
  source?: string;
  subject?: string;
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  partitionkey?: string;
  data?: unknown;
  [k: string]: unknown;
}
export interface Receipts {
  events: {
    id: string;
    source: string;
    topic: string;
    sequence: number;
    /**
     * It was in the log already, at this sequence.
     */
    duplicate: boolean;
  }[];
}
/**
 * A CloudEvent with the hub’s own extension attributes.
 */
export interface Event {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
  time: string;
  topic: string;
  /**
   * Decimal, zero-padded to 16 digits.
   */
  sequence: string;
  /**
   * When the log took it.
   */
  recordedtime: string;
  [k: string]: unknown;
}
export interface Topic {
  name: string;
  description: string;
  retention: {
    maxAge: null;
    maxEvents: null;
    maxBytes: null;
  };
  deduplicationWindow: string;
  validation: 'off';
  compaction: false;
  partitions: 1;
  firstSequence: number;
  lastSequence: number;
  events: number;
  bytes: number;
  subscriptions: number;
  createdAt: string;
}
export interface SubscriptionConfig {
  /**
   * Topic names and patterns: `*` is one token, a final `>` one or more.
   */
  topics: string[];
  /**
   * Where topics new to the subscription start. One that a pattern finds starts no later than its first event recorded since the pattern was made.
   */
  from?:
    | string
    | number
    | {
        sequence: number;
      }
    | {
        time: string;
      };
  filter?: {
    /**
     * Event types; `*` is any run of characters, dots too.
     */
    types?: string[];
    /**
     * CEL over the event; a field that it does not have is no match.
     */
    cel?: string | null;
  } | null;
  transform?:
    | (
        | string
        | {
            /**
             * Makes the data; what it does not find is null.
             */
            data?: string | null;
            /**
             * Makes an object of further headers.
             */
            headers?: string | null;
            /**
             * Makes the path, and query, to send to.
             */
            path?: string | null;
          }
      )
    | null;
  /**
   * `key`: at most one delivery under way of a `partitionkey` (else `subject`), in order within it; `topic`: one after the other.
   */
  ordering?: 'none' | 'key' | 'topic';
  /**
   * Deliveries under way: 64 by default; of the kinds `queue` and `pull`, 1000.
   */
  maxInFlight?: number;
  retry?: {
    /**
     * The waits between attempts: N entries make N + 1 attempts at most.
     *
     * Items: A duration between 0s and 7d
     */
    schedule?: string[];
    jitter?: number;
  };
  /**
   * A receiver that fails for this long without one success is disabled.
   */
  disableAfter?: string;
  /**
   * How many attempts are kept to be looked at, and how long.
   */
  attempts?: {
    maxCount?: number;
    /**
     * A duration between 1m and 90d
     */
    maxAge?: string;
  };
  delivery:
    | {
        kind?: 'webhook';
        /**
         * An absolute https URL of a public host.
         */
        url: string;
        /**
         * A CloudEvent in JSON; one with its attributes in `ce-` headers; several in JSON; or the data alone.
         */
        format?: 'structured' | 'binary' | 'batch' | 'data';
        /**
         * A duration between 100ms and 30s
         */
        timeout?: string;
        headers?: {
          [k: string]: string;
        };
        /**
         * `whsec_…`, or `whsk_…` for Ed25519; a `whsec_…` is made if absent, the present one kept if omitted later.
         */
        secret?: string;
        /**
         * At most so many requests started in any such span: of live events, retries, redrives and replays together.
         */
        rateLimit?:
          | (
              | {
                  perSecond: number;
                }
              | {
                  perMinute: number;
                }
            )
          | null;
        /**
         * Events in a request of the format `batch`.
         */
        maxBatch?: number;
        /**
         * Asks the receiver for its consent first, by the handshake of the CloudEvents web-hook specification.
         */
        handshake?: boolean;
      }
    | {
        kind: 'queue';
        /**
         * The name of a binding of the hub's Worker.
         */
        binding: string;
        /**
         * An event is delivered once the consumer says so; else once the queue has taken it.
         */
        confirm?: boolean;
        /**
         * With `confirm`: what the consumer has not settled after this is sent again.
         */
        ackDeadline?: string;
        /**
         * At most so many requests started in any such span: of live events, retries, redrives and replays together.
         */
        rateLimit?:
          | (
              | {
                  perSecond: number;
                }
              | {
                  perMinute: number;
                }
            )
          | null;
      }
    | {
        kind: 'service';
        /**
         * The name of a binding of the hub's Worker.
         */
        binding: string;
        /**
         * What is called of the Worker behind the binding: its method `handle`, or its `fetch` with a POST.
         */
        call?: 'rpc' | 'fetch';
        /**
         * A duration between 100ms and 30s
         */
        timeout?: string;
        /**
         * Events in one call. In order, or at a limited rate, there is one in each.
         */
        maxBatch?: number;
        /**
         * At most so many requests started in any such span: of live events, retries, redrives and replays together.
         */
        rateLimit?:
          | (
              | {
                  perSecond: number;
                }
              | {
                  perMinute: number;
                }
            )
          | null;
      }
    | {
        kind: 'pull';
        /**
         * What was pulled and is not settled after this is given to whoever pulls next.
         */
        ackDeadline?: string;
        /**
         * What was not acknowledged after so many deliveries is a dead letter.
         */
        maxDeliveries?: number;
      };
}
export interface Alert {
  /**
   * An absolute https URL of a public host.
   */
  url: string;
  /**
   * Types of the hub's own events; `*` is any run of characters.
   */
  events?: string[];
}
export interface NewKey {
  name: string;
  scopes: string[];
  expiresAt: string | null;
  createdAt: string;
  quota?:
    | {
        perSecond: number;
      }
    | {
        perMinute: number;
      }
    | {
        perDay: number;
      };
  /**
   * Shown this once.
   */
  key: string;
}
export interface Key {
  name: string;
  scopes: string[];
  expiresAt: string | null;
  createdAt: string;
  quota?:
    | {
        perSecond: number;
      }
    | {
        perMinute: number;
      }
    | {
        perDay: number;
      };
}
export interface Token {
  token: string;
  expiresAt: string;
}
export interface HubSecret {
  /**
   * Null: what was made before it was noted under which secret.
   */
  id: string | null;
  /**
   * `current` seals and signs; `listed` opens and verifies; `missing` is not in HUB_SECRET, so what depends on it does not work.
   */
  status: 'current' | 'listed' | 'missing' | 'unknown';
  subscriptions: {
    count: number;
    /**
     * By name, the first 100.
     */
    names: string[];
  };
  keys: {
    count: number;
    /**
     * By name, the first 100.
     */
    names: string[];
  };
}
export interface AuditEntry {
  at: string;
  /**
   * The name of the key that did it.
   */
  key: string;
  action: string;
  target: string;
  requestId: string;
}
export interface Config {
  version: 1;
  /**
   * Items: The body of PUT /v1/topics/{topic}, with the name.
   */
  topics: {
    /**
     * A name.
     */
    name: string;
    [k: string]: unknown;
  }[];
  /**
   * Items: The body of PUT /v1/subscriptions/{name}, with the name. A header whose value is null, and a secret that is not there, are taken from `secrets`, else they stay as they are.
   */
  subscriptions: {
    /**
     * A name.
     */
    name: string;
    /**
     * Left out: it stays as it is.
     */
    paused?: boolean;
    [k: string]: unknown;
  }[];
  secrets: {
    kdf: 'scrypt';
    n: 32768;
    r: 8;
    p: 3;
    cipher: 'aes-256-gcm';
    salt: string;
    box: string;
  } | null;
}
export interface AppliedConfig {
  dryRun: boolean;
  topics: {
    name: string;
    outcome: 'created' | 'replaced' | 'unchanged' | 'failed';
    /**
     * It was made without a secret, so the hub made one.
     */
    secretMade?: true;
    problem?: {
      code: string;
      detail: string;
    };
  }[];
  subscriptions: {
    name: string;
    outcome: 'created' | 'replaced' | 'unchanged' | 'failed';
    /**
     * It was made without a secret, so the hub made one.
     */
    secretMade?: true;
    problem?: {
      code: string;
      detail: string;
    };
  }[];
}
/**
 * A CloudEvent 1.0; other attributes are extensions.
 */
export interface SentEvent {
  specversion: '1.0';
  id?: string;
  source?: string;
  type: string;
  subject?: string;
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  partitionkey?: string;
  data?: unknown;
  data_base64?: string;
  [k: string]: unknown;
}
/**
 * RFC 9457. Some codes add members of their own.
 */
export interface Problem {
  type: string;
  title: string;
  status: number;
  /**
   * What to change.
   */
  detail: string;
  instance: string;
  code: ProblemCode;
  requestId: string;
  errors?: {
    path: string;
    message: string;
  }[];
  [k: string]: unknown;
}
