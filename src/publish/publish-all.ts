import type { NewEvent } from '../core/event.ts'
import type { PublishOutcome } from './outcome.ts'

export interface PublishedAll {
  /** Those that are `stored` or `duplicate`. */
  readonly published: number
  readonly failed: readonly Extract<PublishOutcome, { readonly state: 'refused' | 'unknown' }>[]
}

/** So many are on their way at once; it goes on when half of them have arrived, so that batches stay big. */
const ahead = 2_000

/** Pulls the events as the outcomes of earlier ones come. Throws only what `events` throws. */
export async function publishAll(
  events: Iterable<NewEvent> | AsyncIterable<NewEvent>,
  publish: (event: NewEvent) => Promise<PublishOutcome>,
): Promise<PublishedAll> {
  const failed: PublishedAll['failed'][number][] = []
  let published = 0
  let open = 0
  let few = ahead / 2
  let onFew: (() => void) | undefined
  const arrived = (outcome: PublishOutcome) => {
    open -= 1
    if ('error' in outcome) failed.push(outcome)
    else if (outcome.state !== 'unsent') published += 1
    if (open <= few) onFew?.()
  }
  const untilFew = () =>
    new Promise<void>((resolve) => {
      onFew = resolve
    })
  for await (const event of events) {
    open += 1
    void publish(event).then(arrived)
    if (open >= ahead) await untilFew()
  }
  few = 0
  if (open > 0) await untilFew()
  return { published, failed }
}
