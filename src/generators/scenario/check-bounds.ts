import { formatDuration } from '../../core/duration.ts'
import { formatCount } from '../../core/quantity.ts'
import { formatPath } from './check-shape.ts'
import { type PlacedScenario, problemAt } from './place.ts'
import { most, type Op } from './program.ts'

/** Of one instance: more is no scenario but a run of many. */
const mostSteps = 1_000_000
/** So that all times of a run have four digits for the year, and a place in a UUID. */
const mostMs = 3_650 * 86_400_000

/** An instance comes to an end, within bounds, and gives up the turn on its way. Throws EvtError('config') with file, line and remedy. */
export function checkBounds(scenario: PlacedScenario, ops: readonly Op[]): void {
  checkRepeats(ops)
  const path = ['steps']
  if (most(ops, (op) => Number(op.kind !== 'think')) === 0) {
    const text = 'steps: nothing is published or expected'
    throw problemAt(scenario, { path, text, hint: 'a step: - publish: user.created' })
  }
  const ms = most(ops, (op) => (op.kind === 'think' ? op.ms.most : 0))
  if (ms <= mostMs) return
  const text = `steps: an instance would take ${formatDuration(ms)}`
  throw problemAt(scenario, { path, text, hint: `think times of an instance add up to at most ${days(mostMs)}` })
}

const days = (ms: number): string => `${ms / 86_400_000}d`

/** Outermost first: its number is the one to make smaller. */
function checkRepeats(ops: readonly Op[]): void {
  for (const op of ops) {
    if (op.kind === 'choose') for (const way of op.ways) checkRepeats(way)
    if (op.kind !== 'repeat') continue
    const path = [...op.path, 'repeat']
    const fail = (reason: string, hint: string) =>
      problemAt(op.origin, { path, text: `${formatPath(path)}: ${reason}`, hint })
    if (most(op.ops, (inner) => (inner.kind === 'think' ? inner.ms.most : 1)) === 0)
      throw fail('nothing happens in it', 'publish something in it, or leave it out')
    const steps = stepsOf([op])
    if (steps > mostSteps)
      throw fail(
        `an instance would have ${formatCount(steps)} steps`,
        `an instance has at most ${formatCount(mostSteps)}; --count plays it more often`,
      )
    checkRepeats(op.ops)
  }
}

/** Those that hold others count too. */
const stepsOf = (ops: readonly Op[]): number =>
  ops.reduce((sum, op) => {
    if (op.kind === 'choose') return sum + 1 + Math.max(0, ...op.ways.map(stepsOf))
    return sum + 1 + (op.kind === 'repeat' ? op.times.most * stepsOf(op.ops) : 0)
  }, 0)
