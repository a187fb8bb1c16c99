/** What other programs import as `millrace`. Nothing here needs more of a platform than fetch, streams and WebCrypto. */

export { type HubSecret, HubSecrets, type Key, Keys, type NewKey, Tokens } from './access.ts';
export type { RetryOptions } from './backoff.ts';
export { type AppliedConfig, type Config, type ConfigOptions, Configuration } from './configuration.ts';
export type { CallOptions, ConnectionOptions } from './connection.ts';
export type { Delivery, EventOf } from './delivery.ts';
export { type ErrorCode, MillraceError } from './errors.ts';
export type { EventDelivery } from './follow.ts';
export type { List, Page } from './list.ts';
export { type AuditEntry, Millrace } from './millrace.ts';
export { type Effect, ensureOnceTable, type OnceDatabase, type OnceStatement, once, onceBatch } from './once.ts';
export { type OnceStorage, onceInObject, type Synchronous } from './once-in-object.ts';
export { type OnceEvent, type OnceOptions, onceMigration } from './once-table.ts';
export { PublishError, type PublishOptions, type Receipt } from './publish.ts';
export type { NewEvent } from './publishing.ts';
export type { Handler, SubscribeOptions } from './pull.ts';
export type { EventPage, ReadOptions } from './reading.ts';
export {
  type DeadLetter,
  type DeadLetterJob,
  DeadLetters,
  type Replay,
  type ReplayRequest,
  Replays,
} from './recovery.ts';
export { Reject, Retry } from './results.ts';
export {
  type AlertConfig,
  type Attempt,
  type PutOptions,
  type Subscription,
  type SubscriptionConfig,
  Subscriptions,
  type SubscriptionTopic,
} from './subscriptions.ts';
export type { TailOptions } from './tail.ts';
export { type Topic, type TopicConfig, Topics } from './topics.ts';
export {
  type VerificationCode,
  VerificationError,
  type VerifyOptions,
  verify,
  type WebhookRequest,
} from './verify.ts';
export type { ReceivedWebhook, WebhookFacts } from './webhook.ts';
export type { Problem, ProblemCode } from './wire.ts';
