import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import { suggestion } from '../../core/suggest.ts'
import { handlersOf, type ServiceDefinition } from '../../handle/define-service.ts'
import type { AnyHandlerDefinition } from '../../handle/handler.ts'
import type { LogReader } from '../../store/log.ts'

const groupOf = ({ name, group }: AnyHandlerDefinition) => group ?? name.split('.')[0] ?? name

/** Handlers of the configured services by their names, or all of a group. Throws EvtError('usage') for one that is not there. */
export function chooseHandlers(
  services: readonly ServiceDefinition[],
  { handler: names, group }: { readonly handler: readonly string[]; readonly group?: string | undefined },
): readonly AnyHandlerDefinition[] {
  const all = services.flatMap(handlersOf)
  const chosen = names.map((name) => {
    const found = all.find((one) => one.name === name)
    if (found) return found
    const kind = otherKind(services, name)
    if (kind)
      throw new EvtError('usage', `cannot replay to ${name}: it is ${kind}, and only handlers are replayed to`, {
        hint:
          kind === 'a saga'
            ? 'evt saga retry goes on with one that is stuck'
            : `evt projection rebuild ${name} makes its tables anew from all of history`,
      })
    const known = all.map((one) => one.name)
    throw new EvtError('usage', `cannot replay to handler ${name}: no configured service has it`, {
      hint: suggestion(name, known) ?? `there are ${known.join(', ')}; services of your own stand in evt.config.ts`,
    })
  })
  if (group === undefined) return [...new Set(chosen)]
  const members = all.filter((one) => groupOf(one) === group)
  if (members.length === 0) {
    const known = [...new Set(all.map(groupOf))]
    throw new EvtError('usage', `cannot replay to group ${group}: no handler of the configured services is in it`, {
      hint: suggestion(group, known) ?? `there are ${known.join(', ')}`,
    })
  }
  return [...new Set([...chosen, ...members])]
}

function otherKind(services: readonly ServiceDefinition[], name: string): 'a saga' | 'a projection' | undefined {
  const has = (all: readonly { readonly name: string }[] = []) => all.some((one) => one.name === name)
  if (services.some(({ sagas }) => has(sagas))) return 'a saga'
  return services.some(({ projections }) => has(projections)) ? 'a projection' : undefined
}

/** What part of the log `--since` and `--until` mean. */
export interface Span {
  readonly after: bigint
  readonly upto: bigint
  readonly sinceMs?: number
  readonly untilMs?: number
  /** The log begins later than was asked for. */
  readonly beginsLater: boolean
}

/** Throws EvtError('usage') for a position that is none. */
export async function spanOf(
  reader: LogReader,
  { since = 'start', until = 'now' }: { readonly since?: Instant | undefined; readonly until?: Instant | undefined },
): Promise<Span> {
  const [start, head] = [await reader.start(), await reader.head()]
  const from = async (): Promise<Pick<Span, 'after' | 'sinceMs' | 'beginsLater'>> => {
    if (since === 'start') return { after: start, beginsLater: false }
    if (since === 'now') return { after: head, beginsLater: false }
    if ('position' in since) return { after: positionOf(since.position, '--since') - 1n, beginsLater: false }
    const after = await reader.positionAt(since.timeMs)
    return { after, sinceMs: since.timeMs, beginsLater: start > 0n && after <= start }
  }
  const { after, ...rest } = await from()
  if (until === 'now') return { after, upto: head, ...rest }
  if (until === 'start') return { after, upto: after, ...rest }
  if ('timeMs' in until) return { after, upto: head, untilMs: until.timeMs, ...rest }
  const last = positionOf(until.position, '--until')
  return { after, upto: last < head ? last : head, ...rest }
}

function positionOf(text: string, flag: string): bigint {
  if (/^[1-9]\d{0,17}$/.test(text)) return BigInt(text)
  throw new EvtError('usage', `cannot use ${flag} position:${text}: it is no position of the log`, {
    hint: 'positions are whole numbers from 1',
  })
}
