import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Signals every process of a group; a group that is gone is no error. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

/** Whether any process of the group still runs. One that is dead and only not yet collected (a zombie) doesn't. */
export function groupIsAlive(group: number): boolean {
  if (!existsSync('/proc/self/stat')) return signalGroup(group, 0);
  return readdirSync('/proc').some((entry) => /^\d+$/.test(entry) && runsInGroup(entry, group));
}

function runsInGroup(pid: string, group: number): boolean {
  try {
    // "pid (name) state ppid pgrp …": the name may hold spaces and parentheses, so what counts starts after the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(processGroup) === group && state !== 'Z' && state !== 'X';
  } catch {
    return false; // ended while it was looked at
  }
}
