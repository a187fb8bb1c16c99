/** The names under which objects are reached. They can't be changed later: an object of another name is another one. */

/** Namespace of everything until there are several. */
const NAMESPACE = 'default';
/** Partition of every topic until there are several. */
const PARTITION = 0;

/** The object that holds a topic's log: `{namespace}/{topic}/{partition}`. */
export function topicLogName(topic: string): string {
  return `${NAMESPACE}/${topic}/${PARTITION}`;
}

/** The topic in an object's name, or null if it is not one of `topicLogName`. */
export function topicOfLogName(name: string): string | null {
  return /^[^/]+\/([^/]+)\/\d+$/.exec(name)?.[1] ?? null;
}

/** The object that is a subscription: `{namespace}/{name}`. */
export function subscriptionName(name: string): string {
  return `${NAMESPACE}/${name}`;
}

/** The subscription in an object's name, or null if it is not one of `subscriptionName`. */
export function subscriptionOfName(name: string): string | null {
  return /^[^/]+\/([^/]+)$/.exec(name)?.[1] ?? null;
}

/** The object that counts what a key publishes: `{namespace}/{key id}`. */
export function quotaName(keyId: string): string {
  return `${NAMESPACE}/${keyId}`;
}
