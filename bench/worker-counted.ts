import type { Env } from '../src/env.ts';
import type { LeaseMessage } from '../src/subscriptions/protocol-claims.ts';
import { KEYS_WAITING_MAX } from '../src/topics/limits.ts';
import hub, { SubscriptionObject as Subscription, TopicLogObject as TopicLog } from '../src/worker.ts';
import { COUNTS_PATH, type Counts, noCounts, type ObjectCounts } from './counts.ts';
import { SUBJECTS } from './events.ts';

/**
 * The hub with counters around its bindings and its storage, so that the hub itself counts nothing. workerd runs all
 * objects and the Worker of one script in one isolate, so one set of counters sees everything. Rows are counted where the
 * objects' SQL is executed; calls are counted where they are made, as the platform bills them.
 */

export { QuotaObject } from '../src/worker.ts';

const counts: Counts = noCounts();
/** Each object's storage, with where it counts. */
const owners = new WeakMap<object, ObjectCounts>();
/** A cursor's counts grow while it is read, so they are asked for at the end. */
let cursors: { cursor: SqlStorageCursor<Record<string, SqlStorageValue>>; counted: ObjectCounts }[] = [];

const QUEUE_OPERATION_BYTES = 64 * 1024;
/** The bench's keys come in turn. */
const POSTINGS_A_KEYED_EVENT = SUBJECTS / KEYS_WAITING_MAX;
let patched = false;

/** Counts at the prototypes, which all objects share: their own `ctx` can't be replaced. */
function countStorage(storage: DurableObjectStorage, counted: ObjectCounts): void {
  owners.set(storage, counted);
  owners.set(storage.sql, counted);
  if (patched) return;
  patched = true;
  const sqlPrototype: SqlStorage = Object.getPrototypeOf(storage.sql);
  const exec = sqlPrototype.exec;
  sqlPrototype.exec = function <Row extends Record<string, SqlStorageValue>>(
    this: SqlStorage,
    query: string,
    ...bindings: unknown[]
  ): SqlStorageCursor<Row> {
    const cursor = exec.call(this, query, ...bindings) as SqlStorageCursor<Row>;
    const owner = owners.get(this);
    if (owner === undefined) return cursor;
    // Postings are written long after their events, a row a key for tens of thousands: they count when those are written.
    if (query.startsWith('INSERT INTO segments')) owner.rowsWritten += keysAmong(bindings) * POSTINGS_A_KEYED_EVENT;
    if (!/^(INSERT INTO|DELETE FROM) postings/.test(query)) cursors.push({ cursor, counted: owner });
    return cursor;
  };
  const storagePrototype: DurableObjectStorage = Object.getPrototypeOf(storage);
  const { setAlarm, deleteAlarm } = storagePrototype;
  storagePrototype.setAlarm = function (this: DurableObjectStorage, ...given) {
    countRow(this);
    return setAlarm.apply(this, given);
  };
  storagePrototype.deleteAlarm = function (this: DurableObjectStorage, ...given) {
    countRow(this);
    return deleteAlarm.apply(this, given);
  };
}

/** How many keys are in the values of a segment's row: they are its only array in JSON. */
function keysAmong(bindings: unknown[]): number {
  const keys = bindings.find((value) => typeof value === 'string' && value.startsWith('['));
  const list: unknown = typeof keys === 'string' ? JSON.parse(keys) : [];
  return Array.isArray(list) ? list.filter((key) => key !== null).length : 0;
}

function countRow(storage: object): void {
  const owner = owners.get(storage);
  if (owner !== undefined) owner.rowsWritten += 1;
}

function settled(): Counts {
  for (const { cursor, counted } of cursors) {
    counted.rowsRead += cursor.rowsRead;
    counted.rowsWritten += cursor.rowsWritten;
  }
  cursors = [];
  return counts;
}

/** `target` with some of its members replaced; functions keep their own `this`. */
function over<Target extends object>(target: Target, members: Partial<Target>): Target {
  return new Proxy(target, {
    get(original, name) {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name);
      const value: unknown = Reflect.get(original, name);
      return typeof value === 'function' ? value.bind(original) : value;
    },
  });
}

