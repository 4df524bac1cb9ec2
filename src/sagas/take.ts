import type { EvtEvent } from '../core/event.ts'
import type { StepRow } from '../store/sagas.ts'
import { attemptStep } from './attempt-step.ts'
import { type StepConfig, typesOf } from './saga-config.ts'
import { fail, keyOf, note, type Offer, type Turn } from './turn.ts'

/**
 * What became of the events that came for a step.
 * - `later`: it has an answer, which is taken another time
 */
export type Offered = 'moved' | 'later' | 'nothing'

/** Hands the events that came, the earliest first, to a step that waits. */
export async function offerEvents(turn: Turn, step: StepConfig, row: StepRow): Promise<Offered> {
  const types = typesOf(step)
  for (const offer of turn.offers) {
    if (!types.includes(offer.type)) continue
    const event = await offer.read()
    if (!event) {
      consume(turn, offer)
      note(turn, 'lost', {
        step: step.name,
        eventId: offer.eventId,
        type: offer.type,
        detail: 'the log has it no more',
      })
      continue
    }
    if (!isForThis(turn, { step, offer, event })) continue
    if (event.type === step.refusedBy?.type) {
      refuse(turn, { step, row, offer })
      return 'moved'
    }
    const moved = await take(turn, { step, row, offer, event })
    if (moved !== 'stranger') return moved
  }
  return 'nothing'
}

interface Taking {
  readonly step: StepConfig
  readonly row: StepRow
  readonly offer: Offer
}

function isForThis(
  { config, row }: Turn,
  { step, offer, event }: { readonly step: StepConfig; readonly offer: Offer; readonly event: EvtEvent },
): boolean {
  try {
    return keyOf(config, event, step.correlate) === row.key
  } catch (error) {
    if (offer.isNew) throw error
    // It was kept by another definition.
    return false
  }
}

export function consume(turn: Turn, offer: Offer): void {
  turn.offers.delete(offer)
  if (!offer.isNew) turn.used.push(offer.eventId)
}

function refuse(turn: Turn, { step, row, offer }: Taking): void {
  consume(turn, offer)
  row.status = 'refused'
  note(turn, 'refused', { step: step.name, eventId: offer.eventId, type: offer.type })
  fail(turn, `step ${step.name} was refused by ${offer.type}`)
}

async function take(
  turn: Turn,
  { step, row, offer, event }: Taking & { readonly event: EvtEvent },
): Promise<'moved' | 'later' | 'stranger'> {
  let sender: string | undefined
  const isExpected = () => row.missing === undefined || row.missing.includes(sender ?? '')
  const attempt = await attemptStep(turn, {
    name: step.name,
    counts: 'takeAttempts',
    attempts: step.attempts,
    backoff: step.backoff,
    says: { done: 'answered', failed: 'answer-failed' },
    offer,
    async code(draft, ctx) {
      sender = step.sender?.(event)
      if (isExpected()) await step.on?.(draft, event, ctx)
    },
  })
  if (attempt === 'later') return 'later'
  if (attempt === 'given-up') {
    consume(turn, offer)
    row.status = 'failed'
    fail(turn, `step ${step.name} failed: ${row.error}`)
    return 'moved'
  }
  consume(turn, offer)
  row.takeAttempts = 0
  if (!isExpected()) {
    note(turn, 'ignored', { step: step.name, eventId: offer.eventId, type: offer.type, detail: `not from ${sender}` })
    return 'stranger'
  }
  row.missing = row.missing?.filter((name) => name !== sender)
  if (row.missing === undefined || row.missing.length === 0) finish(row)
  return 'moved'
}

export function finish(row: StepRow): void {
  row.status = 'done'
  row.waitsFor = undefined
  row.due = undefined
  row.again = undefined
}
