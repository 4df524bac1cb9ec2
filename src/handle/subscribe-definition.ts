import { createHash } from 'node:crypto'
import type { EvtEvent } from '../core/event.ts'
import type { HandlerContext, HandlerDefinition, SubscribeOptions } from './handler.ts'

/** What `subscribe` was given, as `defineHandler` would make it. */
export function definitionOf<T>(
  on: HandlerDefinition['on'],
  handle: (event: EvtEvent<T>, ctx: HandlerContext) => unknown,
  { name, ...rest }: SubscribeOptions,
): HandlerDefinition {
  return {
    ...rest,
    name: name ?? nameOfPatterns(on),
    on,
    handle: async (event, ctx) => void (await handle(event, ctx)),
  }
}

/** A handler's name made of its patterns: the same after a restart and in other processes. */
function nameOfPatterns(patterns: HandlerDefinition['on']): string {
  const texts = patterns.map((one) => (typeof one === 'string' ? one : one.type))
  const words = texts
    .join(' ')
    .toLowerCase()
    .replace(/\*+/g, 'any')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  const hash = createHash('sha256').update(texts.join(' ')).digest('hex').slice(0, 8)
  return `on-${words.slice(0, 60)}-${hash}`
}
