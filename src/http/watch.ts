import { access, type Context } from './context.ts';
import { Problem } from './problem.ts';

/** While something streams, it is looked at so often whether its caller still may. Revocations are up to 10 s old then. */
export const WATCH_MS = 10_000;

/**
 * Calls `ended` once the caller's key or token has expired (to the moment) or was revoked (within 20 s).
 *
 * @returns ends the watch
 */
export function watchCaller(
  { hub, caller }: Context,
  ended: (code: 'expired-key' | 'revoked-key') => void,
): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let over = false;
  const look = async () => {
    const code = await access(hub).endOf(caller, hub);
    if (over) return;
    if (code === null) schedule();
    else ended(code);
  };
  const schedule = () => {
    const left = (caller.expiresAt ?? Number.POSITIVE_INFINITY) - hub.now();
    timer = setTimeout(() => void look(), Math.max(1, Math.min(WATCH_MS, left)));
  };
  schedule();
  return () => {
    over = true;
    if (timer !== null) clearTimeout(timer);
  };
}

/** For an answer that takes its time: its caller's key or token may have ended since. @throws Problem `unauthorized` */
export async function requireStill({ hub, caller }: Context): Promise<void> {
  const end = await access(hub).endOf(caller, hub);
  if (end === null) return;
  const detail = end === 'expired-key' ? 'The key or token has expired meanwhile.' : 'The key was deleted meanwhile.';
  throw new Problem('unauthorized', detail, { headers: { 'www-authenticate': 'Bearer error="invalid_token"' } });
}
