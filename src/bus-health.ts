// How a bus is, as its documents' health checks ask: whether the broker answers, what is subscribed, and how much waits.
import type { AnyHandlerDefinition } from './handle/handler.ts'
import type { Transport } from './transports/transport.ts'
import type { Recorder } from './watch/recorder.ts'

export interface BusHealth {
  /** `unhealthy` without the broker; `degraded` while a handler fails. */
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  readonly connected: boolean
  /** Types and patterns of the handlers of this process. */
  readonly subscribedEvents: readonly string[]
  /** By handler: what its group has not settled, wanted or not. Empty when the broker does not answer. */
  readonly pendingMessages: Readonly<Record<string, number>>
}

/** Follows what is subscribed, and looks when asked. */
export interface HealthDesk {
  subscribed(definition: AnyHandlerDefinition): void
  /** Waits 2 s for the broker, at most. Never throws. */
  look(): Promise<BusHealth>
}

export interface HealthDeskOptions {
  readonly transport: Pick<Transport, 'inspect'>
  topicsOf(patterns: readonly string[]): Promise<readonly string[]> | readonly string[]
  groupOf(handler: string): string
  /** Knows who runs. */
  readonly recorder: Pick<Recorder, 'sample'>
}

/** Of a bus that does not run. */
export const noHealth: BusHealth = {
  status: 'unhealthy',
  connected: false,
  subscribedEvents: [],
  pendingMessages: {},
}

const withinMs = 2_000

export function createHealthDesk({ transport, topicsOf, groupOf, recorder }: HealthDeskOptions): HealthDesk {
  const patternsOf = new Map<string, readonly string[]>()

  async function pending(handlers: readonly string[]): Promise<BusHealth['pendingMessages']> {
    const topics = new Set((await Promise.all(handlers.map((name) => topicsOf(patternsOf.get(name) ?? [])))).flat())
    const { groups } = await transport.inspect([...topics])
    const lagOf = (handler: string) =>
      groups.filter(({ group }) => group === groupOf(handler)).reduce((sum, { lagMessages }) => sum + lagMessages, 0)
    return Object.fromEntries(handlers.map((handler) => [handler, lagOf(handler)]))
  }

  return {
    subscribed: ({ name, on }) =>
      void patternsOf.set(
        name,
        on.map((one) => (typeof one === 'string' ? one : one.type)),
      ),
    async look() {
      const running = recorder.sample().handlers
      const handlers = running.map(({ handler }) => handler).filter((name) => patternsOf.has(name))
      const late = Promise.withResolvers<undefined>()
      const timer = setTimeout(late.resolve, withinMs, undefined)
      const found = await Promise.race([pending(handlers), late.promise]).catch(() => undefined)
      clearTimeout(timer)
      const ofHandlers = running.every(({ health }) => health === 'healthy') ? 'healthy' : 'degraded'
      return {
        status: found ? ofHandlers : 'unhealthy',
        connected: found !== undefined,
        subscribedEvents: [...new Set(handlers.flatMap((name) => patternsOf.get(name) ?? []))],
        pendingMessages: found ?? {},
      }
    },
  }
}
