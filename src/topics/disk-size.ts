import type { ObjectStorage } from '../platform.ts';
import {
  SIZE_ASKED_EVERY_BYTES,
  SIZE_NEAR_BYTES,
  TOPIC_FILLING_AGAIN_BYTES,
  TOPIC_FILLING_BYTES,
  TOPIC_FULL_BYTES,
} from './limits.ts';
import type { TopicLogPorts } from './ports.ts';

/**
 * How large a log is on disk. Asking takes as long as all the statements of a small commit, so that it is asked again only once
 * the log has grown, or is near to where its size matters.
 */
export class DiskSize {
  readonly #storage: ObjectStorage;
  /** The least of the sizes at which anything is said or refused. */
  readonly #mattersFrom: number;
  #known: { bytes: number; stored: number } | null = null;

  constructor({ storage, fillingBytes, fullBytes }: Pick<TopicLogPorts, 'storage' | 'fillingBytes' | 'fullBytes'>) {
    this.#storage = storage;
    this.#mattersFrom = Math.min(
      fillingBytes ?? TOPIC_FILLING_BYTES,
      fullBytes ?? TOPIC_FULL_BYTES,
      TOPIC_FILLING_AGAIN_BYTES,
    );
  }

  /** @param stored bytes of all events ever stored */
  at(stored: number): number {
    const known = this.#known;
    if (known !== null && known.bytes + SIZE_NEAR_BYTES < this.#mattersFrom) {
      if (Math.abs(stored - known.stored) < SIZE_ASKED_EVERY_BYTES) return known.bytes;
    }
    const bytes = this.#storage.sql.databaseSize;
    this.#known = { bytes, stored };
    return bytes;
  }
}
