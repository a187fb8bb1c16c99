/** What other programs import as `millrace`. Nothing here needs more of a platform than fetch, streams and WebCrypto. */

export type { HubSecret, HubSecrets, Key, Keys, NewKey, Tokens } from './access.ts';
export type { RetryOptions } from './backoff.ts';
export type { AppliedConfig, Config, ConfigOptions, Configuration } from './configuration.ts';
export type { CallOptions, ConnectionOptions, PutOptions } from './connection.ts';
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
export type {
  DeadLetter,
  DeadLetterJob,
  DeadLetters,
  Replay,
  ReplayRequest,
  Replays,
} from './recovery.ts';
export { Reject, Retry } from './results.ts';
export type {
  AlertConfig,
  Attempt,
  Subscription,
  SubscriptionConfig,
  Subscriptions,
  SubscriptionTopic,
} from './subscriptions.ts';
export type { TailOptions } from './tail.ts';
export type { Topic, TopicConfig, Topics } from './topics.ts';
export {
  type VerificationCode,
  VerificationError,
  type VerifyOptions,
  verify,
  type WebhookRequest,
} from './verify.ts';
export type { ReceivedWebhook, WebhookFacts } from './webhook.ts';
export type { Problem, ProblemCode } from './wire.ts';
