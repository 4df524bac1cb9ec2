import { formatJson } from '../../core/json-text.ts'
import { visible } from '../../core/visible.ts'
import type { Output } from '../../output/output.ts'
import type { SagaMoment, ShownSaga } from '../../store/saga-records.ts'
import type { StepRow } from '../../store/sagas.ts'
import { argument, defineCommand, text, value } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { distance, findSaga, maskedState, waitsFor } from '../line/sagas.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'saga show',
  section: 'watch',
  summary: 'one saga, step by step: times, attempts, errors, events',
  description:
    'Fields of its state that are marked sensitive are ***, and null when they were erased. `evt tail` shows its events.',
  examples: [
    { line: 'evt saga show 1', says: 'by its number', needs: 'saga' },
    { line: 'evt saga show ada --saga accounts.registration --json', says: 'the latest of a key', needs: 'saga' },
  ],
  args: { which: argument({ says: 'ID or KEY, from `evt saga list`' }) },
  options: {
    saga: value({ value: 'name', says: 'of which saga the key is', parse: text }),
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { which }, options }, runtime) {
    return withStore(runtime, { command: 'saga show', max: 1 }, async (store) => {
      const { showSaga } = await import('../../store/saga-records.ts')
      const found = await findSaga(store, which, { saga: options.saga, runtime })
      const shown = await showSaga(store, found.id)
      if (!shown) throw new Error(`saga ${found.id} went away`)
      const { sensitive: _, ...rest } = shown
      const data = { ...rest, state: maskedState(shown), waitsFor: waitsFor(shown) }
      runtime.output.result({ data, render: () => render(shown, runtime.now(), runtime.output) })
      return undefined
    })
  },
})

function render(saga: ShownSaga, nowMs: number, { paint }: Output): string {
  const { id, key, status, phase, version, stuck, reason, next, startedAt, endedAt } = saga
  const waits = waitsFor(saga)
  const skipped = new Set(saga.history.filter(({ what }) => what === 'skipped').map(({ step }) => step))
  // What somebody did by hand counts as compensated; nothing of it ran.
  const shownStep = (name: string): ShownStep | undefined => {
    const step = saga.steps[name]
    return step?.status === 'compensated' && skipped.has(name) ? { ...step, status: 'compensation skipped' } : step
  }
  const facts: (readonly [string, string | undefined])[] = [
    ['saga', `${id} · ${saga.saga} ${key} · version ${version}`],
    ['status', status === 'stuck' ? `stuck while ${phase}` : status],
    ['stuck', stuck ?? undefined],
    ['undone for', reason ?? undefined],
    ['waits for', waits.length > 0 ? waits.join('; ') : undefined],
    ['next', next ? `${next.kind}${next.step ? ` of ${next.step}` : ''} ${distance(next.at, nowMs)}` : undefined],
    ['began', `${startedAt} · by ${saga.startedBy} · correlation ${saga.correlationId}`],
    ['ended', endedAt ?? undefined],
    ['erased', saga.erased.length > 0 ? `${saga.erased.join(', ')}: the key was deleted` : undefined],
  ]
  return [
    ...facts.flatMap(([name, fact]) =>
      fact === undefined ? [] : [`${paint('bold', name.padEnd(11))} ${visible(fact)}`],
    ),
    '',
    paint('bold', 'state'),
    ...formatJson(maskedState(saga), 2)
      .split('\n')
      .map((line) => `  ${visible(line)}`),
    '',
    paint('bold', 'steps'),
    ...saga.stages.flatMap((names) => names.map((name) => stepLine(name, shownStep(name), names.length > 1))),
    ...Object.entries(saga.steps).flatMap(([name, step]) =>
      name.startsWith('(') ? [stepLine(name, step, false)] : [],
    ),
    '',
    paint('bold', 'history'),
    ...saga.history.map(momentLine),
    ...(saga.early.length > 0 ? ['', paint('bold', 'events that wait for their step')] : []),
    ...saga.early.map(({ type, eventId, position }) => visible(`  ${type} · ${eventId} · position ${position}`)),
  ].join('\n')
}

type ShownStep = Omit<StepRow, 'status'> & { readonly status: string }

function stepLine(name: string, step: ShownStep | undefined, isParallel: boolean): string {
  const attempts = step && step.attempts > 1 ? ` · ${step.attempts} attempts` : ''
  const undo = step && step.undoAttempts > 1 ? ` · ${step.undoAttempts} attempts to compensate` : ''
  const missing = step?.missing?.length ? ` · missing ${step.missing.join(', ')}` : ''
  const until = step?.due === undefined ? '' : ` · until ${step.due}`
  const error = step?.error === undefined ? '' : ` · ${step.error}`
  const mark = isParallel ? '∥' : ' '
  return visible(
    `  ${mark} ${name.padEnd(16)} ${step?.status ?? 'not begun'}${attempts}${undo}${missing}${until}${error}`,
  )
}

function momentLine({ at, what, step, attempt, type, eventId, detail, by }: SagaMoment): string {
  const facts = [
    [what, step].filter(Boolean).join(' '),
    attempt !== null && attempt > 1 ? `attempt ${attempt}` : '',
    [type, eventId].filter(Boolean).join(' '),
    detail ?? '',
    by ?? '',
  ]
  return visible(`  ${at}  ${facts.filter(Boolean).join(' · ')}`)
}
