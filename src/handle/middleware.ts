import { EvtError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import type { AnyHandlerDefinition, Handled, HandlerContext, Middleware } from './handler.ts'

type Call = (events: readonly EvtEvent[], ctx: HandlerContext) => Promise<void> | void

const places = ['before', 'around', 'after'] as const

/** Two as one: the first is outside. */
function nest(outer: Middleware | undefined, inner: Middleware | undefined): Middleware | undefined {
  if (!outer || !inner) return outer ?? inner
  return {
    async before(events, ctx) {
      await outer.before?.(events, ctx)
      await inner.before?.(events, ctx)
    },
    around(events, ctx, next) {
      const within = () => (inner.around ? inner.around(events, ctx, next) : next())
      return outer.around ? outer.around(events, ctx, within) : within()
    },
    async after(events, ctx) {
      await inner.after?.(events, ctx)
      await outer.after?.(events, ctx)
    },
  }
}

/** The handler as it is called, with its middleware around it. Without any it is called as it is. */
export function surround(name: string, use: Middleware | undefined, call: Call): Call {
  if (!use) return call
  return async (events, ctx) => {
    await use.before?.(events, ctx)
    if (use.around) await callAround(name, use, { events, ctx, call })
    else await call(events, ctx)
    await use.after?.(events, ctx)
  }
}

interface Called {
  readonly events: readonly EvtEvent[]
  readonly ctx: HandlerContext
  readonly call: Call
}

async function callAround(name: string, use: Middleware, { events, ctx, call }: Called): Promise<void> {
  const wrong = (reason: string) =>
    new EvtError('config', `cannot run the middleware of ${name}: ${reason}`, {
      hint: 'around(events, ctx, next) calls next() once and returns what it resolves to',
    })
  let proof: Handled | undefined
  let isCalled = false
  const next = async () => {
    if (isCalled) throw wrong('its `around` called next() twice')
    isCalled = true
    await call(events, ctx)
    proof = {} as Handled
    return proof
  }
  const result = await use.around?.(events, ctx, next)
  if (!proof || result !== proof) throw wrong('its `around` did not return what next() resolves to')
}

/** A handler within a middleware. Throws EvtError('config') for what is none. */
export function usedBy(outer: Middleware | undefined, definition: AnyHandlerDefinition): AnyHandlerDefinition {
  if (outer === undefined) return definition
  assertMiddleware(
    outer,
    (reason, hint) => new EvtError('config', `cannot run ${definition.name} within a middleware: ${reason}`, { hint }),
  )
  const handle = (given: never, ctx: HandlerContext) => definition.handle(given, ctx)
  return { ...definition, handle, use: nest(outer, definition.use) } as AnyHandlerDefinition
}

/** Throws EvtError('config') for what is no middleware. */
export function assertMiddleware(use: unknown, refuse: (reason: string, hint: string) => EvtError): void {
  if (use === undefined) return
  const hint = `it is one object with ${places.join(', ')}; the order is theirs`
  if (typeof use !== 'object' || use === null || Array.isArray(use)) throw refuse('use is no middleware', hint)
  for (const [name, part] of Object.entries(use)) {
    if (!places.some((place) => place === name)) throw refuse(`use.${name} is no part of a middleware`, hint)
    if (part !== undefined && typeof part !== 'function') throw refuse(`use.${name} is no function`, hint)
  }
}
