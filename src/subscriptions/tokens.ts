import { TOKENS_KEPT } from './limits.ts';

/** The tokens under which a delivery was held, as its exception has them: in one text, the latest last. */

const BETWEEN = ' ';

export function tokensOf(text: string | null): string[] {
  return text === null ? [] : text.split(BETWEEN);
}

/** With one more; of many the last that are kept. */
export function withToken(text: string | null, token: string): string {
  return [...tokensOf(text), token].slice(-TOKENS_KEPT).join(BETWEEN);
}
