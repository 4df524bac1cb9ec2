import type { Received } from '../../transports/transport.ts'
import type { Sightings } from '../target.ts'
import { kOf } from './names.ts'

interface CommitsOptions {
  readonly run: string
  readonly prefix: string
  readonly handlers: readonly string[]
  readonly clock: () => number
}

/** Joins the two halves: the handler returned, and then its lane's messages were settled. */
export function createCommits(sightings: Sightings, { run, prefix, handlers, clock }: CommitsOptions) {
  const returnedKs = handlers.map(() => new Set<number>())
  return {
    returned(handler: number, k: number): void {
      returnedKs[handler]?.add(k)
    },
    settled(group: string, messages: readonly Received[]): void {
      const handler = handlers.indexOf(group.slice(prefix.length))
      const nowUs = clock()
      for (const { id } of messages) {
        const k = kOf(run, id)
        // What is settled and has not returned went to the dead letters or behind another event.
        if (returnedKs[handler]?.delete(k)) sightings.done(handler, k, nowUs)
      }
    },
  }
}
