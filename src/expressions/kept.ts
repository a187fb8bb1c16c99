/** What was made of an expression's text, kept while its isolate lives; past this many the oldest goes. */
const KEPT_MAX = 500;

/** `make`, remembered by its text. It must not throw. */
export function keeping<T>(make: (text: string) => T): (text: string) => T {
  const kept = new Map<string, T>();
  return (text) => {
    const known = kept.get(text);
    if (known !== undefined) return known;
    const made = make(text);
    const oldest = kept.keys().next();
    if (kept.size >= KEPT_MAX && oldest.done !== true) kept.delete(oldest.value);
    kept.set(text, made);
    return made;
  };
}
