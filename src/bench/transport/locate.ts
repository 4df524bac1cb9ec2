import type { Transport } from '../../transports/transport.ts'
import { idOf } from '../bridge/names.ts'
import type { Whereabouts } from '../target.ts'

interface Question {
  readonly topic: string
  readonly run: string
  /** Of the handler. */
  readonly group: string
  readonly ks: readonly number[]
}

const answerMs = 10_000

/**
 * Where the transport has each event that the handler was not seen to finish: in its dead letters, or behind its group's position. What is
 * in neither is lost. The lag counts messages, not which: the last ones of the run are taken for those that are open.
 */
export async function locateOnTransport(
  transport: Transport,
  { topic, run, group, ks }: Question,
): Promise<Whereabouts[]> {
  const dead = await idsOfDead(transport, topic, group)
  const { groups } = await transport.inspect([topic])
  const lag = groups.filter((state) => state.group === group).reduce((sum, { lagMessages }) => sum + lagMessages, 0)
  const isDead = (k: number) => dead.has(idOf(run, k))
  const missing = ks.filter((k) => !isDead(k)).length
  let before = 0
  return ks.map((k): Whereabouts => {
    if (isDead(k)) return 'dead'
    before += 1
    return before > missing - lag ? 'open' : 'lost'
  })
}

async function idsOfDead({ deadLetters }: Transport, topic: string, group: string): Promise<Set<string>> {
  const ids = new Set<string>()
  if (!deadLetters) return ids
  for await (const batch of deadLetters.list(deadLetters.nameOf(topic), AbortSignal.timeout(answerMs)))
    for (const { message, origin } of batch) if (origin.group === group) ids.add(message.id)
  return ids
}
