import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { EvtEvent, NewEvent } from '../../../src/core/event.ts'
import { createRegistry } from '../../../src/core/registry.ts'
import {
  createDirectSubscribers,
  type DirectSubscribers,
  type DirectSubscribersOptions,
} from '../../../src/handle/direct/direct-subscribers.ts'
import type { AnyHandlerDefinition } from '../../../src/handle/handler.ts'
import { openMemory } from '../../../src/transports/memory/index.ts'
import type { BuriedMessage, Message, Transport } from '../../../src/transports/transport.ts'
import { createRecorder } from '../../../src/watch/recorder.ts'
import { eventOf, messageOf, silent } from '../running.ts'

export const topic = 'events'

export interface Direct {
  /** Opens another transport on the same topics. */
  open(): Transport
  readonly transport: Transport
  readonly subscribers: DirectSubscribers
  sample(): ReturnType<ReturnType<typeof createRecorder>['sample']>['handlers'][number]
  publish(...events: (Partial<EvtEvent> & { readonly type: string })[]): Promise<EvtEvent[]>
  send(...messages: Message[]): Promise<void>
  dead(): Promise<BuriedMessage[]>
  lag(handler: string): Promise<number>
  /** Another process with handlers on the same topics. */
  another(
    handlers: readonly AnyHandlerDefinition[],
    options?: Partial<DirectSubscribersOptions>,
  ): Promise<DirectSubscribers>
  /** What handlers published. */
  readonly published: NewEvent[]
}

/** Handlers over `memory`; stopped when the test ends. */
export async function runDirect(
  handlers: readonly AnyHandlerDefinition[],
  options: Partial<DirectSubscribersOptions> = {},
): Promise<Direct> {
  const url = `memory://direct-${randomUUID()}`
  const open = () => {
    const opened = openMemory(url)
    onTestFinished(() => opened.close())
    return opened
  }
  const transport = options.transport ?? open()
  const recorder = createRecorder()
  const published: NewEvent[] = []
  await transport.ensure([{ name: topic, lanes: 4 }], 'create')

  async function start(own: readonly AnyHandlerDefinition[], extra: Partial<DirectSubscribersOptions>) {
    const subscribers = createDirectSubscribers({
      transport,
      registry: createRegistry([]),
      recorder,
      instance: randomUUID(),
      log: silent,
      topicsOf: async () => [topic],
      groupOf: (handler) => handler,
      publish: async (event) => {
        published.push(event)
        return event.id ?? ''
      },
      ...extra,
    })
    onTestFinished(() => subscribers.stop({ graceMs: 1_000 }))
    for (const definition of own) await subscribers.add(definition)
    return subscribers
  }

  const send = async (...messages: Message[]) => {
    const results = await transport.publish(topic, messages, AbortSignal.timeout(5_000))
    if (results.some(({ state }) => state !== 'stored')) throw new Error(`not stored: ${JSON.stringify(results)}`)
  }
  const subscribers = await start(handlers, options)
  return {
    open,
    transport,
    subscribers,
    published,
    send,
    sample: () => recorder.sample().handlers[0] as ReturnType<Direct['sample']>,
    async publish(...given) {
      const events = given.map(eventOf)
      await send(...events.map(messageOf))
      return events
    },
    async dead() {
      const found: BuriedMessage[] = []
      const letters = transport.deadLetters
      for await (const batch of letters?.list(letters.nameOf(topic), AbortSignal.timeout(5_000)) ?? [])
        found.push(...batch)
      return found
    },
    async lag(handler) {
      const { groups } = await transport.inspect([topic])
      return groups.find(({ group }) => group === handler)?.lagMessages ?? -1
    },
    another: start,
  }
}
