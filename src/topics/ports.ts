import type { Catalog } from '../catalog/catalog.ts';
import type { Background, Clock, Log, ObjectStorage, Random } from '../platform.ts';
import type { FeedSocket, OvertakeRequest, TopicLogApi, WakeAnswer, WakeRequest } from './protocol.ts';

/** A subscription, as far as a log calls it. */
export interface SubscriptionPort {
  wake(request: WakeRequest): Promise<WakeAnswer>;
  topicAppeared(topic: string): Promise<void>;
  overtake(request: OvertakeRequest): Promise<void>;
}

/** The mirror of the topics, as far as a log writes it. */
export type CatalogPort = Pick<Catalog, 'announceTopic' | 'removeTopic' | 'patternsAfter'>;

/** The log of the hub's own topic, as far as others write to it. */
export type SystemLogPort = Pick<TopicLogApi, 'append'>;

/** What a TopicLog needs of the world. */
export interface TopicLogPorts {
  topic: string;
  storage: ObjectStorage;
  clock: Clock;
  random: Random;
  background: Background;
  log: Log;
  catalog: CatalogPort;
  subscriptions: (name: string) => SubscriptionPort;
  systemLog: () => SystemLogPort;
  /** The sockets of feeds that a hibernation has left open; none unless told. */
  feedSockets?: () => Iterable<FeedSocket>;
  /** From this size on the topic refuses events; `TOPIC_FULL_BYTES` unless told. */
  fullBytes?: number;
  /** From this size on it says that it fills up; `TOPIC_FILLING_BYTES` unless told. */
  fillingBytes?: number;
  /** So many events wait until their identities are sealed; `YOUNG_EVENTS_MAX` unless told. */
  youngEventsMax?: number;
  /** So many events wait until their keys go into the postings; `KEYS_WAITING_MAX` unless told. */
  keysWaitingMax?: number;
}
