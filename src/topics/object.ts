import { DurableObject } from 'cloudflare:workers';
import { Catalog } from '../catalog/catalog.ts';
import type { Env } from '../env.ts';
import type { Position } from '../events/position.ts';
import { subscriptionName, topicLogName, topicOfLogName } from '../object-names.ts';
import { clock, log, random } from '../platform-workers.ts';
import { SYSTEM_TOPIC } from '../system/shapes.ts';
import { FEEDS_MAX } from './limits.ts';
import {
  type AppendRequest,
  type AppendResult,
  type AttachRequest,
  type AttachResult,
  type ConfigureResult,
  type EventResult,
  FEED_CLOSED,
  FEED_PING,
  FEED_PONG,
  type LogEvent,
  type ReadKeysRequest,
  type ReadKeysResult,
  type ReadOrParkRequest,
  type ReadOrParkResult,
  type ReadRequest,
  type ReadResult,
  type RemoveResult,
  type ResolveResult,
  type Standing,
  type TopicConfig,
  type TopicDescription,
  type TopicLogApi,
  type TopicMetrics,
} from './protocol.ts';
import { TopicLog } from './topic-log.ts';

/** The Durable Object of one topic's log: it gives a TopicLog its ports and passes calls on. */
export class TopicLogObject extends DurableObject<Env> implements TopicLogApi {
  readonly #topicLog: TopicLog;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const topic = ctx.id.name === undefined ? null : topicOfLogName(ctx.id.name);
    if (topic === null) {
      throw new Error('A topic log is reached by its name, {namespace}/{topic}/{partition}.');
    }
    this.#topicLog = new TopicLog({
      topic,
      storage: ctx.storage,
      clock,
      random,
      background: (task) => ctx.waitUntil(task),
      log,
      catalog: new Catalog(env.DB),
      subscriptions: (name) => {
        const subscription = env.SUBSCRIPTION.getByName(subscriptionName(name));
        return {
          wake: (request) => subscription.wake(request),
          topicAppeared: (appeared) => subscription.topicAppeared(appeared),
          overtake: (request) => subscription.overtake(request),
        };
      },
      systemLog: () => {
        const log = env.TOPIC_LOG.getByName(topicLogName(SYSTEM_TOPIC));
        return { append: (request) => log.append(request) };
      },
      feedSockets: () => ctx.getWebSockets(),
    });
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return this.#topicLog.append(request);
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.#topicLog.read(request);
  }

  event(sequence: number): Promise<EventResult> {
    return this.#topicLog.event(sequence);
  }

  eventsAt(sequences: number[]): Promise<{ events: LogEvent[]; examined: number }> {
    return this.#topicLog.eventsAt(sequences);
  }

  readKeys(request: ReadKeysRequest): Promise<ReadKeysResult> {
    return this.#topicLog.readKeys(request);
  }

  describe(): Promise<TopicDescription | null> {
    return this.#topicLog.describe();
  }

  configure(config: TopicConfig, ifMatch: string | null): Promise<ConfigureResult> {
    return this.#topicLog.configure(config, ifMatch);
  }

  remove(request: { force: boolean }): Promise<RemoveResult> {
    return this.#topicLog.remove(request);
  }

  resolve(position: Position, as: 'start' | 'end'): Promise<ResolveResult> {
    return this.#topicLog.resolve(position, as);
  }

  attach(request: AttachRequest): Promise<AttachResult> {
    return this.#topicLog.attach(request);
  }

  detach(subscription: string, attachment: string): Promise<void> {
    return this.#topicLog.detach(subscription, attachment);
  }

  readOrPark(request: ReadOrParkRequest): Promise<ReadOrParkResult> {
    return this.#topicLog.readOrPark(request);
  }

  unpark(subscription: string, ticket: number): Promise<{ next: number } | null> {
    return this.#topicLog.unpark(subscription, ticket);
  }

  standing(subscription: string, low?: number): Promise<Standing> {
    return this.#topicLog.standing(subscription, low);
  }

  subscribers(after: string, limit: number): Promise<string[]> {
    return this.#topicLog.subscribers(after, limit);
  }

  metrics(): Promise<TopicMetrics | null> {
    return this.#topicLog.metrics();
  }

  sweep(): Promise<void> {
    return this.#topicLog.sweep();
  }

  /** A feed: nothing but the hub's own Worker can ask for one. The object may hibernate while it is open. */
  override async fetch(): Promise<Response> {
    if (this.ctx.getWebSockets().length >= FEEDS_MAX) {
      return new Response(null, { status: 503 });
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    // Answered by the platform, without waking the object.
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(FEED_PING, FEED_PONG));
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#topicLog.feedMessage(socket, typeof message === 'string' ? message : '');
  }

  override webSocketClose(socket: WebSocket): void {
    this.#topicLog.feedGone(socket);
    try {
      socket.close(FEED_CLOSED.again, 'gone');
    } catch {
      // The platform has closed it already.
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#topicLog.feedGone(socket);
  }

  override alarm(): Promise<void> {
    return this.#topicLog.alarm();
  }
}
