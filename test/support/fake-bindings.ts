import type { BindingKind, Bindings, ConsumerQueue, ConsumerService } from '../../src/deliveries/bindings.ts';

/** Bindings of a test: consumers' queues and Workers by name. Some may come and go at any time. */
export class FakeBindings implements Bindings {
  readonly queues = new Map<string, ConsumerQueue>();
  readonly services = new Map<string, ConsumerService>();

  queue(name: string): ConsumerQueue | null {
    return this.queues.get(name) ?? null;
  }

  service(name: string): ConsumerService | null {
    return this.services.get(name) ?? null;
  }

  names(kind: BindingKind): string[] {
    return [...(kind === 'queue' ? this.queues : this.services).keys()].sort();
  }
}
