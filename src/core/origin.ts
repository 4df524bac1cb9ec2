import type { EvtEvent } from './event.ts'

/**
 * What travels with an event between stores and brokers, so that bridges do not send it round and round. On the wire they are
 * CloudEvents extension attributes; in an event they are metadata.
 */
export const originNames = {
  /** The stores that it has passed, the first one first, joined by dots. */
  via: 'evtvia',
  /** The server and topic that the last store took it from. */
  origin: 'evtorigin',
  /** How often a source has taken it in. */
  hops: 'evthops',
} as const

/** More than any intended chain of bridges. */
export const mostHops = 16

export interface Origin {
  readonly via: readonly string[]
  readonly origin: string | undefined
  readonly hops: number
}

/** From metadata. What is not ours to read counts as nothing. Never throws. */
export function originOf(from: Readonly<Record<string, unknown>>): Origin {
  const text = (name: string) => (from[name] === undefined ? undefined : String(from[name]))
  const via = text(originNames.via)?.split('.').filter(Boolean) ?? []
  const hops = Number(text(originNames.hops) ?? 0)
  return { via, origin: text(originNames.origin), hops: Number.isSafeInteger(hops) && hops > 0 ? hops : 0 }
}

export function toMetadata({ via, origin, hops }: Origin): EvtEvent['metadata'] {
  return {
    ...(via.length === 0 ? {} : { [originNames.via]: via.join('.') }),
    ...(origin === undefined ? {} : { [originNames.origin]: origin }),
    [originNames.hops]: String(hops),
  }
}

/** Names a topic of a server without user, password and parameters: `redis://host:6379/0 orders`. */
export function placeOfTopic(url: string, topic: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^?#]*)/i.exec(url) ?? []
  const afterUser = rest.slice(rest.lastIndexOf('@') + 1).replace(/\/+$/, '')
  return `${scheme.toLowerCase()}://${afterUser} ${topic}`
}
