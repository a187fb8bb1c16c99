/** Namespace of every topic until there are several. */
const NAMESPACE = 'default';
/** Partition of every topic until there are several. */
const PARTITION = 0;

/** The name of the object that holds a topic's log: `{namespace}/{topic}/{partition}`. It can't be changed later. */
export function topicLogName(topic: string): string {
  return `${NAMESPACE}/${topic}/${PARTITION}`;
}

/** The topic in an object's name, or null if it is not one of `topicLogName`. */
export function topicOfLogName(name: string): string | null {
  return /^[^/]+\/([^/]+)\/\d+$/.exec(name)?.[1] ?? null;
}
