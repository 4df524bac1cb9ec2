import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from '../../core/random.ts'
import { defineHandler } from '../../handle/define-handler.ts'
import type { HandlerContext, HandlerDefinition } from '../../handle/handler.ts'
import type { Sightings } from '../target.ts'
import type { HandlerKind } from './handler-kind.ts'
import type { ScratchNames } from './names.ts'

interface Sent {
  readonly k: number
}

export interface BenchHandlersOptions {
  readonly kinds: readonly HandlerKind[]
  /** As reports call them, in the order of `kinds`. */
  readonly handlers: readonly string[]
  readonly names: ScratchNames
  readonly sightings: Sightings
  readonly clock: () => number
  /** Called when the handler's function is done with event k; its transaction is not committed yet. */
  readonly returned: (handler: number, k: number) => void
}

/** The handlers of one run: each sees every event of it. */
export function createBenchHandlers(options: BenchHandlersOptions): HandlerDefinition[] {
  const { kinds, handlers, names, sightings, clock, returned } = options
  return kinds.map((kind, handler) => {
    const work = workOf(kind, names, handler)
    return defineHandler({
      name: `${names.handlerPrefix}${handlers[handler]}`,
      on: [names.type],
      group: 'bench',
      async handle(event, context) {
        const { k } = event.data as Sent
        sightings.started(handler, k, clock())
        await work(k, event.subject ?? '', context)
        returned(handler, k)
      },
    })
  })
}

type Work = (k: number, subject: string, context: HandlerContext) => Promise<unknown> | undefined

function workOf(kind: HandlerKind, names: ScratchNames, handler: number): Work {
  if (kind.kind === 'noop') return () => undefined
  if (kind.kind === 'cpu') return () => burn(kind.ms)
  if (kind.kind === 'sleep') {
    const random = createRandom(handler + 1)
    return (_k, _subject, { signal }) =>
      delay(Math.max(0, kind.ms + (2 * random() - 1) * kind.spreadMs), undefined, { signal })
  }
  const insert = `insert into ${names.schema}.effects (handler, key, k) values ($1, $2, $3)`
  return (k, subject, { sql }) => sql.query(insert, [handler, Number(subject.slice(subject.lastIndexOf('/') + 1)), k])
}

function burn(ms: number): undefined {
  const end = performance.now() + ms
  while (performance.now() < end);
  return undefined
}
