import type { Contract } from '../core/contract.ts'
import type { EvtEvent } from '../core/event.ts'
import type { AnyHandlerDefinition, HandlerContext, SubscribeOptions } from './handler.ts'

/** Handlers that come and go while others run: of a bridge, and of a bus. */
export interface Subscribing {
  /**
   * Runs `handle` for events that match; resolves with an id for `unsubscribe` when what is published from then on reaches it. Throws
   * `config` for a wrong definition, and for a name that runs here already.
   */
  subscribe<T>(
    on: Contract<T>,
    handle: (event: EvtEvent<T>, ctx: HandlerContext) => unknown,
    options?: SubscribeOptions,
  ): Promise<string>
  subscribe(
    pattern: string | readonly string[],
    handle: (event: EvtEvent, ctx: HandlerContext) => unknown,
    options?: SubscribeOptions,
  ): Promise<string>
  /** Finishes what runs. False for an id that is not subscribed. Its place stays, in the store or on the broker: what comes later waits there. */
  unsubscribe(id: string): Promise<boolean>
  /** As `subscribe`, with what `defineHandler` or `defineBatchHandler` made; its id is its name. */
  handle(definition: AnyHandlerDefinition): Promise<string>
  /** In this process only. Throws `usage` for an unknown id. */
  pause(id: string): void
  resume(id: string): void
}
