import type { NewEvent } from '../core/event.ts'
import type { PublishOutcome } from './outcome.ts'

export interface PublishedAll {
  readonly published: number
  /** The outcomes that are neither `stored` nor `duplicate`. */
  readonly failed: readonly Exclude<PublishOutcome, { readonly state: 'stored' | 'duplicate' }>[]
}

/** So many are on their way at once. */
const ahead = 2_000

/** Pulls the events as the outcomes of earlier ones come. Throws only what `events` throws. */
export async function publishAll(
  events: Iterable<NewEvent> | AsyncIterable<NewEvent>,
  publish: (event: NewEvent) => Promise<PublishOutcome>,
): Promise<PublishedAll> {
  const failed: PublishedAll['failed'][number][] = []
  const open = new Set<Promise<void>>()
  let published = 0
  for await (const event of events) {
    const one = publish(event).then((outcome) => {
      if ('error' in outcome) failed.push(outcome)
      else published += 1
      open.delete(one)
    })
    open.add(one)
    if (open.size >= ahead) await Promise.race(open)
  }
  await Promise.all(open)
  return { published, failed }
}