function countedStub<Stub extends object>(stub: Stub, counted: ObjectCounts): Stub {
  return new Proxy(stub, {
    get(original, name) {
      const member: unknown = Reflect.get(original, name);
      if (typeof member !== 'function' || name === 'then' || name === 'dup') return member;
      return (...given: unknown[]) => {
        counted.requests += 1;
        if (name === 'wake') counts.wakes += 1;
        return Reflect.apply(member, original, given);
      };
    },
  });
}

function countedNamespace<Class extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<Class>,
  counted: ObjectCounts,
): DurableObjectNamespace<Class> {
  return over(namespace, {
    get: (id, options) => countedStub(namespace.get(id, options), counted),
    getByName: (name, options) => countedStub(namespace.getByName(name, options), counted),
  });
}

function operations(body: unknown): number {
  return Math.max(1, Math.ceil(JSON.stringify(body).length / QUEUE_OPERATION_BYTES));
}

function countedQueue<Body>(queue: Queue<Body>): Queue<Body> {
  return over(queue, {
    send: (body, options) => {
      counts.queueOperations += operations(body);
      return queue.send(body, options);
    },
    sendBatch: (messages, options) => {
      const all = [...messages];
      for (const message of all) counts.queueOperations += operations(message.body);
      return queue.sendBatch(all, options);
    },
  });
}

function countMeta(meta: D1Meta): void {
  counts.d1RowsRead += meta.rows_read;
  counts.d1RowsWritten += meta.rows_written;
}

const bare = new WeakMap<D1PreparedStatement, D1PreparedStatement>();

function countedStatement(statement: D1PreparedStatement): D1PreparedStatement {
  async function all<Row>(): Promise<D1Result<Row>> {
    const result = await statement.all<Row>();
    countMeta(result.meta);
    return result;
  }
  const counted = over(statement, {
    bind: (...values) => countedStatement(statement.bind(...values)),
    all,
    run: all,
    // `first` answers no counts, so it is made of `all`.
    first: async <Row>() => (await all<Row>()).results[0] ?? null,
  });
  bare.set(counted, statement);
  return counted;
}

function countedDatabase(db: D1Database): D1Database {
  return over(db, {
    prepare: (query) => countedStatement(db.prepare(query)),
    batch: async <Row>(statements: D1PreparedStatement[]) => {
      const results = await db.batch<Row>(statements.map((statement) => bare.get(statement) ?? statement));
      for (const { meta } of results) countMeta(meta);
      return results;
    },
  });
}

const countedEnvs = new WeakMap<Env, Env>();

function countedEnv(env: Env): Env {
  const known = countedEnvs.get(env);
  if (known !== undefined) return known;
  const counted: Env = {
    ...env,
    TOPIC_LOG: countedNamespace(env.TOPIC_LOG, counts.topicLog),
    SUBSCRIPTION: countedNamespace(env.SUBSCRIPTION, counts.subscription),
    DB: countedDatabase(env.DB),
    DELIVERIES: countedQueue(env.DELIVERIES),
    RETRIES: countedQueue(env.RETRIES),
  };
  countedEnvs.set(env, counted);
  return counted;
}

export class TopicLogObject extends TopicLog {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx.storage, counts.topicLog);
    super(ctx, countedEnv(env));
  }

  override alarm(): Promise<void> {
    counts.topicLog.requests += 1;
    return super.alarm();
  }
}

export class SubscriptionObject extends Subscription {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx.storage, counts.subscription);
    super(ctx, countedEnv(env));
  }

  override alarm(): Promise<void> {
    counts.subscription.requests += 1;
    return super.alarm();
  }
}

export default {
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === COUNTS_PATH) return Response.json(settled());
    counts.workerRequests += 1;
    return hub.fetch(request, countedEnv(env), ctx);
  },

  async queue(batch, env, ctx) {
    counts.workerRequests += 1;
    // Each message delivered is read, and deleted once it is done with.
    for (const message of batch.messages) counts.queueOperations += 2 * operations(message.body);
    return hub.queue(batch, countedEnv(env), ctx);
  },
} satisfies ExportedHandler<Env, LeaseMessage>;
