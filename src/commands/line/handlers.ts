// What `evt handlers …` share.
import { EvtError } from '../../core/errors.ts'
import { suggestion } from '../../core/suggest.ts'
import type { Store } from '../../store/connection.ts'
import type { HandlerState } from '../../store/handler-states.ts'
import type { Runtime } from '../runtime.ts'
import { askConsent, type ConsentAnswers } from './consent.ts'
import { auditAs, operatorName } from './operator.ts'

export interface SwitchRequest {
  readonly names: readonly string[]
  readonly paused: boolean
  readonly options: ConsentAnswers
  readonly typed: ReadonlySet<string>
}

/** Asks, and pauses or resumes handlers in all bridges. Throws `usage` for a name that the store does not know. */
export async function switchNamed(runtime: Runtime, store: Store, request: SwitchRequest): Promise<void> {
  const { names, paused, options, typed } = request
  const verb = paused ? 'pause' : 'resume'
  const { readHandlerStates, switchHandlers } = await import('../../store/handler-states.ts')
  const { readSnapshot } = await import('../../watch/read-snapshot.ts')
  const [states, snapshot] = [await readHandlerStates(store), await readSnapshot(store)]
  const running = snapshot.instances.filter(({ alive }) => alive)
  const known = new Set([...states.map(({ handler }) => handler), ...running.flatMap((one) => namesOf(one.handlers))])
  const wanted = [...new Set(names)]
  for (const name of wanted) if (!known.has(name)) throw noSuch(verb, name, { known: [...known], store: store.url })
  const samples = wanted.map((name) => {
    const bridges = running.filter(({ handlers }) => namesOf(handlers).includes(name)).length
    return `${name}: ${standing(states.find(({ handler }) => handler === name))}; in ${bridges} ${bridges === 1 ? 'bridge' : 'bridges'}`
  })
  const plan = {
    verb,
    noun: `${wanted.length === 1 ? 'handler' : 'handlers'} (${wanted.join(', ')})`,
    count: wanted.length,
    target: store.url,
    samples,
  }
  if (!(await askConsent(runtime, { ...plan, options, typed }))) return
  const audit = await auditAs(`handlers ${verb}`, { target: wanted.join(' '), reason: options.reason })
  const change = { handlers: wanted, paused, by: operatorName(), reason: options.reason, audit }
  const changed = await switchHandlers(store, change)
  const done = paused ? 'paused' : 'resumed'
  runtime.output.result({
    data: { [done]: changed, unchanged: wanted.filter((name) => !changed.includes(name)) },
    meta: { store: store.url },
    render: () =>
      changed.length === 0
        ? `nothing to ${verb}: that is how it was\n`
        : `${done} ${changed.join(', ')} on ${store.url}\n`,
  })
}

const namesOf = (handlers: readonly { readonly handler: string }[]) => handlers.map(({ handler }) => handler)

function standing(state: HandlerState | undefined): string {
  if (state?.pause) return `paused by ${state.pause.by}${state.pause.reason ? `: ${state.pause.reason}` : ''}`
  return state?.breaker?.state === 'open' ? `its breaker is open: ${state.breaker.error}` : 'not paused'
}

function noSuch(
  verb: string,
  name: string,
  { known, store }: { readonly known: readonly string[]; readonly store: string },
) {
  return new EvtError('usage', `cannot ${verb} handler ${name}: none of that name is known on ${store}`, {
    hint: suggestion(name, known) ?? 'see `evt handlers list`',
  })
}
